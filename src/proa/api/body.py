"""The body of a request as it arrives: read piece by piece, with back-pressure on the client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from proa.api.errors import HttpError

HIGH_WATER = 256 << 10  # bytes waiting here before the client is made to wait
MAX_JSON = 32 << 20


class Flow(Protocol):
    """The connection's side of a body: how it is slowed down, and asked for when the client waits."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def ask_for_body(self) -> None: ...


class Body:
    """One request's body; at most one reader at a time."""

    def __init__(self, flow: Flow, *, done: bool) -> None:
        self._flow = flow
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._done = done
        self._error: HttpError | None = None
        self._discarding = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read, now or later."""
        return self._done and not self._pieces and self._error is None

    @property
    def ended(self) -> bool:
        """Whether all of it has arrived."""
        return self._done

    def feed(self, data: bytes) -> None:
        """Take what arrived (called by the connection)."""
        if self._discarding:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self._flow.pause_reading()
        self._wake()

    def finish(self, error: HttpError | None = None) -> None:
        """Say that nothing more comes, or why it can not (called by the connection)."""
        self._done = True
        self._error = self._error or error
        self._wake()

    def discard(self) -> None:
        """Drop what is there and what will come: nobody reads it any more."""
        self._discarding = True
        self._pieces.clear()
        self._size = 0
        self._flow.resume_reading()

    async def read(self) -> bytes:
        """Return the next piece, b"" at the end. Raises `HttpError` for a broken or cut off body."""
        if not self._pieces and not self._done:
            self._flow.ask_for_body()
        while not self._pieces and not self._done:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._pieces:
            piece = self._pieces.popleft()
            self._size -= len(piece)
            if self._size <= HIGH_WATER // 2:
                self._flow.resume_reading()
            return piece
        if self._error is not None:
            raise self._error
        return b""

    async def read_all(self, limit: int = MAX_JSON) -> bytes:
        """Return the whole body; raises `HttpError` 413 when it is longer than `limit` bytes."""
        pieces = []
        left = limit
        while piece := await self.read():
            left -= len(piece)
            if left < 0:
                raise HttpError(413, f"request body is larger than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
