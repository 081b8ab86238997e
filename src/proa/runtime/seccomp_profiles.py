"""Seccomp profiles: the default one, and files in Docker's format, as an OCI `linux.seccomp`.

Docker's format adds conditions to the OCI one: rules hold with or without a capability, on some machines,
from some kernel version on (docs.docker.com, "Seccomp security profiles for Docker"). seccomp.json, the
default, says the same in fewer words; it decides as Docker 28's default profile does.
"""

from __future__ import annotations

import json
import os

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

# uname -m: the name that profiles have for it, and its OCI architecture
_MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
}


class Host:
    """What the conditions of a profile are about; by default this machine."""

    def __init__(self, capabilities: Collection[str], machine: str = "", kernel: str = "") -> None:
        """`capabilities`: the container's bounding set; `kernel`: a release such as 6.1.0-18-amd64."""
        uname = os.uname()
        machine = machine or uname.machine
        self.capabilities = capabilities
        self.name, self.architecture = _MACHINES.get(machine, (machine, ""))
        self.kernel = _version(kernel or uname.release)

    def meets(self, conditions: dict[str, Any]) -> bool:
        """Whether all of an `includes` holds."""
        return (
            (not conditions.get("arches") or self.name in conditions["arches"])
            and all(capability in self.capabilities for capability in conditions.get("caps") or ())
            and (not conditions.get("minKernel") or self.kernel >= _version(conditions["minKernel"]))
        )

    def hits(self, conditions: dict[str, Any]) -> bool:
        """Whether any of an `excludes` holds."""
        return (
            self.name in (conditions.get("arches") or ())
            or any(capability in self.capabilities for capability in conditions.get("caps") or ())
            or bool(conditions.get("minKernel") and self.kernel >= _version(conditions["minKernel"]))
        )


def _version(release: str) -> tuple[int, int]:
    """Return (major, minor) of "6.1.0-18-amd64" or "4.8"."""
    major, _, rest = release.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    if not major.isdecimal() or not digits:
        raise InvalidArgument(f'invalid kernel version: {release}, expected "<kernel>.<major>"')
    return int(major), int(rest[:digits])


def default_profile(capabilities: Collection[str], machine: str = "", kernel: str = "") -> dict[str, Any]:
    """Return the default profile for a container with the bounding set `capabilities`."""
    return resolve(_default(), Host(capabilities, machine, kernel)) or {}


def load_profile(
    text: str, capabilities: Collection[str], machine: str = "", kernel: str = ""
) -> dict[str, Any] | None:
    """Return the profile in a file of Docker's or the OCI format; None for one that filters nothing.

    InvalidArgument, in Docker's words, for what is no profile.
    """
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error
    if not isinstance(profile, dict):
        raise InvalidArgument("Decoding seccomp profile failed: not a JSON object")
    try:
        return resolve(profile, Host(capabilities, machine, kernel))
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error


def resolve(profile: dict[str, Any], host: Host) -> dict[str, Any] | None:
    """Return the OCI `linux.seccomp` that a profile in Docker's format means on `host`."""
    entries = profile.get("syscalls") or []
    if not profile.get("defaultAction") and not entries:
        return None
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidArgument(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    architectures = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == host.architecture:
            architectures = [host.architecture, *(entry.get("subArchitectures") or ())]
            break
    kept = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
    result = {key: profile[key] for key in kept if profile.get(key) is not None}
    rules = [rule for entry in entries if (rule := _rule(entry, host)) is not None]
    return result | {"architectures": architectures, "syscalls": rules}


def _rule(entry: dict[str, Any], host: Host) -> dict[str, Any] | None:
    names = entry.get("names") or []
    if name := entry.get("name"):
        if names:
            raise InvalidArgument(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
            )
        names = [name]
    if host.hits(entry.get("excludes") or {}) or not host.meets(entry.get("includes") or {}):
        return None
    rule = {"names": names, "action": entry.get("action", "")}
    return rule | {key: entry[key] for key in ("errnoRet", "args") if entry.get(key) is not None}


def _default() -> dict[str, Any]:
    """Return seccomp.json in Docker's format."""
    path = os.path.join(os.path.dirname(__file__), "seccomp.json")
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib is dear
        table = json.load(file)
    return {
        "defaultAction": table["default"]["action"],
        "defaultErrnoRet": table["default"]["errno"],
        "archMap": table["architectures"],
        "syscalls": [_expand(rule) for rule in table["rules"]],
    }


def _expand(rule: dict[str, Any]) -> dict[str, Any]:
    allow = "allow" in rule
    entry = {
        "names": rule["allow" if allow else "refuse"].split(),
        "action": "SCMP_ACT_ALLOW" if allow else "SCMP_ACT_ERRNO",
        "errnoRet": rule.get("errno"),
        "args": [rule["argument"]] if "argument" in rule else None,
    }
    with_, machines = rule.get("with"), rule.get("machines")
    entry["includes"] = {
        "caps": [with_] if with_ else [],
        "arches": machines,
        "minKernel": rule.get("kernel"),
    }
    if without := rule.get("without"):
        entry["excludes"] = {"caps": [without]}
    return entry
