"""`--security-opt`, capabilities, and the namespaces shared with the host or another container."""

from __future__ import annotations

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

# flag -> (field, word in the message, whether container:NAME is allowed)
_NAMESPACES = {
    "pid": ("PidMode", "PID", True),
    "uts": ("UTSMode", "UTS", False),
    "userns": ("UsernsMode", "USER", False),
    "cgroupns": ("CgroupnsMode", "CGROUP", False),
}


def options_body(options: Options, body: dict[str, Any]) -> None:
    """Profiles are read here, because the engine may be elsewhere. Raises `InvalidArgument`."""
    kept = []
    for text in options["security-opt"]:
        if text == "systempaths=unconfined":
            body["HostConfig"]["MaskedPaths"] = []
            body["HostConfig"]["ReadonlyPaths"] = []
            continue
        name, separator, value = text.partition("=")
        if not separator and text != "no-new-privileges":
            name, separator, value = text.partition(":")
            if not separator:
                raise InvalidArgument(f'Invalid --security-opt: "{text}"')
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            text = "seccomp=" + _profile(value)
        kept.append(text)
    if kept:
        body["HostConfig"]["SecurityOpt"] = kept


def _profile(path: str) -> str:
    import json

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InvalidArgument(f"opening seccomp profile ({path}) failed: open {path}: {reason.lower()}") from None
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError as error:
        raise InvalidArgument(f"compacting json for seccomp profile ({path}) failed: {error}") from None


def capabilities_body(options: Options, body: dict[str, Any]) -> None:
    """Names as CAP_NAME, each once; what both adding and dropping one means is the engine's to say."""
    added = {_capability(name) for name in options["cap-add"]}
    dropped = {_capability(name) for name in options["cap-drop"]}
    body["HostConfig"]["CapAdd"] = sorted(added)
    body["HostConfig"]["CapDrop"] = sorted(dropped)


def _capability(name: str) -> str:
    upper = name.strip().upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def namespaces_body(options: Options, body: dict[str, Any]) -> None:
    """Raises `InvalidArgument` for a mode that does not exist."""
    for flag, (field, word, shared) in _NAMESPACES.items():
        mode = options[flag]
        modes = ("", "host", "private") if flag == "cgroupns" else ("", "host")
        if mode not in modes and not (shared and mode.startswith("container:") and len(mode) > 10):
            raise InvalidArgument(f"--{flag}: invalid {word} mode")
        if mode:
            body["HostConfig"][field] = mode
