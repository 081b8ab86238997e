"""From which of several servers a blob comes, and when another takes over.

Mirrors come first, the fastest of them. One that stalls, breaks or is far slower than another gives way at once;
the registry itself is asked when no mirror can do it, and patiently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from proa.errors import ProaError
from proa.registry.attempts import is_final
from proa.registry.endpoint import Endpoint
from proa.registry.failures import Refused
from proa.registry.requests import Patience, is_passing
from proa.registry.speeds import Speeds

FORGIVING = 1 << 20  # bytes of progress after which earlier failures are forgotten
STALLED = 5.0  # seconds without a byte after which another mirror takes over
WATCHED = 1.0  # seconds of waiting after which a speed is judged
SLOWER = 2.0  # times slower than another mirror: too slow
WORTH = 3.0  # seconds that must be left for a change of mirrors to pay
_MIRROR_FAILURES = 2  # without progress
_CHANGES = 2  # for slowness, of each mirror


class Course:
    """The servers for one blob. `current` is the one to ask."""

    def __init__(self, endpoints: Sequence[Endpoint], speeds: Speeds, patience: Patience) -> None:
        self._speeds = speeds
        self._patience = patience
        self._mirrors = speeds.order([endpoint for endpoint in endpoints if endpoint.mirror])
        self._own = [endpoint for endpoint in endpoints if not endpoint.mirror]
        self._failures: Counter[Endpoint] = Counter()
        self._left: Counter[Endpoint] = Counter()

    @property
    def current(self) -> Endpoint:
        return (self._mirrors or self._own)[0]

    @property
    def others(self) -> bool:
        """Whether another server can take over."""
        return bool(self._mirrors) and len(self._mirrors) + len(self._own) > 1

    def failed(self, error: ProaError, progress: int) -> float:
        """Judge a failure after `progress` bytes. Returns the seconds to wait before `current` is asked; raises
        `error` when there is nobody left to ask."""
        endpoint, others = self.current, self.others
        if progress >= FORGIVING:
            self._failures[endpoint] = 0
        self._failures[endpoint] += 1
        failures, passing = self._failures[endpoint], is_passing(error)
        if others:
            self._speeds.failed(endpoint)
            self._mirrors.remove(endpoint)
            if passing and failures < _MIRROR_FAILURES:
                self._mirrors.append(endpoint)
            return 0.0
        if passing and failures < self._patience.attempts:
            return self._patience.delay(failures, error.retry_after if isinstance(error, Refused) else 0)
        if endpoint.mirror or len(self._own) == 1 or is_final(endpoint, error):
            raise error
        self._own.pop(0)
        return 0.0

    def too_slow(self, count: int, seconds: float, left: int) -> bool:
        """Judge that `count` bytes took so many seconds, with so many bytes left. When true, `current` is another
        mirror now."""
        if len(self._mirrors) < 2 or seconds < WATCHED:
            return False
        endpoint, speed = self.current, count / seconds
        if left < speed * WORTH or self._left[endpoint] >= _CHANGES:
            return False
        best = max(self._mirrors[1:], key=self._promise)
        if self._promise(best) < speed * SLOWER:
            return False
        self._left[endpoint] += 1
        self._mirrors.remove(best)
        self._mirrors.insert(0, best)
        return True

    def _promise(self, endpoint: Endpoint) -> float:
        """Return how fast another mirror should be; one that nothing is known of is worth a try."""
        if self._left[endpoint] >= _CHANGES:
            return 0.0
        speed = self._speeds.of(endpoint)
        return float("inf") if speed is None else speed
