"""The child process of `logprocess.py`: takes the output, cuts it into lines, gives them to the driver.

A driver is a class made of the engine's options; its maker connects at once if `first`, so that a mistake
in the options is told at the container's start. `send` takes one line and returns when it is delivered or
given up.
"""

from __future__ import annotations

import json
import os

from proa.shim.jsonlog import PARTIAL, JsonLog
from proa.shim.logframes import FLUSH, GAP, HEADER, STREAMS, SYNC
from proa.shim.sink import Part

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.shim.sink import Sink


class Lines:
    """Cuts the streams into lines of at most 16 KiB for a sink, as Docker does."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._rest = dict.fromkeys(STREAMS, b"")
        self._parts: dict[str, Part | None] = dict.fromkeys(STREAMS)
        self.moment = 0

    @property
    def lost(self) -> int:
        return self._sink.lost

    def write(self, stream: str, data: bytes) -> None:
        """Send the complete lines; a rest waits for more."""
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        for line in lines:
            self._line(stream, line)
        while len(rest) >= PARTIAL:
            self._part(stream, rest[:PARTIAL], last=False)
            rest = rest[PARTIAL:]
        self._rest[stream] = rest

    def flush(self, stream: str) -> None:
        """Send what is left as a line."""
        rest, self._rest[stream] = self._rest[stream], b""
        if rest or self._parts[stream]:
            self._line(stream, rest)

    def close(self) -> None:
        for stream in STREAMS:
            self.flush(stream)
        self._sink.close()

    def _line(self, stream: str, line: bytes) -> None:
        while len(line) >= PARTIAL:
            self._part(stream, line[:PARTIAL], last=False)
            line = line[PARTIAL:]
        if self._parts[stream]:
            self._part(stream, line, last=True)
        else:
            self._sink.send(stream, line, self.moment, None)

    def _part(self, stream: str, data: bytes, *, last: bool) -> None:
        before = self._parts[stream]
        identifier, ordinal = (before.identifier, before.ordinal) if before else (os.urandom(32).hex(), 0)
        part = Part(identifier, ordinal + 1, last=last)
        self._parts[stream] = None if last else part
        self._sink.send(stream, data, self.moment, part)


class File:
    """A log file: here its writing may take as long as the disk likes."""

    def __init__(self, options: dict[str, Any], *, first: bool) -> None:
        self._log = JsonLog(**options)
        self._log.clock = lambda: self.moment
        self.moment = 0
        self.write, self.flush, self.incomplete = self._log.write, self._log.flush, self._log.incomplete
        self.close = self._log.close

    @property
    def lost(self) -> int:
        return self._log.lost

    def reap(self) -> None:
        """Take up the work of a child that has compressed a file."""
        try:
            self._log.reaped(*os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            pass  # there is none


def _syslog(options: dict[str, Any], *, first: bool) -> Lines:
    from proa.shim.syslog import Syslog

    return Lines(Syslog(options, first=first))


def _journald(options: dict[str, Any], *, first: bool) -> Lines:
    from proa.shim.journald import Journald

    return Lines(Journald(options, first=first))


_DRIVERS: dict[str, Callable[..., File | Lines]] = {"file": File, "syslog": _syslog, "journald": _journald}


def serve(connection: Any, driver: str, options: dict[str, Any], *, first: bool) -> None:
    """Open a driver and feed it until the connection ends."""
    try:
        target = _DRIVERS[driver](options, first=first)
    except Exception as error:
        _reply(connection, {"error": str(error)})
        return
    _reply(connection, {"error": ""})
    buffer = bytearray()
    while data := connection.recv(1 << 18):
        buffer += data
        place = 0
        while len(buffer) - place >= HEADER.size:
            kind, moment, length = HEADER.unpack_from(buffer, place)
            end = place + HEADER.size + length
            if end > len(buffer):
                break
            target.moment = moment
            _take(target, connection, kind, bytes(buffer[place + HEADER.size : end]))
            place = end
        del buffer[:place]
        if isinstance(target, File):
            target.reap()
    target.close()
    _reply(connection, {"lost": target.lost})


def _take(target: File | Lines, connection: Any, kind: int, data: bytes) -> None:
    if kind & GAP:  # output is missing before this: lines must not be joined across that
        for name in STREAMS:
            target.flush(name)
    if kind & SYNC:
        rest = target.incomplete() if isinstance(target, File) else {}
        _reply(connection, {name: rest.get(name, b"").decode("latin-1") for name in STREAMS})
        return
    stream = STREAMS[kind & 1]
    if data:
        target.write(stream, data)
    if kind & FLUSH:
        target.flush(stream)


def _reply(connection: Any, message: dict[str, Any]) -> None:
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        pass  # the shim is gone
