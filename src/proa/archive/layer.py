"""Write a container's writable layer as an OCI layer: what `commit` makes, in one pass over the directory.

Equal directories give equal archives: entries are sorted, names of owners left out. The layer may be in use;
what vanishes meanwhile is left out, a file that shrinks is filled up with zeros.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence

from proa.archive import attributes
from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.entry import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from proa.archive.lowers import Level, Lowers
from proa.archive.overlay import OPAQUE_NAME, WHITEOUT_PREFIX, is_opaque, is_whiteout
from proa.archive.tree import entries, opened
from proa.archive.writer import Writer
from proa.errors import KernelError

_READ = 256 << 10
# A FIFO put in a file's place must not make us wait.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NODES = {stat.S_IFCHR: CHARACTER, stat.S_IFBLK: BLOCK_DEVICE, stat.S_IFIFO: FIFO}


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
        self._first: dict[tuple[int, int], bytes] = {}  # of each file with several names: the one written

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
            status = os.fstat(directory)
            self._add(path, DIRECTORY, status, xattrs=attributes.get_all(directory))
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
            self._entry(directory, name, path, status)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"read /{os.fsdecode(path)}", error.errno or errno.EIO) from error

    def _entry(self, directory: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        key = (status.st_dev, status.st_ino)
        if key in self._first:
            self._add(path, HARD_LINK, status, link=self._first[key])
            return
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            if not self._file(directory, name, path):
                return
        elif kind == stat.S_IFLNK:
            link = os.readlink(name, dir_fd=directory)
            self._add(path, SYMLINK, status, link=link, xattrs=self._xattrs(directory, name))
        elif kind in _NODES:
            self._add(path, _NODES[kind], status, xattrs=self._xattrs(directory, name))
        else:
            return
        if status.st_nlink > 1:
            self._first[key] = path

    def _file(self, directory: int, name: bytes, path: bytes) -> bool:
        descriptor = os.open(name, _OPEN_FILE, dir_fd=directory)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return False  # replaced since it was listed
            size = status.st_size
            self._add(path, REGULAR, status, size=size, xattrs=attributes.get_all(descriptor))
            left = size
            while left:
                piece = os.read(descriptor, min(left, _READ)) or bytes(min(left, _READ))
                self._writer.data(piece)
                left -= len(piece)
            self._writer.pad(size)
        finally:
            os.close(descriptor)
        return True

    def _add(
        self,
        path: bytes,
        kind: bytes,
        status: os.stat_result,
        *,
        size: int = 0,
        link: bytes = b"",
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        self._writer.add(
            path,
            kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=size,
            mtime=status.st_mtime_ns,
            link=link,
            device=status.st_rdev,
            xattrs=xattrs,
        )

    @staticmethod
    def _xattrs(directory: int, name: bytes) -> dict[str, bytes]:
        return attributes.get_all(attributes.of_name(directory, name))
