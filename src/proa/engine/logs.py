"""Reading containers' logs: Docker's json-file, {"log", "stream", "time"} a line, rotated to path.1, path.2, …

Files are read in pieces, from the place where the reading shall begin: a log of gigabytes costs no more
memory than a small one. A file keeps its descriptor while it is renamed, so rotation loses nothing for a
follower. `shim/jsonlog.py` writes what is read here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import msgspec

from proa import times
from proa.engine.watching import watch
from proa.errors import InvalidArgument, KernelError

_CHUNK = 64 << 10  # bytes read at a time
_MAX_RECORD = 1 << 20  # bytes: a record has 16 KiB of output, six times that when all is escaped
_QUICK = 0.02  # seconds until the second look at a container that seems about to end
_SLOW = 0.5  # seconds between looks at one that is silent; changes of the log are told at once
_POLL = 0.2  # the same when nothing is told


class LogRequest(msgspec.Struct, kw_only=True, frozen=True):
    """What to read. Moments are nanoseconds since the epoch, both inclusive."""

    stdout: bool = True
    stderr: bool = True
    since: int | None = None
    until: int | None = None
    tail: int | None = None  # records from the end, of both streams; None for all
    follow: bool = False
    timestamps: bool = False  # whether the caller will show them


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """One record: a line with its newline, or a part of a long one without."""

    stream: str  # stdout, stderr
    time: int  # nanoseconds since the epoch
    line: bytes


class _Record(msgspec.Struct, gc=False):
    log: str
    stream: str
    time: str


async def read(path: Path, request: LogRequest, running: Callable[[], bool]) -> AsyncIterator[LogLine]:
    """Yield the lines of the log at `path` that are asked for, the oldest first.

    With `follow` it goes on while `running()`, until all that was written before the end is read, or `until`
    has passed. A missing log is an empty one; what is no record is skipped. Raises `KernelError`.
    """
    decode = _Decoder(request)
    with _Chain(path) as chain:
        ends = None if request.follow else chain.sizes()
        chain.skip_to_tail(request.tail)
        for records in chain.pieces(ends):
            for line in decode(records):
                yield line
            if decode.finished:
                return
            await asyncio.sleep(0)  # others want to live while gigabytes are read
        if not request.follow:
            return
        with watch(path.parent) as change:
            delay = _QUICK
            while not decode.finished:
                alive = running()  # asked before reading: what came before the end is read
                for records in chain.pieces():
                    for line in decode(records):
                        yield line
                    await asyncio.sleep(0)
                if not alive or decode.is_past(times.now()):
                    return
                changed = await change.wait(decode.limited(delay))
                delay = _QUICK if changed else min(delay * 2, _SLOW if change.live else _POLL)


class _Decoder:
    """Turns records into the lines that are asked for; `finished` once one was later than `until`."""

    def __init__(self, request: LogRequest) -> None:
        self._since = request.since
        self._until = request.until
        streams = {"stdout": request.stdout, "stderr": request.stderr}
        self._streams = {name for name, wanted in streams.items() if wanted}
        self._decode = msgspec.json.Decoder(_Record).decode
        self._second_text = ""
        self._second = 0
        self.finished = False

    def __call__(self, records: Iterable[bytes]) -> Iterator[LogLine]:
        for raw in records:
            try:
                record = self._decode(raw)
                time = self._time(record.time)
            except (msgspec.MsgspecError, UnicodeDecodeError, InvalidArgument):
                # After a power loss a file may begin with zeros where a record was being written.
                continue
            if self._until is not None and time > self._until:
                self.finished = True
                return
            if record.stream in self._streams and (self._since is None or time >= self._since):
                yield LogLine(record.stream, time, record.log.encode())

    def _time(self, text: str) -> int:
        """Parse a record's time. Nearly all are of the same second as the one before, and have nine digits."""
        if text[:20] == self._second_text and len(text) == 30 and text[29] == "Z" and text[20:29].isdecimal():
            return self._second + int(text[20:29])
        time = times.parse_time(text)
        if text[19:20] == "." and text.endswith("Z"):
            self._second_text, self._second = text[:20], time // times.SECOND * times.SECOND
        return time

    def is_past(self, now: int) -> bool:
        return self._until is not None and now > self._until

    def limited(self, delay: float) -> float:
        """Return `delay`, or less when `until` comes sooner."""
        if self._until is None:
            return delay
        return max(0.0, min(delay, (self._until - times.now()) / times.SECOND + 0.001))


