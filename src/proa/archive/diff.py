"""What a container's writable layer changes in the layers below it (`docker diff`).

The writable layer may be in use: every directory is opened without following links, and what vanishes
meanwhile is left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from proa.archive import attributes
from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.lowers import Level, Lowers
from proa.archive.overlay import is_opaque, is_whiteout
from proa.archive.tree import entries, opened


class Kind(IntEnum):
    """Docker's numbers for changes; its CLI prints C, A and D."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One changed path, absolute in the container."""

    path: str
    kind: Kind


def changes(upper: str | os.PathLike[str], lowers: Sequence[str | os.PathLike[str]]) -> list[Change]:
    """Return how the directory `upper` changes what `lowers` (topmost first) show, sorted by path.

    As Docker's: a file is modified when owner, mode, size, time or attributes differ; a directory when its
    owner, mode or attributes do, or anything in it is changed; below a deleted directory nothing is listed.
    """
    root = os.open(upper, OPEN_DIRECTORY)
    try:
        with Lowers(lowers) as stack:
            found = dict(_compare(root, stack))
    finally:
        os.close(root)
    for path in list(found):
        parent = path.rpartition(b"/")[0]
        while parent and parent not in found:
            found[parent] = Kind.MODIFIED
            parent = parent.rpartition(b"/")[0]
    return [Change("/" + os.fsdecode(path), kind) for path, kind in sorted(found.items())]


def _compare(root: int, stack: Lowers) -> Iterator[tuple[bytes, Kind]]:
    """Yield what is changed, without the directories that are only because something in them is."""
    pending: list[tuple[bytes, Level]] = [(b"", stack.root)]
    while pending:
        path, level = pending.pop()
        with opened(root, path) as directory:
            here = entries(directory)
            # A directory made anew in the place of a deleted one hides all that is not in it.
            if directory is not None and level and path and is_opaque(directory):
                for name in stack.names(level, path) - {name for name, _ in here}:
                    yield path + b"/" + name, Kind.DELETED
            for name, status in here:
                child = path + b"/" + name if path else name
                below = stack.find(level, child)
                if is_whiteout(status):
                    if below is not None:
                        yield child, Kind.DELETED
                    continue
                if below is None:
                    yield child, Kind.ADDED
                elif directory is not None and _differs(directory, name, status, child, below):
                    yield child, Kind.MODIFIED
                if stat.S_ISDIR(status.st_mode):
                    pending.append((child, stack.enter(level, child) if below is not None else ()))


def _differs(
    directory: int, name: bytes, status: os.stat_result, path: bytes, below: tuple[int, os.stat_result]
) -> bool:
    layer, old = below
    if (status.st_mode, status.st_uid, status.st_gid, status.st_rdev) != (
        old.st_mode,
        old.st_uid,
        old.st_gid,
        old.st_rdev,
    ):
        return True
    if not stat.S_ISDIR(status.st_mode) and (status.st_size, status.st_mtime_ns) != (
        old.st_size,
        old.st_mtime_ns,
    ):
        return True
    try:
        here = attributes.get_all(attributes.of_name(directory, name))
    except FileNotFoundError:
        return False
    return here != attributes.get_all(attributes.of_name(layer, path))
