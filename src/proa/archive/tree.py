"""Whole directory trees: removing and measuring them, however deep, without ever following a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proa.linux.openat import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(dirfd: int, name: str | bytes, pace: Callable[[], None] | None = None) -> None:
    """Remove the directory `name` in `dirfd` with all below; `pace` is called after each removal.

    Uses neither recursion nor a descriptor per level: hostile layers nest directories by the thousand.
    What vanishes meanwhile is no error. The tree must be nobody else's: it climbs by "..".
    """
    names: list[bytes] = [os.fsencode(name)]
    pending: list[list[bytes]] = []
    try:
        current = os.open(names[0], _OPEN, dir_fd=dirfd)
    except FileNotFoundError:
        return
    try:
        pending.append(_empty(current, pace))
        while names:
            if pending[-1]:
                child = pending[-1].pop()
                below = os.open(child, _OPEN, dir_fd=current)
                os.close(current)
                current = below
                names.append(child)
                pending.append(_empty(current, pace))
                continue
            pending.pop()
            finished = names.pop()
            if not names:
                os.rmdir(finished, dir_fd=dirfd)
                return
            above = os.open("..", _OPEN, dir_fd=current)
            os.close(current)
            current = above
            os.rmdir(finished, dir_fd=current)
            if pace is not None:
                pace()
    finally:
        os.close(current)


def _empty(directory: int, pace: Callable[[], None] | None) -> list[bytes]:
    """Remove what is no directory; return the names of the directories."""
    left: list[bytes] = []
    with os.scandir(directory) as listing:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_directory in found:
        try:
            if is_directory:
                left.append(name)
            else:
                os.unlink(name, dir_fd=directory)
                if pace is not None:
                    pace()
        except FileNotFoundError:
            continue
    return left


def tree_size(directory: int) -> int:
    """Return the bytes in the files below an open directory, as Docker counts a layer or a container.

    Links are counted by the length of their target, hard links once, directories not at all.
    """
    total = 0
    seen: set[tuple[int, int]] = set()
    paths = [b""]
    while paths:
        path = paths.pop()
        with opened(directory, path) as descriptor:
            for name, status in entries(descriptor):
                if stat.S_ISDIR(status.st_mode):
                    paths.append(path + b"/" + name if path else name)
                elif status.st_nlink > 1:
                    key = (status.st_dev, status.st_ino)
                    if key not in seen:
                        seen.add(key)
                        total += status.st_size
                else:
                    total += status.st_size
    return total


@contextmanager
def opened(root: int, path: bytes) -> Iterator[int | None]:
    """Open the directory `path` below `root`, no component of which may be a link: a running container may
    put one there at any moment. None when the directory is gone or no longer one."""
    try:
        descriptor = openat2(root, path or b".", _OPEN, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def entries(directory: int | None) -> list[tuple[bytes, os.stat_result]]:
    """Return names and statuses in a directory; what vanishes meanwhile is left out, as is all for None."""
    found: list[tuple[bytes, os.stat_result]] = []
    if directory is None:
        return found
    with os.scandir(directory) as listing:
        for entry in listing:
            try:
                found.append((os.fsencode(entry.name), entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue
    return found
