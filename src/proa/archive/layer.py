"""Write a container's writable layer as an OCI layer: what `commit` makes, in one pass over the directory.

Equal directories give equal archives: entries are sorted, names of owners left out. The layer may be in use;
what vanishes meanwhile is left out, a file that shrinks is filled up with zeros.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence

from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.lowers import Level, Lowers
from proa.archive.members import Members
from proa.archive.overlay import OPAQUE_NAME, WHITEOUT_PREFIX, is_opaque, is_whiteout
from proa.archive.tree import entries, opened
from proa.archive.writer import Writer
from proa.errors import KernelError


def write_layer(
    upper: str | os.PathLike[str],
    lowers: Sequence[str | os.PathLike[str]],
    out: Callable[[bytes], object],
) -> None:
    """Write what `upper` changes in `lowers` (topmost first) as an uncompressed tar, in pieces, to `out`.

    Deletions become whiteouts, directories made anew opaque ones; hard links, devices, FIFOs, owners,
    attributes and times to the nanosecond are kept; sockets are left out, as everywhere. Raises
    `KernelError` naming the path that cannot be read; `out` should raise no `OSError` of its own.
    """
    root = os.open(upper, OPEN_DIRECTORY)
    try:
        with Lowers(lowers) as stack:
            _Layer(root, stack, Writer(out)).write()
    finally:
        os.close(root)


class _Layer:
    def __init__(self, root: int, stack: Lowers, writer: Writer) -> None:
        self._root = root
        self._stack = stack
        self._writer = writer
        self._members = Members(writer)

    def write(self) -> None:
        # Directories wait with the level of what they are in; all else of a directory is written at once.
        pending: list[tuple[bytes, Level]] = []
        self._contents(b"", self._stack.root, pending)
        while pending:
            path, level = pending.pop()
            self._directory(path, level, pending)
        self._writer.finish()

    def _directory(self, path: bytes, level: Level, pending: list[tuple[bytes, Level]]) -> None:
        with opened(self._root, path) as directory:
            if directory is None:
                return
            self._members.directory(path, directory)
            below = self._stack.enter(level, path)
            if below and is_opaque(directory):
                self._writer.add(path + b"/" + OPAQUE_NAME)
                below = ()
        self._contents(path, below, pending)

    def _contents(self, path: bytes, level: Level, pending: list[tuple[bytes, Level]]) -> None:
        deeper = []
        with opened(self._root, path) as directory:
            for name, status in sorted(entries(directory)):
                child = path + b"/" + name if path else name
                if stat.S_ISDIR(status.st_mode):
                    deeper.append((child, level))
                elif is_whiteout(status):
                    if self._stack.find(level, child) is not None:
                        mark = WHITEOUT_PREFIX + name
                        self._writer.add(path + b"/" + mark if path else mark)
                elif directory is not None:
                    self._try_entry(directory, name, child, status)
        pending += reversed(deeper)

    def _try_entry(self, directory: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        try:
            self._members.add(directory, name, path, status)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"read /{os.fsdecode(path)}", error.errno or errno.EIO) from error
