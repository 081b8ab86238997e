"""Questions about other names: asked of the servers in turn, and the first good answer relayed as it came.

    ask the first ── no answer for `_NEXT_AFTER`, or a failure ──▶ ask the next as well … ──▶ SERVFAIL

Each question goes from a socket of its own, so from a port that nobody can guess, under a random number; an
answer counts if it comes from the server's address to this socket and repeats number and question.
"""

from __future__ import annotations

import os
import time

from proa.dns.message import REFUSED, SERVFAIL, Question, Reply
from proa.dns.upstream import Datagram, Stream

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proa.dns.upstream import Upstream
    from proa.linux.loop import Loop

LIMIT = 1024  # questions of one container under way at once, Docker's number
_ALL_LIMIT = 8192  # of all containers; the process's limit of descriptors may allow fewer
_NEXT_AFTER = 1.5  # seconds without an answer until the next server is asked as well
_PATIENCE = 4.0  # seconds for each server, Docker's number
_TICK = 0.1


class Exchange:
    """One question under way."""

    __slots__ = ("_attempts", "_finished", "_loop", "_next_at", "_question", "_servers", "_stream", "failure")

    def __init__(
        self,
        loop: Loop,
        question: Question,
        servers: Sequence[Upstream],
        finished: Callable[[Exchange, bytes], None],
        *,
        stream: bool,
    ) -> None:
        self._loop = loop
        self._question = question
        self._servers = list(reversed(servers))
        self._finished = finished
        self._stream = stream
        self._attempts: list[Datagram | Stream] = []
        self._next_at = 0.0
        self.failure = b""  # a server's SERVFAIL, relayed if none knows better

    def ask_next(self) -> None:
        """Ask the next server; with none left and none asked, the question is answered by SERVFAIL."""
        while self._servers:
            server = self._servers.pop()
            identifier = os.urandom(2)
            data = identifier + self._question.data[2:]
            kind = Stream if self._stream else Datagram
            try:
                attempt = kind(self._loop, server, identifier, data, self._answered, self._failed)
            except OSError:
                continue  # no way there, or no descriptor left
            self._attempts.append(attempt)
            self._next_at = time.monotonic() + _NEXT_AFTER
            return
        if not self._attempts:
            self.close()
            self._finished(self, self.failure or self._question.answer(code=SERVFAIL))

    def tick(self, now: float) -> None:
        """Give up servers that took too long, and ask more."""
        for attempt in list(self._attempts):
            if now - attempt.began > _PATIENCE:
                self._failed(attempt)
        if self._servers and self._attempts and now >= self._next_at:
            self.ask_next()

    def close(self) -> None:
        """Stop waiting."""
        for attempt in self._attempts:
            attempt.close()
        self._attempts.clear()
        self._servers.clear()

    def _answered(self, attempt: Datagram | Stream, data: bytes) -> None:
        """Relay a reply if it belongs to the question; a server that failed or refused leaves it to the next."""
        reply = Reply(data)
        if not reply.fits(attempt.identifier, self._question):
            return
        data = self._question.identifier + data[2:]
        if reply.code in (SERVFAIL, REFUSED):
            if reply.code == SERVFAIL:
                self.failure = data
            self._failed(attempt)
            return
        self.close()
        self._finished(self, data)

    def _failed(self, attempt: Datagram | Stream) -> None:
        attempt.close()
        self._attempts.remove(attempt)
        if not self._attempts:
            self.ask_next()


class Forwarder:
    """All questions under way. Those of a container are `lane`s of its own, so that no other's fill it."""

    def __init__(self, loop: Loop, limit: int = _ALL_LIMIT) -> None:
        self._loop = loop
        self._limit = limit
        self._exchanges: dict[Exchange, Lane] = {}
        self._ticking = False

    def ask(
        self,
        lane: Lane,
        question: Question,
        servers: Sequence[Upstream],
        reply: Callable[[bytes], None],
        *,
        stream: bool,
    ) -> None:
        """Have a question answered by one of `servers`; `reply` is called once, at once where too many wait."""
        if len(lane.exchanges) >= LIMIT or len(self._exchanges) >= self._limit:
            reply(question.answer(code=REFUSED))
            return

        def finished(exchange: Exchange, answer: bytes) -> None:
            self._exchanges.pop(exchange, None)
            lane.exchanges.discard(exchange)
            reply(answer)

        exchange = Exchange(self._loop, question, servers, finished, stream=stream)
        self._exchanges[exchange] = lane
        lane.exchanges.add(exchange)
        exchange.ask_next()
        if self._exchanges and not self._ticking:
            self._ticking = True
            self._loop.later(_TICK, self._tick)

    def close(self, lane: Lane) -> None:
        """Forget the questions of a container."""
        for exchange in lane.exchanges:
            exchange.close()
            self._exchanges.pop(exchange, None)
        lane.exchanges.clear()

    def _tick(self) -> None:
        now = time.monotonic()
        for exchange in list(self._exchanges):
            exchange.tick(now)
        self._ticking = bool(self._exchanges)
        if self._ticking:
            self._loop.later(_TICK, self._tick)


class Lane:
    """The questions of one container that are under way."""

    __slots__ = ("exchanges",)

    def __init__(self) -> None:
        self.exchanges: set[Exchange] = set()
