"""Paths inside a container's root, resolved so that no symbolic link of the image leads out of it.

openat2(2) with RESOLVE_IN_ROOT treats absolute links and ".." as chroot(2) would, without its races
(CVE-2021-30465, CVE-2019-19921 are what happens otherwise).
"""

from __future__ import annotations

import errno
import os
import stat

from proa.linux.openat import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_MAX_LINKS = 40  # as many as the kernel follows (MAXSYMLINKS)
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


def evaluate(root_fd: int, base: str, path: str) -> str:
    """Return where `path`, as seen from `base`, leads: absolute, without links and dots; it need not exist.

    Only a name to show or to begin from: what it means may change at any moment. OSError(ELOOP) for a circle.
    """
    pending = (path if path.startswith("/") else f"{base}/{path}").split("/")[::-1]
    real: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del real[-1:]
        elif part not in ("", "."):
            target = _link(root_fd, "/".join([*real, part]))
            if target is None:
                real.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                real.clear()
            pending += target.split("/")[::-1]
    return "/" + "/".join(real)


def _link(root_fd: int, path: str) -> str | None:
    """Return the target of a link, None for everything else."""
    try:
        found = open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.readlink("", dir_fd=found) if stat.S_ISLNK(os.fstat(found).st_mode) else None
    finally:
        os.close(found)
