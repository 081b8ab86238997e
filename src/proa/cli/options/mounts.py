"""`-v`, `--mount` and `--tmpfs`, by docker's grammars."""

from __future__ import annotations

import os

from proa.cli.options.sizes import memory
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

_TARGETS = ("target", "dst", "destination")
_SOURCES = ("source", "src")
_READ_ONLY = ("readonly", "ro")
_SWITCHES = (*_READ_ONLY, "volume-nocopy", "bind-nonrecursive")
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_RECURSIVE = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
_OPTIONS = {"bind": "BindOptions", "volume": "VolumeOptions", "image": "ImageOptions", "tmpfs": "TmpfsOptions"}


def fields(text: str) -> list[str]:
    """Split one record of comma-separated values: a field in quotes may hold commas, "" is a quote in it."""
    found, field, quoted = [], "", False
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if quoted and character == '"' and text[position : position + 1] == '"':
            field += '"'
            position += 1
        elif character == '"' and (quoted or not field):
            quoted = not quoted
        elif character == '"':
            raise ValueError(f'parse error on line 1, column {position}: bare " in non-quoted-field')
        elif character == "," and not quoted:
            found.append(field)
            field = ""
        else:
            field += character
    if quoted:
        raise ValueError(f'parse error on line 1, column {position + 1}: extraneous or missing " in quoted-field')
    return [*found, field]


def mount(text: str) -> dict[str, Any]:
    """Return the API's form of "type=bind,source=/a,target=/b". Raises `ValueError`."""
    if not text:
        raise ValueError("value is empty")
    result: dict[str, Any] = {"Type": "volume"}
    for field in fields(text):
        key, separator, value = field.partition("=")
        key = key.strip().lower()
        if not separator and key not in _SWITCHES:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        _apply(result, key, value if separator else "true", field)
    return _checked(result)


def _apply(result: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "type":
        result["Type"] = value.lower()
    elif key in _SOURCES:
        relative = value == "." or value.startswith(("./", "../")) or value == ".."
        result["Source"] = os.path.abspath(value) if relative else value
    elif key in _TARGETS:
        result["Target"] = value
    elif key in _READ_ONLY:
        result["ReadOnly"] = _boolean(key, value)
    elif key == "consistency":
        result["Consistency"] = value.lower()
    else:
        _apply_option(result, key, value, field)


def _apply_option(result: dict[str, Any], key: str, value: str, field: str) -> None:
    """Options of one type of mount; those of other types are complained about at the end."""
    options = result.setdefault(_OPTIONS.get(key.partition("-")[0], ""), {})
    if key == "bind-propagation":
        options["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options["NonRecursive"] = _boolean(key, value)
    elif key == "bind-recursive" and value in _RECURSIVE:
        options.update(_RECURSIVE[value])
    elif key == "bind-recursive":
        raise ValueError(
            f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    elif key in ("volume-subpath", "image-subpath"):
        options["Subpath"] = value
    elif key == "volume-nocopy":
        options["NoCopy"] = _boolean(key, value)
    elif key == "volume-label":
        name, _, content = value.partition("=")
        options.setdefault("Labels", {})[name] = content
    elif key == "volume-driver":
        options.setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        name, _, content = value.partition("=")
        options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = content
    elif key == "tmpfs-size":
        options["SizeBytes"] = _size(key, value)
    elif key == "tmpfs-mode":
        options["Mode"] = _mode(key, value)
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _boolean(key: str, value: str) -> bool:
    if value not in _BOOLEANS:
        raise ValueError(f"invalid value for {key}: {value}")
    return _BOOLEANS[value]


def _size(key: str, value: str) -> int:
    try:
        return memory(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _mode(key: str, value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    kind = result["Type"]
    if not kind:
        raise ValueError("type is required")
    if not result.get("Target"):
        raise ValueError("target is required")
    for other, field in _OPTIONS.items():
        if field in result and other != kind:
            raise ValueError(f"cannot mix '{other}-*' options with mount type '{kind}'")
    bind = result.get("BindOptions", {})
    if bind.get("ReadOnlyNonRecursive") and not result.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
    if bind.get("ReadOnlyForceRecursive"):
        if not result.get("ReadOnly"):
            raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
        if bind.get("Propagation") != "rprivate":
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' "
                "to be specified in conjunction"
            )
    return result


def mounts_body(options: Options, body: dict[str, Any]) -> None:
    """Two mounts on one target are the engine's to refuse."""
    body["HostConfig"]["Mounts"] = options["mount"]


def tmpfs_body(options: Options, body: dict[str, Any]) -> None:
    body["HostConfig"]["Tmpfs"] = {
        path: rest for path, _, rest in (text.partition(":") for text in options["tmpfs"])
    }


def volumes_body(options: Options, body: dict[str, Any]) -> None:
    """`-v`: a path alone is an anonymous volume; a source that begins with a dot is relative to here."""
    binds = []
    for text in dict.fromkeys(options["volume"]):  # the same twice is once, as with docker
        if not text:
            raise InvalidArgument("invalid empty volume spec")
        source, separator, rest = text.partition(":")
        if not separator:
            body.setdefault("Volumes", {})[text] = {}
            continue
        if not source or not rest:
            raise InvalidArgument(f"invalid spec: {text}: empty section between colons")
        if source.startswith("."):
            source = os.path.abspath(source)
        elif source == "~" or source.startswith("~/"):
            source = os.path.expanduser(source)
        binds.append(f"{source}:{rest}")
    if binds:
        body["HostConfig"]["Binds"] = binds
