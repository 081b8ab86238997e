"""A bounded way for bytes from the event loop into a thread; either side can end it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Iterator
from contextlib import suppress
from threading import Condition
from typing import TypeVar

LIMIT = 4 << 20  # bytes under way

_Result = TypeVar("_Result")


class Stopped(Exception):
    """The other side is gone; its own error tells why."""


class Feed:
    """Made in the event loop: `put`, `end` and `stop` belong there, the iteration to one thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._stopped = False
        self._changed = Condition()
        self._room = asyncio.Event()

    async def put(self, chunk: bytes) -> None:
        """Hand over a chunk, waiting for room (one chunk always fits). Raises `Stopped`."""
        while True:
            with self._changed:
                if self._stopped:
                    raise Stopped
                if not self._held or self._held + len(chunk) <= self._limit:
                    self._chunks.append(chunk)
                    self._held += len(chunk)
                    self._changed.notify()
                    return
                self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def stop(self) -> None:
        """Let both sides fail with `Stopped`. For any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._loop.call_soon_threadsafe(self._room.set)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks until the end. Raises `Stopped`."""
        while True:
            with self._changed:
                while not (self._chunks or self._ended or self._stopped):
                    self._changed.wait()
                if self._stopped:
                    raise Stopped
                if not self._chunks:
                    return
                chunk = self._chunks.popleft()
                was_full = self._held > self._limit // 2
                self._held -= len(chunk)
                wake = was_full and self._held <= self._limit // 2
            if wake or not self._held:
                self._loop.call_soon_threadsafe(self._room.set)
            yield chunk


async def fed(work: Awaitable[_Result], feed: Feed, chunks: AsyncIterable[bytes]) -> _Result:
    """Return what `work` makes of all chunks that `feed` brings it; whoever stops sending them fails it."""
    task = asyncio.ensure_future(work)
    try:
        with suppress(Stopped):  # the thread has failed, or has read all that it wants
            async for chunk in chunks:
                await feed.put(chunk)
            feed.end()
    except BaseException:
        feed.stop()
        with suppress(BaseException):
            await task
        raise
    return await task
