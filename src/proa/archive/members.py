"""Writing files, links, devices and directories of a tree that may be in use as members of an archive.

What is replaced meanwhile is left out, a large file that shrinks is filled up with zeros; sockets are left out,
as everywhere. Files with several names become hard links to the first one written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from proa.archive import attributes
from proa.archive.entry import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from proa.archive.writer import Writer

_READ = 256 << 10
# A FIFO put in a file's place must not make us wait.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NODES = {stat.S_IFCHR: CHARACTER, stat.S_IFBLK: BLOCK_DEVICE, stat.S_IFIFO: FIFO}


class Refused(OSError):
    """The kernel makes up this file, in /sys or /proc, and lets nobody read it: a switch, a device that is off."""


class Members:
    """Adds members to one archive. Raises `OSError` for what can not be read."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._first: dict[tuple[int, int], bytes] = {}  # of each file with several names: the one written

    def directory(self, path: bytes, descriptor: int) -> None:
        """Add an open directory, without what is in it."""
        self._add(path, DIRECTORY, os.fstat(descriptor), xattrs=attributes.get_all(descriptor))

    def empty(self, path: bytes, *, is_directory: bool, mtime: int) -> None:
        """Add what something else is mounted on, as it usually is: root's, with mode 0755, empty."""
        self._writer.add(path, DIRECTORY if is_directory else REGULAR, mode=0o755, mtime=mtime)

    def add(self, directory: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        """Add what `name` in `directory` is, under the name `path`; with `Refused` nothing has been written."""
        key = (status.st_dev, status.st_ino)
        if key in self._first:
            self._add(path, HARD_LINK, status, link=self._first[key])
            return
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            if not self._file(directory, name, path, made_up=not status.st_blocks):
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

    def _file(self, directory: int, name: bytes, path: bytes, *, made_up: bool) -> bool:
        with _refusing(made_up):
            descriptor = os.open(name, _OPEN_FILE, dir_fd=directory)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return False  # replaced since it was listed
            with _refusing(made_up):
                head = _head(descriptor, status.st_size)
            size = len(head) if len(head) < _READ else max(len(head), status.st_size)
            self._add(path, REGULAR, status, size=size, xattrs=attributes.get_all(descriptor))
            self._writer.data(head)
            left = size - len(head)
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


@contextmanager
def _refusing(made_up: bool) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if made_up and not isinstance(error, FileNotFoundError):
            raise Refused(error.errno, error.strerror) from error
        raise


def _head(descriptor: int, size: int) -> bytes:
    """Return the first `_READ` bytes of a file: all that a smaller one holds.

    `size` is what it says of itself. In /sys that is a page for a few bytes, in /proc zero.
    """
    head = os.read(descriptor, _READ)
    while len(head) < _READ and len(head) != size and (more := os.read(descriptor, _READ - len(head))):
        head += more
    return head
