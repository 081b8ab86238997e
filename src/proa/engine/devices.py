"""Device nodes and device cgroup rules of a container, from its options and the host's /dev."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from proa.engine.options import ContainerOptions, Device
from proa.errors import InvalidArgument
from proa.runtime import defaults

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
# The host's terminals and the container's own instances are not passed on.
_SKIPPED = frozenset(("pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"))


def nodes(options: ContainerOptions) -> list[dict[str, Any]]:
    """Return `linux.devices`: what --device names; all of the host's for a privileged container."""
    if options.privileged:
        return [node for path in _host_devices("/dev") if (node := _node(path, path))]
    return [node for device in options.devices for node in _expand(device)]


def rules(options: ContainerOptions, privileged: bool) -> list[dict[str, Any]]:
    """Return the device rules, in order: deny everything, the defaults, what was asked for."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    asked = [
        {
            "allow": True,
            "type": node["type"],
            "major": node["major"],
            "minor": node["minor"],
            "access": device.permissions,
        }
        for device in options.devices
        for node in _expand(device)
    ]
    return [*defaults.DEVICE_RULES, *asked, *map(_rule, options.device_cgroup_rules)]


def _rule(text: str) -> dict[str, Any]:
    match = _RULE.fullmatch(text)
    if not match:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    return rule | {key: int(value) for key, value in (("major", major), ("minor", minor)) if value != "*"}


def numbers(path: str) -> dict[str, int]:
    """Return {"major", "minor"} of a block device."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {(error.strerror or '').lower()}") from None
    return {"major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev)}


def _expand(device: Device) -> list[dict[str, Any]]:
    """One node, or every device below a directory."""
    if not set(device.permissions) <= set("rwm") or not device.permissions:
        raise InvalidArgument(f"invalid device mode: {device.permissions}")
    if os.path.isdir(device.host_path):
        found = [
            _node(path, device.container_path + path[len(device.host_path) :])
            for path in _host_devices(device.host_path)
        ]
        return [node for node in found if node]
    node = _node(device.host_path, device.container_path)
    if node is None:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{device.host_path}": '
            + ("not a device node" if os.path.exists(device.host_path) else "no such file or directory")
        )
    return [node]


def _node(path: str, target: str) -> dict[str, Any] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    if stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif stat.S_ISBLK(status.st_mode):
        kind = "b"
    else:
        return None
    return {
        "path": target,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def _host_devices(directory: str) -> list[str]:
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in _SKIPPED or entry.is_symlink():
                continue
            if entry.is_dir():
                found += _host_devices(entry.path)
            elif not entry.is_file():
                found.append(entry.path)
    return sorted(found)
