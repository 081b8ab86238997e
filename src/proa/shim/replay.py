"""The end of a log's files again, for a client that attaches and wants what was before.

The engine has sent it nearly everything. It says where it stopped reading, as a file's inode and an offset,
and this process, which alone knows what is written next, sends the rest: what follows live begins exactly
behind it.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator

_FARTHEST = 8  # files to look back: more would be more than a client is sent in one go anyway


def behind(path: str, inode: int, offset: int) -> list[tuple[str, int]] | None:
    """Return the files with what comes after a position, the oldest first, each with where to begin.

    An `inode` of 0 is before everything. None if the position is in none of the latest files.
    """
    found: list[tuple[str, int]] = []
    for number in range(_FARTHEST):
        name = f"{path}.{number}" if number else path
        try:
            status = os.stat(name)
        except FileNotFoundError:
            break
        if status.st_ino == inode:
            # A file that became shorter was emptied by its rotation.
            found.append((name, offset if offset <= status.st_size else 0))
            return found[::-1]
        found.append((name, 0))
    return None if inode else found[::-1]


def size(files: list[tuple[str, int]]) -> int:
    """Return how many bytes `records` of these would read."""
    return sum(os.stat(name).st_size - begin for name, begin in files)


def records(files: list[tuple[str, int]]) -> Iterator[tuple[str, bytes]]:
    """Yield stream and bytes of each record."""
    for name, begin in files:
        with open(name, "rb") as file:  # noqa: PTH123 - lean
            file.seek(begin)
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # torn by a full disk
                yield record["stream"], record["log"].encode()
