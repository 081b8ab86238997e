"""What create requests of other API versions mean: fields they do not know yet, and defaults of their time.

The tables follow dockerd 28. A field that a version does not know is left out, as any unknown field of JSON is.
"""

from __future__ import annotations

from typing import Any

from proa.api.versions import Version
from proa.errors import InvalidArgument

MAC_ADDRESS_MOVED = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)

# Path: the first version that knows the field. "*" stands for every entry of a list or an object.
_SINCE: dict[str, Version] = {
    "HostConfig.AutoRemove": (1, 25),
    "HostConfig.PidsLimit": (1, 40),
    "HostConfig.Mounts.*.BindOptions.NonRecursive": (1, 40),
    "HostConfig.ConsoleSize": (1, 42),
    "HostConfig.Mounts.*.BindOptions.CreateMountpoint": (1, 42),
    "HostConfig.Annotations": (1, 43),
    "Healthcheck.StartInterval": (1, 44),
    "HostConfig.Mounts.*.BindOptions.ReadOnlyNonRecursive": (1, 44),
    "HostConfig.Mounts.*.BindOptions.ReadOnlyForceRecursive": (1, 44),
    "HostConfig.Mounts.*.VolumeOptions.Subpath": (1, 45),
    "NetworkingConfig.EndpointsConfig.*.GwPriority": (1, 48),
}
# Path: the first version that knows the field no more.
_UNTIL: dict[str, Version] = {
    "HostConfig.KernelMemory": (1, 42),
    "HostConfig.KernelMemoryTCP": (1, 42),
}
_MOUNT_OPTIONS = {"BindOptions": "bind", "VolumeOptions": "volume", "TmpfsOptions": "tmpfs"}


def adapt(document: dict[str, Any], version: Version) -> list[str]:
    """Change a create request to what it means today; return warnings. Raises `InvalidArgument`."""
    for path, since in _SINCE.items():
        if version < since:
            _remove(document, path.split("."))
    for path, until in _UNTIL.items():
        if version >= until:
            _remove(document, path.split("."))
    if version < (1, 40):
        _share_ipc(document)
    if version < (1, 44):
        _refuse_networks(document)
    _check_mounts(document, version)
    return [MAC_ADDRESS_MOVED] if version >= (1, 44) and document.get("MacAddress") else []


def _remove(value: Any, path: list[str]) -> None:
    step, *rest = path
    if step == "*":
        entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for entry in entries:
            _remove(entry, rest)
    elif isinstance(value, dict):
        if rest:
            _remove(value.get(step), rest)
        else:
            value.pop(step, None)


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _share_ipc(document: dict[str, Any]) -> None:
    """Before 1.40 every container's IPC namespace could be joined."""
    host = document.setdefault("HostConfig", {})
    if isinstance(host, dict) and not host.get("IpcMode"):
        host["IpcMode"] = "shareable"


def _refuse_networks(document: dict[str, Any]) -> None:
    names = _object(_object(document, "NetworkingConfig"), "EndpointsConfig")
    if len(names) > 1:
        raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {', '.join(names)}")


def _check_mounts(document: dict[str, Any], version: Version) -> None:
    mounts = _object(document, "HostConfig").get("Mounts")
    for mount in mounts if isinstance(mounts, list) else ():
        if not isinstance(mount, dict):
            continue
        if version < (1, 48) and mount.get("Type") == "image":
            raise InvalidArgument('Mount type "Image" needs API v1.48 or newer')
        for options, kind in _MOUNT_OPTIONS.items():
            if version >= (1, 42) and mount.get(options) is not None and mount.get("Type") != kind:
                raise InvalidArgument(f'{options} must not be specified on mount type "{mount.get("Type", "")}"')
