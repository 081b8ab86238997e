"""`--device`, device rules, block I/O limits and `--gpus`."""

from __future__ import annotations

from proa.cli.options.sizes import memory
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

_THROTTLES = {
    "device-read-bps": "BlkioDeviceReadBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-write-iops": "BlkioDeviceWriteIOps",
}
_RATE_FORMAT = (
    "The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. "
    "Unit is optional and can be kb, mb, or gb"
)


def _check_device(text: str) -> None:
    """Check "host[:container][:permissions]". Raises `InvalidArgument`."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise InvalidArgument(f"bad format for path: {text}")
    path = parts[0] if len(parts) == 1 or (len(parts) == 2 and _is_permissions(parts[1])) else parts[1]
    if len(parts) == 3 and not _is_permissions(parts[2]):
        raise InvalidArgument(f"bad mode specified: {parts[2]}")
    if not path.startswith("/"):
        raise InvalidArgument(f"{path} is not an absolute path")


def _is_permissions(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def _is_cdi(text: str) -> bool:
    """Return whether `text` names a device as vendor.example/class=name does."""
    kind, separator, name = text.partition("=")
    vendor, slash, class_ = kind.partition("/")
    return bool(separator and name and slash and vendor and class_ and vendor[0].isalpha())


def cgroup_rule(text: str) -> str:
    """Check "type major:minor permissions". Raises `ValueError`."""
    words = text.split(" ")
    numbers = words[1].split(":") if len(words) == 3 else []
    if (
        len(numbers) != 2
        or words[0] not in ("a", "b", "c")
        or not all(number == "*" or (number.isascii() and number.isdecimal()) for number in numbers)
        or not 1 <= len(words[2]) <= 3
        or not set(words[2]) <= set("rwm")
    ):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def weight(text: str) -> dict[str, Any]:
    """Return the API's form of "path:weight". Raises `ValueError`."""
    path, value = _split(text)
    if not value.isdecimal() or (int(value) and not 10 <= int(value) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(value)}


def byte_rate(text: str) -> dict[str, Any]:
    """Return the API's form of "path:rate[unit]". Raises `ValueError`."""
    path, value = _split(text)
    try:
        return {"Path": path, "Rate": memory(value)}
    except ValueError:
        raise ValueError(f"invalid rate for device: {text}. {_RATE_FORMAT}") from None


def operation_rate(text: str) -> dict[str, Any]:
    """Return the API's form of "path:rate". Raises `ValueError`."""
    path, value = _split(text)
    if not value.isdecimal():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(value)}


def _split(text: str) -> tuple[str, str]:
    path, separator, value = text.partition(":")
    if not separator:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def gpus(text: str) -> dict[str, Any]:
    """Return a device request of "all", "2" or "device=…,capabilities=…". Raises `ValueError`."""
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Options": {}}
    capabilities = ["gpu"]
    for field in _comma_fields(text):
        key, separator, value = field.partition("=")
        if not separator:
            key, value = "count", field
        if key == "count":
            request["Count"] = _count(value)
        elif key == "driver":
            request["Driver"] = value
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "capabilities":
            capabilities = [*value.split(","), "gpu"]
        elif key == "options":
            request["Options"] = dict(option.partition("=")[::2] for option in value.split(","))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if not request["Count"] and not request["DeviceIDs"]:
        request["Count"] = 1
    return {**request, "Capabilities": [sorted(set(capabilities))]}


def _comma_fields(text: str) -> list[str]:
    from proa.cli.options.mounts import fields

    return fields(text)


def _count(text: str) -> int:
    if text == "all":
        return -1
    if not text.isdecimal():
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax')
    return int(text)


def devices_body(options: Options, body: dict[str, Any]) -> None:
    host = body["HostConfig"]
    plain = [text for text in options["device"] if not _is_cdi(text)]
    named = [text for text in options["device"] if _is_cdi(text)]
    host["Devices"] = [_mapping(text) for text in plain]
    if named:
        host.setdefault("DeviceRequests", []).append({"Driver": "cdi", "DeviceIDs": named})


def _mapping(text: str) -> dict[str, str]:
    _check_device(text)
    host, *rest = text.split(":")
    container, permissions = host, "rwm"
    if len(rest) == 2:
        container, permissions = rest
    elif rest and _is_permissions(rest[0]):
        permissions = rest[0]
    elif rest:
        container = rest[0]
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions}


def gpus_body(options: Options, body: dict[str, Any]) -> None:
    body["HostConfig"].setdefault("DeviceRequests", []).append(options["gpus"])


def throttles_body(options: Options, body: dict[str, Any]) -> None:
    for flag, field in _THROTTLES.items():
        if options[flag]:
            body["HostConfig"][field] = options[flag]
