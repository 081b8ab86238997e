"""Paths inside a container's root, resolved so that no symbolic link of the image leads out of it.

openat2(2) with RESOLVE_IN_ROOT treats absolute links and ".." as chroot(2) would, without its races
(CVE-2021-30465, CVE-2019-19921 are what happens otherwise).
"""

from __future__ import annotations

import os
import stat

from proa.linux.openat import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


def open_in_root(root_fd: int, path: str, flags: int = os.O_PATH) -> int:
    """Open an existing `path` below the directory `root_fd`."""
    return openat2(root_fd, path.lstrip("/") or ".", flags | os.O_CLOEXEC, 0, _RESOLVE)


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Return an O_PATH descriptor of the directory `path`, created with its parents where missing."""
    current = os.dup(root_fd)
    done = ""
    for name in path.split("/"):
        if name in ("", "."):
            continue
        done = f"{done}/{name}"
        try:
            following = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            _make_directory(name, mode, current)
            following = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
        os.close(current)
        current = following
    return current


def _make_directory(name: str, mode: int, parent: int) -> None:
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        pass  # made by somebody else meanwhile, or a dangling link: opening it tells


def open_target(root_fd: int, path: str, *, directory: bool) -> int:
    """Return an O_PATH descriptor of a mount's target, made as a directory or empty file if missing."""
    try:
        return open_in_root(root_fd, path)
    except FileNotFoundError:
        pass
    if directory:
        return make_directories(root_fd, path)
    parent, _, name = path.rstrip("/").rpartition("/")
    parent_fd = make_directories(root_fd, parent)
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755, dir_fd=parent_fd))
    finally:
        os.close(parent_fd)
    return open_in_root(root_fd, path)


def is_directory(fd: int) -> bool:
    """Whether `fd` refers to a directory."""
    return stat.S_ISDIR(os.fstat(fd).st_mode)
