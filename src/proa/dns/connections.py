"""The TCP side of a container's name server: connections with questions on them, each behind its length.

A client may ask on before it has its answers; these come in the order in which they are known (RFC 7766).
"""

from __future__ import annotations

import time

from proa.linux import packets

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from proa.linux.loop import Loop

    class Ask(Protocol):
        def __call__(self, data: bytes, reply: Callable[[bytes], None], *, stream: bool) -> None: ...


_LIMIT = 128  # connections of a container
_IDLE = 10.0  # seconds without a word until a connection is closed
_TICK = 2.0
_PAUSE = 0.2  # seconds
_RECEIVE = 65537  # bytes: the longest message and its length
_UNREAD = 1 << 18  # bytes of answers that a client has not read until it is let go
_OPEN_QUESTIONS = 64  # without an answer, until no more are read


class Connections:
    """The listening socket and its connections. `ask` gets each question and a way to answer it, once; with
    nothing the connection ends.
    """

    def __init__(self, loop: Loop, listener: int, ask: Ask) -> None:
        self._loop, self._ask = loop, ask
        self._listener = packets.adopt(listener)
        self._listener.setblocking(False)
        self._open: set[Connection] = set()
        self._ticking = False
        loop.on_read(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Close them all."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for connection in list(self._open):
            connection.close()

    def _accept(self) -> None:
        try:
            accepted = packets.accept(self._listener)
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor left
            self._make_room()
            self._loop.on_read(self._listener.fileno(), None)
            self._loop.later(_PAUSE, self._resume)
            return
        if len(self._open) >= _LIMIT:
            self._make_room()
        self._open.add(Connection(self._loop, accepted, self._ask, self._open.discard))
        if not self._ticking:
            self._ticking = True
            self._loop.later(_TICK, self._tick)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.on_read(self._listener.fileno(), self._accept)

    def _make_room(self) -> None:
        """Close the connection that has been silent for longest."""
        if self._open:
            min(self._open, key=lambda connection: connection.last_word).close()

    def _tick(self) -> None:
        now = time.monotonic()
        for connection in list(self._open):
            if now - connection.last_word > _IDLE:
                connection.close()
        self._ticking = bool(self._open)
        if self._ticking:
            self._loop.later(_TICK, self._tick)


class Connection:
    """One client's connection."""

    __slots__ = (
        "_ask", "_closed", "_ended", "_loop", "_received", "_socket", "_taking", "_unanswered", "_unsent",
        "last_word",
    )  # fmt: skip

    def __init__(self, loop: Loop, socket: packets.Socket, ask: Ask, closed: Callable[[Connection], None]) -> None:
        self._loop, self._socket, self._ask, self._closed = loop, socket, ask, closed
        self._received, self._unsent = b"", b""
        self._unanswered = 0
        self._taking = False
        self._ended = False  # the client has asked all that it wants to ask
        self.last_word = time.monotonic()
        socket.setblocking(False)
        loop.on_read(socket.fileno(), self._receive)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._closed(self)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self._ended = True
            self._settle()
            return
        self.last_word = time.monotonic()
        self._received += data
        self._take()
        self._settle()

    def _take(self) -> None:
        """Ask the questions that are whole. Those that are answered at once come back here before this ends."""
        if self._taking:
            return
        self._taking = True
        received, position = self._received, 0
        while self._unanswered < _OPEN_QUESTIONS and self._socket.fileno() >= 0:
            start = position + 2
            end = start + int.from_bytes(received[position:start], "big")
            if len(received) < max(start, end):
                break
            position = end
            self._unanswered += 1
            self._ask(received[start:end], self._answer, stream=True)
        self._received = received[position:]
        self._taking = False

    def _answer(self, data: bytes) -> None:
        if self._socket.fileno() < 0:
            return
        if not data:
            self.close()
            return
        self._unanswered -= 1
        self._unsent += len(data).to_bytes(2, "big") + data
        self._send()
        if self._received:
            self._take()
            self._settle()

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if len(self._unsent) > _UNREAD:
            self.close()
            return
        self._settle()

    def _settle(self) -> None:
        """Wait for what is due now: more questions, room for answers, or nothing."""
        if self._socket.fileno() < 0:
            return
        if self._ended and not self._unanswered and not self._unsent:
            self.close()
            return
        reads = not self._ended and self._unanswered < _OPEN_QUESTIONS
        self._loop.on_read(self._socket.fileno(), self._receive if reads else None)
        self._loop.on_write(self._socket.fileno(), self._send if self._unsent else None)
