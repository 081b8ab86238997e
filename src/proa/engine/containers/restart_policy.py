"""Restart policies: whether a container that has ended starts again, and after which delay.

The delay doubles with each restart, from 100 ms to a minute, and begins anew after a run of ten seconds, as
Docker's. `restarts.py` carries it out.
"""

from __future__ import annotations

from collections.abc import Callable

from proa.engine.records import Container
from proa.times import SECOND

_SHORTEST = 0.1  # seconds
_LONGEST = 60.0
_STABLE = 10 * SECOND  # a run that lasted so long was no failure to start


def _failed(record: Container) -> bool:
    limit = record.options.restart_policy.maximum_retries
    return record.state.exit_code != 0 and (limit == 0 or record.state.restart_count < limit)


# Whether a run's end is followed by another, where nobody asked for the end.
_AFTER_END: dict[str, Callable[[Container], bool]] = {
    "no": lambda record: False,
    "always": lambda record: True,
    "unless-stopped": lambda record: True,
    "on-failure": _failed,
}


def wanted(record: Container) -> bool:
    """Whether the policy starts a container again that has just ended."""
    return not record.state.stopped_by_user and _AFTER_END[record.options.restart_policy.name](record)


def wanted_with_engine(record: Container) -> bool:
    """Whether a starting engine starts a container that does not run: `always` even after a `stop`."""
    if not record.state.started_at:
        return False  # nobody has ever wanted it to run
    return wanted(record) or record.options.restart_policy.name == "always"


def next_delay(previous: float, duration: int) -> float:
    """Return the seconds to wait after a run of `duration` nanoseconds; `previous` is 0 the first time."""
    if duration >= _STABLE or not previous:
        return _SHORTEST
    return min(previous * 2, _LONGEST)
