"""A bounded way for bytes from a thread to the event loop; either side can end it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

_PIECES = 8  # under way; of about 256 KiB each

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """Nobody takes the bytes any more."""


class Outflow:
    """Made in the event loop: the iteration and `close` belong there, `put` to one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(_PIECES)
        self._closed = False

    def put(self, piece: bytes) -> None:
        """Hand over a piece, waiting for room. Raises `Stopped`."""
        if self._closed:
            raise Stopped
        if piece:
            asyncio.run_coroutine_threadsafe(self._pieces.put(piece), self._loop).result()

    async def pieces(self, work: asyncio.Future[None]) -> AsyncIterator[bytes]:
        """Yield what `work` puts until it is done. Raises what it raises."""
        while not (work.done() and self._pieces.empty()):
            get = asyncio.ensure_future(self._pieces.get())
            try:
                await asyncio.wait((get, work), return_when=asyncio.FIRST_COMPLETED)
                piece = get.result() if get.done() else b""
            finally:
                get.cancel()  # also when nobody waits any more
            if piece:
                yield piece
        work.result()

    def close(self) -> None:
        """Let the thread stop at its next piece."""
        self._closed = True
        while not self._pieces.empty():
            self._pieces.get_nowait()

    async def end(self, work: asyncio.Future[None]) -> None:
        """Close, and wait until `work` has stopped. Raises what else it raises."""
        self.close()
        try:
            await asyncio.shield(work)
        except Stopped:
            pass
        except asyncio.CancelledError:
            work.add_done_callback(_ended_alone)
            raise


def _ended_alone(work: asyncio.Future[None]) -> None:
    error = None if work.cancelled() else work.exception()
    if error and not isinstance(error, Stopped):
        _log.error("an archive that nobody waits for any more: %s", error)
