"""Reading containers' logs: Docker's json-file, {"log", "stream", "attrs", "time"} a line, over `files.py`.

`shim/jsonlog.py` writes what is read here, for every driver whose log can be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec

from proa import times
from proa.engine.logs.files import Chain, in_thread
from proa.engine.watching import watch
from proa.errors import InvalidArgument

_QUICK = 0.02  # seconds until the second look at a container that seems about to end
_SLOW = 0.5  # seconds between looks at one that is silent; changes of the log are told at once
_POLL = 0.2  # the same when nothing is told


_DAMAGE = (msgspec.MsgspecError, UnicodeDecodeError, InvalidArgument)


class LogRequest(msgspec.Struct, kw_only=True, frozen=True):
    """What to read. Moments are nanoseconds since the epoch, both inclusive."""

    stdout: bool = True
    stderr: bool = True
    since: int | None = None
    until: int | None = None
    tail: int | None = None  # records from the end, of both streams; None for all
    follow: bool = False
    timestamps: bool = False  # whether the caller will show them
    details: bool = False  # whether lines come with their attributes


class Place(msgspec.Struct):
    """How far a log was read: a file's inode and an offset in it. The default is before everything."""

    inode: int = 0
    offset: int = 0


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """One record: a line with its newline, or a part of a long one without."""

    stream: str  # stdout, stderr
    time: int  # nanoseconds since the epoch
    line: bytes
    attributes: dict[str, str] = {}


class _Record(msgspec.Struct, gc=False):
    log: str
    stream: str
    time: str


class _DetailedRecord(_Record):
    attrs: dict[str, str] = {}


class _Time(msgspec.Struct, gc=False):
    time: str


def read(
    path: Path, request: LogRequest, running: Callable[[], bool], place: Place | None = None
) -> AsyncGenerator[LogLine]:
    """Yield the lines of the log at `path`, one by one; see `pieces`."""
    return lines(pieces(path, request, running, place))


async def lines(found: AsyncGenerator[list[LogLine]]) -> AsyncGenerator[LogLine]:
    """Yield lines one by one."""
    async with aclosing(found):
        async for piece in found:
            for line in piece:
                yield line


async def pieces(
    path: Path, request: LogRequest, running: Callable[[], bool], place: Place | None = None
) -> AsyncGenerator[list[LogLine]]:
    """Yield the lines of the log at `path` that are asked for, the oldest first, as many at once as are there.

    With `follow` it goes on while `running()`, until all that was written before the end is read, or `until`
    has passed. A missing log is an empty one; what is no record is skipped. With a `place` it begins there, and
    tells there how far it came. Raises `KernelError`.
    """
    decode = Decoder(request)
    with Chain(path) as chain:
        ends = None if request.follow else chain.sizes()
        if request.tail is not None or request.since is not None:
            await in_thread(lambda: chain.seek(request.tail, request.since, decode.moment, ends))
        if place and place.inode:
            chain.go_to(place.inode, place.offset)
        async for records in chain.pieces(ends):
            yield list(decode(records))
            if place:
                place.inode, place.offset = chain.files[0].inode, chain.files[0].whole
            if decode.finished:
                return
            await asyncio.sleep(0)  # others want to live while gigabytes are read
        if not request.follow:
            return
        with watch(path.parent) as change:
            delay = _QUICK
            while not decode.finished:
                alive = running()  # asked before reading: what came before the end is read
                async for records in chain.pieces():
                    yield list(decode(records))
                    if place:
                        place.inode, place.offset = chain.files[0].inode, chain.files[0].whole
                    await asyncio.sleep(0)
                if not alive or decode.is_past(times.now()):
                    return
                changed = await change.wait(decode.limited(delay))
                delay = _QUICK if changed else min(delay * 2, _SLOW if change.live else _POLL)


class Decoder:
    """Turns records into the lines that are asked for; `finished` once one was later than `until`."""

    def __init__(self, request: LogRequest) -> None:
        self._since = request.since
        self._until = request.until
        streams = {"stdout": request.stdout, "stderr": request.stderr}
        self._streams = {name for name, wanted in streams.items() if wanted}
        self._decode = msgspec.json.Decoder(_DetailedRecord if request.details else _Record).decode
        self._decode_time = msgspec.json.Decoder(_Time).decode
        self._second_text = ""
        self._second = 0
        self.finished = False

    def __call__(self, records: Iterable[bytes]) -> Iterator[LogLine]:
        for raw in records:
            try:
                record = self._decode(raw)
                time = self._time(record.time)
            except _DAMAGE:
                # After a power loss a file may begin with zeros where a record was being written.
                continue
            if self._until is not None and time > self._until:
                self.finished = True
                return
            if record.stream in self._streams and (self._since is None or time >= self._since):
                line = record.log.encode()
                if isinstance(record, _DetailedRecord):
                    yield LogLine(record.stream, time, line, record.attrs)
                else:
                    yield LogLine(record.stream, time, line)

    def moment(self, raw: bytes) -> int | None:
        """Return when a record was written, None if it is damaged."""
        try:
            return self._time(self._decode_time(raw).time)
        except _DAMAGE:
            return None

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
