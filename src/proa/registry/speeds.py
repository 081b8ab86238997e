"""What is known of mirrors while the engine runs: how fast they are, and which were caught lying."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from proa.registry.endpoint import Endpoint

REMEMBERED = 600.0  # seconds: a mirror may recover
ENOUGH = 128 << 10  # bytes that tell how fast a server is
_WEIGHT = 0.5  # of the newest measurement


class Speeds:
    """Bytes a second of each mirror, 0 for one that fails."""

    def __init__(self) -> None:
        self._known: dict[Endpoint, tuple[float, float]] = {}  # bytes a second, until when
        self._dropped: dict[Endpoint, float] = {}
        self._busy: Counter[Endpoint] = Counter()

    def of(self, endpoint: Endpoint) -> float | None:
        """Return what was measured, None when nothing was lately."""
        speed, until = self._known.get(endpoint, (0.0, 0.0))
        return speed if until > time.monotonic() else None

    def measured(self, endpoint: Endpoint, count: int, seconds: float) -> None:
        """Take note that `count` bytes came in so many seconds."""
        if count < ENOUGH or not endpoint.mirror:
            return
        speed, before = count / max(seconds, 1e-6), self.of(endpoint)
        average = speed if not before else before * (1 - _WEIGHT) + speed * _WEIGHT
        self._known[endpoint] = average, time.monotonic() + REMEMBERED

    def failed(self, endpoint: Endpoint) -> None:
        """Let a mirror be asked after all others, until it shows what it can do."""
        if endpoint.mirror:
            self._known[endpoint] = 0.0, time.monotonic() + REMEMBERED

    def order(self, mirrors: Sequence[Endpoint]) -> list[Endpoint]:
        """Return mirrors as they should be asked for a blob: those that nothing is known of, the least busy first;
        then the fastest."""
        return sorted(mirrors, key=self._rank)

    def _rank(self, endpoint: Endpoint) -> tuple[float, float]:
        speed = self.of(endpoint)
        return (0, self._busy[endpoint]) if speed is None else (1, -speed)

    @contextmanager
    def busy(self, endpoint: Endpoint) -> Iterator[None]:
        """While something comes from an endpoint."""
        self._busy[endpoint] += 1
        try:
            yield
        finally:
            self._busy[endpoint] -= 1

    def drop(self, endpoint: Endpoint) -> None:
        """Ask a mirror for nothing for a while: it sent what was not asked for."""
        self._dropped[endpoint] = time.monotonic() + REMEMBERED

    def is_dropped(self, endpoint: Endpoint) -> bool:
        return self._dropped.get(endpoint, 0.0) > time.monotonic()
