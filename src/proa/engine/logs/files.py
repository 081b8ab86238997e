"""The files of a log: which there are, in which order, and getting to a place in them without reading them.

    path.3.gz  path.2.gz  path.1  path          the oldest first; the last one is being written

Files are read in pieces, from the place where the reading shall begin: a log of gigabytes costs no more
memory than a small one. A file keeps its descriptor while it is renamed, so rotation loses nothing for a
follower. A compressed one is unpacked next to the log, into a file without a name, when it is its turn.
`shim/rotation.py` is the other side.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self, TypeVar

from proa import times
from proa.errors import KernelError

_CHUNK = 64 << 10  # bytes read at a time
_UNPACK = 1 << 20
_MAX_RECORD = 1 << 20  # bytes: a record has 16 KiB of output, six times that when all is escaped
_HEADER = 100  # bytes at the beginning of a compressed file that have MTIME and the comment
_COMMENT = re.compile(rb"inode (\d+) mtime (\d+)\0")
_WINDOW = 4  # files among which one can be there twice

Moment = Callable[[bytes], int | None]  # of a record: nanoseconds since the epoch, None if it is damaged
T = TypeVar("T")


class LogFile:
    """One open log file and how far it is read."""

    def __init__(self, path: Path) -> None:
        self._directory = path.parent
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._packed = -1  # the compressed file, while `descriptor` is that or what is in it
        self.ready = True
        status = os.fstat(self.descriptor)
        self.identity = status.st_dev, status.st_ino
        self.origin: tuple[int, int] | None = None  # inode and mtime in nanoseconds before it was compressed
        self.latest: int | None = None  # seconds since the epoch of the last record, if the file says so
        if path.suffix == ".gz":
            self._packed, self.ready = self.descriptor, False
            self._read_header()
        self.position = 0  # of what is read; the rest of it that is no whole record is in `_rest`
        self._rest = b""
        self._skipping = False  # inside a line that is too long to be a record
        self.skipped = False  # nothing of it is wanted

    def _read_header(self) -> None:
        """Learn which file it was before it was compressed, and when that was written last."""
        header = os.pread(self.descriptor, _HEADER, 0)
        self.latest = int.from_bytes(header[4:8], "little")
        if found := _COMMENT.match(header, 10):
            self.origin = int(found[1]), int(found[2])

    @property
    def inode(self) -> int:
        """The inode it was written with."""
        return self.origin[0] if self.origin else self.identity[1]

    def is_same(self, other: LogFile) -> bool:
        """Whether both are one file of the log, maybe before and after its compression.

        The inode alone would not do: once the plain file is gone, a new one gets it.
        """
        if self.identity == other.identity:
            return True
        mine, others = self._written(), other._written()
        return (self.origin or mine) == (other.origin or others) and (self.origin or other.origin) is not None

    def _written(self) -> tuple[int, int]:
        status = os.fstat(self.descriptor)
        return status.st_ino, status.st_mtime_ns

    def unpack(self) -> None:
        """Make the records of a compressed file readable; raises `KernelError`. What is damaged ends it."""
        with tempfile.TemporaryFile(dir=self._directory) as target:
            decompress = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            place = 0
            try:
                while data := os.pread(self._packed, _UNPACK, place):
                    place += len(data)
                    target.write(decompress.decompress(data))
                target.flush()
            except zlib.error:
                target.flush()  # what was before the damage is shown
            except OSError as error:
                raise KernelError("unpack log", error.errno or 0) from error
            self.descriptor = os.dup(target.fileno())
        self.ready = True

    def pack(self) -> None:
        """Give the unpacked records back: they are not read now."""
        if self._packed >= 0 and self.ready:
            os.close(self.descriptor)
            self.descriptor, self.ready = self._packed, False

    def close(self) -> None:
        if self._packed not in (-1, self.descriptor):
            os.close(self._packed)
        os.close(self.descriptor)

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    @property
    def whole(self) -> int:
        """The place behind the last record that was read."""
        return self.position - len(self._rest)

    def records(self, end: int | None = None) -> list[bytes] | None:
        """Return the whole records of the next piece, maybe none of them; None at the end."""
        if self.size() < self.position:  # rotation without old files empties the file
            self.position, self._rest, self._skipping = 0, b"", False
        length = _CHUNK if end is None else min(_CHUNK, end - self.position)
        data = self._read(length, self.position) if length > 0 else b""
        if not data:
            return None
        self.position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        if len(self._rest) > _MAX_RECORD:
            self._rest, self._skipping = b"", True
        return lines

    def skip_to_tail(self, count: int, end: int | None = None) -> int:
        """Go to the beginning of the last `count` records before `end`; return how many there are, if fewer."""
        end, missing = self.size() if end is None else end, count
        while end > 0:
            start = max(0, end - _CHUNK)
            block = self._read(end - start, start)
            place = len(block)
            while (place := block.rfind(b"\n", 0, place)) >= 0:
                if missing == 0:
                    self.position = start + place + 1
                    return count
                missing -= 1  # this newline ends a record; the first record has none before it
            end = start
        return count - missing

    def skip_to(self, since: int, moment: Moment) -> None:
        """Go forward to the first record of the moment `since` or later, by halving what is in question.

        Records are taken to be in the order of time. Where the clock was set back meanwhile, records from
        before that may be skipped too; what is shown is later than `since` in any case.
        """
        low, high = self.position, self.size()
        while high - low > _CHUNK:
            middle = (low + high) // 2
            found = self._record_after(middle, high, moment)
            if found is None or found[1] >= since:
                high = middle
            else:
                low = found[0]
        self.position = low

    def _record_after(self, place: int, end: int, moment: Moment) -> tuple[int, int] | None:
        """Return begin and moment of the first readable record that begins between `place` and `end`."""
        data, aligned = b"", False  # `aligned`: a record begins at `place`, where `data` is from
        while place < end and len(data) <= _MAX_RECORD:  # longer is no record
            more = self._read(_CHUNK, place + len(data))
            if not more:
                break
            data += more
            while (newline := data.find(b"\n")) >= 0 and place < end:
                if aligned and (found := moment(data[:newline])) is not None:
                    return place, found
                place, data, aligned = place + newline + 1, data[newline + 1 :], True
        return None

    def _read(self, length: int, place: int) -> bytes:
        try:
            return os.pread(self.descriptor, length, place)
        except OSError as error:
            raise KernelError("read log", error.errno or 0) from error


class Chain:
    """The files of a log, the oldest first, that are not read yet; the last one is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files: list[LogFile] = []

    def __enter__(self) -> Self:
        self.files = self._open_newer_than(None)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.close()

    def sizes(self) -> dict[LogFile, int]:
        """Return where the files end that are being written."""
        return {file: file.size() for file in self.files[-1:]}

    def go_to(self, inode: int, offset: int) -> None:
        """Go behind what was read before. Where that is gone by rotation, all that there is comes after it."""
        for number, file in enumerate(self.files):
            if file.inode == inode:
                file.position = offset
                for older in self.files[:number]:
                    older.skipped = True

    def seek(
        self, tail: int | None, since: int | None, moment: Moment, ends: dict[LogFile, int] | None = None
    ) -> None:
        """Go to the last `tail` records of all files together, and on to the moment `since`. Takes its time.

        With `ends`, the last ones before these: a file that is being written grows meanwhile.
        """
        if tail is not None:
            for file in reversed(self.files):
                if tail == 0 and file is not self.files[-1]:
                    file.skipped = True
                else:
                    tail -= self._skip_to_tail(file, tail, (ends or {}).get(file))
        if since is not None:
            for file in self.files:
                if file.latest is not None and file.latest + 1 < since // times.SECOND:
                    file.skipped = True
                elif file.ready:
                    file.skip_to(since, moment)

    @staticmethod
    def _skip_to_tail(file: LogFile, count: int, end: int | None) -> int:
        if not file.ready:
            file.unpack()
        try:
            return file.skip_to_tail(count, end)
        finally:
            file.pack()  # one at a time takes place on the disk

    async def pieces(self, ends: dict[LogFile, int] | None = None) -> AsyncIterator[list[bytes]]:
        """Yield the records that are there, piece by piece, up to `ends` if given, and across rotations."""
        while self.files or self._advance(None):
            file = self.files[0]
            if not file.skipped:
                if not file.ready:
                    await in_thread(file.unpack)
                while (records := file.records(None if ends is None else ends.get(file))) is not None:
                    yield records
            if file is not self.files[-1]:
                self.files.pop(0).close()
            elif ends is not None or not self._advance(file):
                return

    def _advance(self, last: LogFile | None) -> bool:
        """Find the files that came after `last`; return whether there are any.

        `last` is then read once more: it may have grown before it was renamed.
        """
        newer = self._open_newer_than(last)
        self.files += newer
        return bool(newer)

    def _open_newer_than(self, last: LogFile | None) -> list[LogFile]:
        """Open the files that are newer than `last`, all for None; return them the oldest first.

        They are opened from the newest on, so that a rotation meanwhile shows files twice and hides none.
        """
        opened: list[LogFile] = []
        number = missing = 0
        while missing < 2:  # while files are renamed one may be missing
            name = f"{self._path.name}.{number}" if number else self._path.name
            number += 1
            file = self._open(name) or (self._open(f"{name}.gz") if number > 1 else None)
            if file is None:
                missing += 1
                continue
            missing = 0
            if last and file.is_same(last):
                file.close()
                break
            if any(file.is_same(other) for other in opened[-_WINDOW:]):
                file.close()
                continue
            opened.append(file)
        opened.reverse()
        return opened

    def _open(self, name: str) -> LogFile | None:
        path = self._path.with_name(name)
        try:
            return LogFile(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KernelError(f"open log {path}", error.errno or 0) from error


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread and see it through: descriptors that it uses are not closed before its end."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # nobody is there to hear of it
        raise
