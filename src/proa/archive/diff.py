"""What a container's writable layers change in the layers below them (`docker diff`).

The topmost may be in use: what vanishes meanwhile is left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from proa.archive import attributes
from proa.archive.delta import Delta, Entry
from proa.archive.lowers import Level, Lowers
from proa.archive.overlay import is_whiteout


class Kind(IntEnum):
    """Docker's numbers for changes; its CLI prints C, A and D."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """One changed path, absolute in the container."""

    path: str
    kind: Kind


def changes(uppers: Sequence[str | os.PathLike[str]], lowers: Sequence[str | os.PathLike[str]]) -> list[Change]:
    """Return how the directories `uppers` change what `lowers` show, sorted by path; both are topmost first.

    As Docker's: a file is modified when owner, mode, size, time or attributes differ; a directory when its
    owner, mode or attributes do, or anything in it is changed; below a deleted directory nothing is listed.
    """
    with Delta(uppers) as delta, Lowers(lowers) as stack:
        found = dict(_compare(delta, stack))
    for path in list(found):
        parent = path.rpartition(b"/")[0]
        while parent and parent not in found:
            found[parent] = Kind.MODIFIED
            parent = parent.rpartition(b"/")[0]
    return [Change("/" + os.fsdecode(path), kind) for path, kind in sorted(found.items())]


def _compare(delta: Delta, stack: Lowers) -> Iterator[tuple[bytes, Kind]]:
    """Yield what is changed, without the directories that are only because something in them is."""
    pending: list[tuple[bytes, Level, Level, bool]] = [(b"", delta.root, stack.root, False)]
    while pending:
        path, own, level, hides = pending.pop()
        with delta.contents(own, path) as here:
            # A directory made anew in the place of a deleted one hides all that is not in it.
            if hides and level:
                for name in stack.names(level, path) - {entry.name for entry in here}:
                    yield path + b"/" + name, Kind.DELETED
            for entry in here:
                child = path + b"/" + entry.name if path else entry.name
                below = stack.find(level, child)
                if is_whiteout(entry.status):
                    if below is not None:
                        yield child, Kind.DELETED
                    continue
                if below is None:
                    yield child, Kind.ADDED
                elif _differs(entry, child, below):
                    yield child, Kind.MODIFIED
                if stat.S_ISDIR(entry.status.st_mode):
                    deeper, hidden = delta.enter(own, child)
                    if deeper:  # else it vanished meanwhile
                        pending.append(
                            (child, deeper, stack.enter(level, child) if below is not None else (), hidden)
                        )


def _differs(entry: Entry, path: bytes, below: tuple[int, os.stat_result]) -> bool:
    (layer, old), status = below, entry.status
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
        here = attributes.get_all(attributes.of_name(entry.directory, entry.name))
    except FileNotFoundError:
        return False
    return here != attributes.get_all(attributes.of_name(layer, path))
