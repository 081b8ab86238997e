"""What confines a container: capabilities, seccomp filter, masked paths, no_new_privs, from its options.

Docker's defaults hold (`proa.runtime.defaults`). A capability that the engine itself lacks can not be given
to anybody: it is left out, with a warning.
"""

from __future__ import annotations

import errno
import hashlib
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from proa import atomic
from proa.engine.options import ContainerOptions
from proa.errors import InvalidArgument, Unsupported
from proa.linux import capabilities as kernel_capabilities
from proa.runtime import bundle, capabilities, defaults, seccomp, seccomp_profiles

_TRUE = {"", "true", "1", "t"}
_FALSE = {"false", "0", "f"}


# Where egress rules hold, only these sockets can be made: others, of AF_VSOCK above all, go past netfilter.
# AF_PACKET needs a capability, AF_ALG is for the kernel's ciphers.
_FAMILIES = tuple(map(int, (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_ALG)))
# The arguments of i386's socketcall(2) are out of a filter's sight. C libraries take socket(2) first.
_NO_SOCKETCALL = {"names": ["socketcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
_PACKET_SOCKETS = "CAP_NET_RAW"


class Filters:
    """Compiled seccomp filters, as files: each is compiled once and read by every shim that needs it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._paths: dict[tuple[str, tuple[str, ...], bool], str] = {}

    def path(self, profile: str, granted: Sequence[str], *, guarded: bool = False) -> str:
        """Return the file of the filter for a profile ("" is the default) and capabilities; "" for no filter."""
        key = (profile, tuple(sorted(granted)), guarded)
        if key not in self._paths or not Path(self._paths[key] or "/").exists():
            self._paths[key] = self._compile(*key)
        return self._paths[key]

    def _compile(self, profile: str, granted: tuple[str, ...], guarded: bool) -> str:
        if profile:
            specification = seccomp_profiles.load_profile(profile, granted)
        else:
            specification = seccomp_profiles.default_profile(granted)
        if specification is None:
            return ""
        if guarded:
            specification["syscalls"] = _guarded(specification["syscalls"])
        program = seccomp.compile(specification)
        path = self._directory / f"{hashlib.sha256(program).hexdigest()}.bpf"
        profile_path = path.with_suffix(bundle.SECCOMP_SUFFIX)  # for other runtimes
        if not (path.exists() and profile_path.exists()):
            self._directory.mkdir(parents=True, exist_ok=True)
            atomic.write(profile_path, json.dumps(specification).encode(), durable=False)
            atomic.write(path, program, durable=False)
        return str(path)


def _guarded(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules of a filter with those about making sockets replaced."""
    others = [{**rule, "names": [name for name in rule["names"] if name != "socket"]} for rule in rules]
    families = [
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}],
        }
        for family in _FAMILIES
    ]
    return [_NO_SOCKETCALL, *families, *(rule for rule in others if rule["names"])]


@dataclass(slots=True)
class Security:
    """The confinement of one container, decided."""

    privileged: bool = False
    no_new_privileges: bool = False
    granted: list[str] = field(default_factory=list)  # capability names
    filter_path: str = ""
    masked_paths: list[str] = field(default_factory=list)
    readonly_paths: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, options: ContainerOptions, filters: Filters, *, guarded: bool = False) -> Security:
        """Decide; raises `InvalidArgument` in Docker's words for options that do not exist.

        `guarded`: egress rules hold for the container (`containers/confinement.py`).
        """
        result = cls(privileged=options.privileged)
        words = _Words.parse(options.security_opt)
        result.no_new_privileges = words.no_new_privileges
        result.granted, result.warnings = capabilities.select(
            options.cap_add, options.cap_drop, options.privileged
        )
        if guarded:
            result.granted = [name for name in result.granted if name != _PACKET_SOCKETS]
        unconfined = words.seccomp == "unconfined" or (options.privileged and not words.seccomp)
        if not unconfined:
            profile = "" if words.seccomp == "builtin" else words.seccomp
            result.filter_path = filters.path(profile, result.granted, guarded=guarded)
        if not options.privileged and not words.system_paths_unconfined:
            masked, readonly = options.masked_paths, options.readonly_paths
            result.masked_paths = _masked_paths() if masked is None else masked
            result.readonly_paths = list(defaults.READONLY_PATHS) if readonly is None else readonly
        return result

    def for_exec(self, *, privileged: bool) -> Security:
        """Return what a process started by exec gets: everything with `--privileged`."""
        if not privileged:
            return self
        return replace(self, granted=kernel_capabilities.names(kernel_capabilities.bounding_set()))

    def capability_sets(self, *, root: bool) -> dict[str, list[str]]:
        """Return the OCI sets; an unprivileged user has them in the bounding set only (capabilities(7))."""
        active = self.granted if root else []
        return {"bounding": self.granted, "permitted": active, "effective": active}


@cache
def _masked_paths() -> list[str]:
    """The host's own list; processors are not plugged in every day."""
    return defaults.masked_paths()


@dataclass(slots=True)
class _Words:
    """Parsed `--security-opt` entries."""

    seccomp: str = ""  # "unconfined", "builtin", a profile as JSON, or "" for the default
    no_new_privileges: bool = False
    system_paths_unconfined: bool = False

    @classmethod
    def parse(cls, options: Sequence[str]) -> _Words:
        words = cls()
        for option in options:
            # Docker takes key:value for old clients, too.
            separator = "=" if "=" in option else ":"
            key, _, value = option.partition(separator)
            words._add(option, key, value)
        return words

    def _add(self, option: str, key: str, value: str) -> None:
        if key == "no-new-privileges":
            if value not in _TRUE | _FALSE:
                raise InvalidArgument(f'invalid --security-opt: "{option}"')
            self.no_new_privileges = value in _TRUE
        elif key == "seccomp":
            self.seccomp = value
            if value not in ("unconfined", "builtin"):
                _check_profile(value)
        elif key == "systempaths" and value == "unconfined":
            self.system_paths_unconfined = True
        elif key == "apparmor" and value == "unconfined":
            pass  # what every container is, as long as there are no AppArmor profiles here
        elif key == "label" and value == "disable":
            pass  # the same for SELinux
        elif key in ("apparmor", "label"):
            raise Unsupported(f'security option "{option}": Proa does not apply {key} profiles yet')
        else:
            raise InvalidArgument(f'invalid --security-opt 2: "{option}"')


def _check_profile(text: str) -> None:
    try:
        if not isinstance(json.loads(text), dict):
            raise ValueError
    except ValueError:
        raise InvalidArgument(f"Decoding seccomp profile failed: {text[:80]!r} is not a JSON object") from None
