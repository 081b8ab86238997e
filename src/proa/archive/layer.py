"""Write a container's writable layers as one OCI layer: what `commit` makes, in one pass over the directories.

Equal directories give equal archives: entries are sorted, names of owners left out. The topmost may be in use;
what vanishes meanwhile is left out, a file that shrinks is filled up with zeros.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from proa.archive.delta import Delta, Entry
from proa.archive.lowers import Level, Lowers
from proa.archive.members import Members
from proa.archive.overlay import OPAQUE_NAME, WHITEOUT_PREFIX, is_whiteout
from proa.archive.tree import opened
from proa.archive.writer import Writer
from proa.errors import KernelError


def write_layer(
    uppers: Sequence[str | os.PathLike[str]],
    lowers: Sequence[str | os.PathLike[str]],
    out: Callable[[bytes], object],
) -> None:
    """Write what `uppers` change in `lowers` (both topmost first) as an uncompressed tar, in pieces, to `out`.

    Deletions become whiteouts, directories made anew opaque ones; hard links, devices, FIFOs, owners,
    attributes and times to the nanosecond are kept; sockets are left out, as everywhere. Raises
    `KernelError` naming the path that cannot be read; `out` should raise no `OSError` of its own.
    """
    with Delta(uppers) as delta, Lowers(lowers) as stack:
        _Layer(delta, stack, Writer(out)).write()


class _Place(NamedTuple):
    """A directory that is still to be written, with the levels of the directory that it is in."""

    path: bytes
    own: Level
    below: Level


class _Layer:
    def __init__(self, delta: Delta, stack: Lowers, writer: Writer) -> None:
        self._delta = delta
        self._stack = stack
        self._writer = writer
        self._members = Members(writer)

    def write(self) -> None:
        # Directories wait with the levels of what they are in; all else of a directory is written at once.
        pending: list[_Place] = []
        self._contents(_Place(b"", self._delta.root, self._stack.root), pending)
        while pending:
            self._directory(pending.pop(), pending)
        self._writer.finish()

    def _directory(self, place: _Place, pending: list[_Place]) -> None:
        path = place.path
        own, hides = self._delta.enter(place.own, path)
        if not own:
            return  # it vanished meanwhile
        with opened(own[0], path) as directory:
            if directory is None:
                return
            self._members.directory(path, directory)
        below = self._stack.enter(place.below, path)
        if below and hides:
            self._writer.add(path + b"/" + OPAQUE_NAME)
            below = ()
        self._contents(_Place(path, own, below), pending)

    def _contents(self, place: _Place, pending: list[_Place]) -> None:
        """Write what is in a directory, whose own levels are given."""
        deeper = []
        path = place.path
        with self._delta.contents(place.own, path) as here:
            for entry in sorted(here, key=lambda entry: entry.name):
                child = path + b"/" + entry.name if path else entry.name
                if stat.S_ISDIR(entry.status.st_mode):
                    deeper.append(_Place(child, place.own, place.below))
                elif is_whiteout(entry.status):
                    if self._stack.find(place.below, child) is not None:
                        mark = WHITEOUT_PREFIX + entry.name
                        self._writer.add(path + b"/" + mark if path else mark)
                else:
                    self._try_entry(entry, child)
        pending += reversed(deeper)

    def _try_entry(self, entry: Entry, path: bytes) -> None:
        try:
            self._members.add(entry.directory, entry.name, path, entry.status)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"read /{os.fsdecode(path)}", error.errno or errno.EIO) from error
