"""A bounded channel of chunks between two threads, which either side can end or break."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition


class Broken(Exception):
    """The other side has failed; its own error tells why."""


class Channel:
    """Holds at most `limit` bytes (one chunk always fits)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._broken = False
        self._changed = Condition()

    def put(self, chunk: bytes) -> None:
        """Hand over a chunk, waiting for room; raises `Broken` when nobody takes it any more."""
        with self._changed:
            while self._held and self._held + len(chunk) > self._limit and not self._broken:
                self._changed.wait()
            if self._broken:
                raise Broken
            self._chunks.append(chunk)
            self._held += len(chunk)
            self._changed.notify()

    def end(self) -> None:
        """Say that no chunk follows."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def fail(self) -> None:
        """Make the other side stop with `Broken`, at once."""
        with self._changed:
            self._broken = True
            self._changed.notify()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks until the end."""
        while True:
            with self._changed:
                while not self._chunks and not self._ended and not self._broken:
                    self._changed.wait()
                if self._broken:
                    raise Broken
                if not self._chunks:
                    return
                chunk = self._chunks.popleft()
                self._held -= len(chunk)
                self._changed.notify()
            yield chunk
