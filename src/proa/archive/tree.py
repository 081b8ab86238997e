"""Whole directory trees: removing and measuring them, however deep, without ever following a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

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
    with os.scandir(directory) as entries:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
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
    paths = [b"."]
    while paths:
        path = paths.pop()
        for name, status in _statuses(directory, path):
            if stat.S_ISDIR(status.st_mode):
                paths.append(path + b"/" + name)
            elif status.st_nlink > 1:
                key = (status.st_dev, status.st_ino)
                if key not in seen:
                    seen.add(key)
                    total += status.st_size
            else:
                total += status.st_size
    return total


def _statuses(root: int, path: bytes) -> list[tuple[bytes, os.stat_result]]:
    try:
        descriptor = openat2(root, path, _OPEN, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except (FileNotFoundError, NotADirectoryError):
        return []  # a running container removed or replaced it meanwhile
    result = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    result.append((os.fsencode(entry.name), entry.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue
    finally:
        os.close(descriptor)
    return result
