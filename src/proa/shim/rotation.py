"""A file that is written on and on and never grows without bound: path, then path.1, path.2 … the older ones.

With `compress` an older file becomes path.N.gz. That is a forked child's work, at the lowest priority: the
container writes on meanwhile, no engine is needed for it (a shim outlives engines), and the memory that a
compressor takes is gone with the child. Only the shim renames, so a rotation during the child's work is no
race: it knows which number its file has by now.
"""

from __future__ import annotations

import gc
import os

from proa.linux import process

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import NoReturn

_READ = 1 << 18
_GZIP, _DEFLATE, _COMMENT, _UNIX = b"\x1f\x8b", 8, 0x10, 3  # RFC 1952


class RotatedFile:
    """Appends to `path`; starts a new file at `max_size` bytes (0: never) and keeps `max_files` of them."""

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1, compress: bool = False) -> None:
        self.path = path
        self.lost = 0  # bytes that could not be written
        self._max_size = max_size
        self._max_files = max_files
        self._compress = compress
        self._child = 0  # the process that compresses
        self._compressing = 0  # the number of its file; 0 for one that is gone
        self._fd = self._open()
        self.size = os.fstat(self._fd).st_size
        if compress:
            _remove(f"{path}.gz.tmp")
            self._compress_next()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def append(self, records: bytes) -> None:
        """Write whole lines, none to a file that is full already: one passes the limit by a line at most."""
        while self._max_size:
            if self.size >= self._max_size:
                self._rotate()
            end = records.find(b"\n", self._max_size - self.size - 1) + 1
            if end in (0, len(records)):
                break
            self._put(records[:end])
            records = records[end:]
        self._put(records)

    def reaped(self, pid: int, status: int) -> None:
        """Take note of a child process's end, which may be the one that compresses."""
        if pid != self._child or not pid:
            return
        self._child = 0
        if status:
            # Killed, or the disk is full: the file stays as it is, until the next rotation tries again.
            _remove(f"{self.path}.gz.tmp")
            return
        if self._compressing:
            try:
                os.rename(f"{self.path}.gz.tmp", f"{self.path}.{self._compressing}.gz")
            except FileNotFoundError:
                return  # the whole container was removed
            _remove(f"{self.path}.{self._compressing}")
        self._compress_next()

    def close(self) -> None:
        """Close the file. What is not compressed now will be at the next start."""
        os.close(self._fd)
        if self._child:
            os.kill(self._child, 9)
            _remove(f"{self.path}.gz.tmp")

    def _put(self, records: bytes) -> None:
        view = memoryview(records)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self.lost += len(view)  # a full disk costs log records, never the container
        self.size += len(records)  # what was lost counts, too: a full disk must not be tried again and again

    def _rotate(self) -> None:
        """Begin a new file. Where that is not possible the old one goes on, and the next limit tries again."""
        try:
            if self._max_files > 1:
                self._shift()
            else:
                os.ftruncate(self._fd, 0)
            fd = self._open()
        except OSError:
            self.size = 0
            return
        os.close(self._fd)
        self._fd, self.size = fd, 0
        if self._compress:
            self._compress_next()

    def _shift(self) -> None:
        """Rename every file to the next number. The last one's place is free before: it may be either form."""
        last = self._max_files - 1
        for suffix in ("", ".gz"):
            _remove(f"{self.path}.{last}{suffix}")
            for number in range(last, 1, -1):
                try:
                    os.rename(f"{self.path}.{number - 1}{suffix}", f"{self.path}.{number}{suffix}")
                except FileNotFoundError:
                    continue  # not that many files yet, or of the other form
        try:
            os.rename(self.path, f"{self.path}.1")
        except FileNotFoundError:
            pass  # somebody removed it: a new one is made
        if self._compressing:
            self._compressing = self._compressing + 1 if self._compressing < last else 0

    def _compress_next(self) -> None:
        """Have the oldest plain file compressed, unless a child is at work still."""
        if self._child:
            return
        for number in range(self._max_files - 1, 0, -1):
            try:
                # Opened here: by the time the child runs, another file may have its name.
                source = os.open(f"{self.path}.{number}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # there is none, or it is compressed
            self._compressing = number
            try:
                self._child = os.fork()
                if not self._child:
                    _compress_and_exit(source, f"{self.path}.gz.tmp")
            except OSError:
                pass  # no more processes or memory now: the next rotation tries again
            os.close(source)
            return


def _compress_and_exit(reader: int, target: str) -> NoReturn:
    """Be the child: write what `reader` has to `target` in gzip's format.

    Its header tells readers of the file it was: when it was written last, in MTIME, and in the comment its
    inode and that time in nanoseconds: so a file that is being read is known again in its new form.
    """
    try:
        gc.freeze()  # garbage of the parent would close descriptors that have other files here
        process.set_name("proa-log")
        os.nice(19)
        os.closerange(3, reader)  # clients would wait for an end of their connections
        os.closerange(reader + 1, 1 << 16)
        import zlib  # no shim needs it

        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        status = os.fstat(reader)
        header = _GZIP + bytes((_DEFLATE, _COMMENT)) + int(status.st_mtime).to_bytes(4, "little")
        comment = f"inode {status.st_ino} mtime {status.st_mtime_ns}".encode() + b"\0"
        _write(writer, header + bytes((0, _UNIX)) + comment)
        compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        checksum = size = 0
        while data := os.read(reader, _READ):
            checksum = zlib.crc32(data, checksum)
            size += len(data)
            _write(writer, compressor.compress(data))
        trailer = checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
        _write(writer, compressor.flush() + trailer)
        os.fsync(writer)  # the plain file goes after this
        os._exit(0)
    finally:
        os._exit(1)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
