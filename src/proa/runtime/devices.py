"""Device nodes and the links that programs expect in /dev."""

from __future__ import annotations

import os
import stat

from proa.runtime import defaults, inroot
from proa.runtime.failure import step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}


def make_defaults(dev_fd: int) -> None:
    """Fill an empty /dev: the default nodes, and links."""
    for device in defaults.DEVICE_NODES:
        with step(f"create device {device['path']}"):
            _make_node(dev_fd, device["path"].rpartition("/")[2], device)
    for name, target in _LINKS.items():
        if name == "core" and not os.path.exists(target):
            continue  # a kernel without CONFIG_PROC_KCORE
        try:
            os.symlink(target, name, dir_fd=dev_fd)
        except FileExistsError:
            pass  # a mount made it


def make(root_fd: int, devices: Any) -> None:
    """Create the devices that a specification asks for; they take precedence over links."""
    for device in devices:
        with step(f"create device {device['path']}"):
            directory, _, name = device["path"].rpartition("/")
            parent = inroot.make_directories(root_fd, directory)
            try:
                _make_node(parent, name, device)
            finally:
                os.close(parent)


def _make_node(parent: int, name: str, device: dict[str, Any]) -> None:
    mode = _TYPES[device["type"]] | device.get("fileMode", 0o666)
    number = os.makedev(device.get("major", 0), device.get("minor", 0))
    mask = os.umask(0)
    try:
        os.mknod(name, mode, number, dir_fd=parent)
    except FileExistsError:
        if not stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode):
            return  # asked for twice, or already there through a mount
        os.unlink(name, dir_fd=parent)
        os.mknod(name, mode, number, dir_fd=parent)
    finally:
        os.umask(mask)
    os.chown(name, device.get("uid", 0), device.get("gid", 0), dir_fd=parent, follow_symlinks=False)
