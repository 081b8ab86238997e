"""What of /proc and /sys a container may not change, and what it may not even see."""

from __future__ import annotations

import os

from proa.linux import mount
from proa.runtime import inroot
from proa.runtime.failure import step

_CLONE = mount.OPEN_TREE_CLONE | mount.AT_EMPTY_PATH


def make_read_only(root_fd: int, path: str) -> None:
    """Mount `path`, below the directory `root_fd`, read-only over itself, if it is there."""
    with step(f"make {path} read-only"):
        target = _open(root_fd, path)
        if target < 0:
            return
        tree = mount.open_tree(target, "", _CLONE | mount.AT_RECURSIVE)
        mount.mount_setattr(tree, set=mount.MOUNT_ATTR_RDONLY, recursive=True)
        _cover(target, tree)


def mask(root_fd: int, path: str, null_fd: int) -> None:
    """Hide a path: below a null device, open as `null_fd`, or an empty read-only tmpfs if it is a directory."""
    with step(f"mask {path}"):
        target = _open(root_fd, path)
        if target < 0:
            return
        if inroot.is_directory(target):
            tree = mount.new_mount("tmpfs", {}, mount.MOUNT_ATTR_RDONLY, "tmpfs")
        else:
            tree = mount.open_tree(null_fd, "", _CLONE)
        _cover(target, tree)


def _open(root_fd: int, path: str) -> int:
    try:
        return os.open(path.lstrip("/"), os.O_PATH | os.O_CLOEXEC, dir_fd=root_fd)
    except FileNotFoundError:
        return -1  # not on this kernel


def _cover(target: int, tree: int) -> None:
    mount.move_mount(tree, target)
    os.close(target)
    os.close(tree)