class _File:
    """One open log file and how far it is read."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.identity = _identity(os.fstat(self.descriptor))
        self.position = 0  # of what is read; the rest of it that is no whole record is in `_rest`
        self._rest = b""
        self._skipping = False  # inside a line that is too long to be a record

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def records(self, end: int | None = None) -> list[bytes] | None:
        """Return the whole records of the next piece, maybe none of them; None at the end."""
        if self.size() < self.position:  # rotation without old files empties the file
            self.position, self._rest, self._skipping = 0, b"", False
        length = _CHUNK if end is None else min(_CHUNK, end - self.position)
        try:
            data = os.pread(self.descriptor, length, self.position) if length > 0 else b""
        except OSError as error:
            raise KernelError("read log", error.errno or 0) from error
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

    def skip_to_tail(self, count: int) -> int:
        """Go to the beginning of the last `count` records; return how many there are, if fewer."""
        end, missing = self.size(), count
        while end > 0:
            start = max(0, end - _CHUNK)
            block = os.pread(self.descriptor, end - start, start)
            place = len(block)
            while (place := block.rfind(b"\n", 0, place)) >= 0:
                if missing == 0:
                    self.position = start + place + 1
                    return count
                missing -= 1  # this newline ends a record; the first record has none before it
            end = start
        return count - missing


class _Chain:
    """The files of a log, the oldest first, that are not read yet; the last one is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[_File] = []

    def __enter__(self) -> Self:
        self._files = self._open_newer_than(None)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            os.close(file.descriptor)

    def sizes(self) -> dict[_File, int]:
        """Return where each file ends now."""
        return {file: file.size() for file in self._files}

    def skip_to_tail(self, count: int | None) -> None:
        """Go to the last `count` records of all files together."""
        if count is None:
            return
        for file in reversed(self._files):
            if count == 0 and file is not self._files[-1]:
                file.position = file.size()
            else:
                count -= file.skip_to_tail(count)

    def pieces(self, ends: dict[_File, int] | None = None) -> Iterator[list[bytes]]:
        """Yield the records that are there, piece by piece, up to `ends` if given, and across rotations."""
        while self._files or self._advance(None):
            file = self._files[0]
            while (records := file.records(None if ends is None else ends[file])) is not None:
                yield records
            if file is not self._files[-1]:
                os.close(self._files.pop(0).descriptor)
            elif ends is not None or not self._advance(file):
                return

    def _advance(self, last: _File | None) -> bool:
        """Find the files that came after `last`; return whether there are any.

        `last` is then read once more: it may have grown before it was renamed.
        """
        newer = self._open_newer_than(last)
        self._files += newer
        return bool(newer)

    def _open_newer_than(self, last: _File | None) -> list[_File]:
        """Open the files that are newer than `last`, all for None; return them the oldest first.

        They are opened from the newest on, so that a rotation meanwhile shows files twice and hides none.
        """
        opened: list[_File] = []
        known: set[tuple[int, int]] = set()
        number = missing = 0
        while missing < 2:  # while files are renamed one may be missing
            path = self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}")
            number += 1
            try:
                if last is not None and _identity(path.stat()) == last.identity:
                    break
                file = _File(path)
            except FileNotFoundError:
                missing += 1
                continue
            except OSError as error:
                raise KernelError(f"open log {path}", error.errno or 0) from error
            missing = 0
            if file.identity in known or (last is not None and file.identity == last.identity):
                os.close(file.descriptor)
                continue
            known.add(file.identity)
            opened.append(file)
        opened.reverse()
        return opened


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
