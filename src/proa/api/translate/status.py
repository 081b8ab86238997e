"""The words of `ps`: "Up 3 minutes", "Exited (0) About an hour ago"."""

from __future__ import annotations

from proa.engine.records import State, Status
from proa.times import SECOND

_HOUR = 3600
# From how many hours on which unit counts, as Docker's go-units has it.
_UNITS = ((24 * 365 * 2, "years", 24 * 365), (24 * 30 * 2, "months", 24 * 30), (24 * 7 * 2, "weeks", 24 * 7),
          (48, "days", 24))  # fmt: skip


def human_duration(nanoseconds: int) -> str:
    """Return a duration as Docker tells it: one unit, "About a minute", "Less than a second"."""
    seconds = max(nanoseconds, 0) // SECOND
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if seconds < 120:
        return "About a minute"
    if seconds < _HOUR:
        return f"{seconds // 60} minutes"
    hours = (seconds + _HOUR // 2) // _HOUR
    if hours == 1:
        return "About an hour"
    for least, unit, size in _UNITS:
        if hours >= least:
            return f"{(seconds // _HOUR if unit == 'years' else hours) // size} {unit}"
    return f"{hours} hours"


def _health(state: State) -> str:
    if state.health is None:
        return ""
    return " (health: starting)" if state.health.status == "starting" else f" ({state.health.status})"


def describe(state: State, now: int) -> str:
    """Return the Status column for a container's state at `now`, in nanoseconds since the epoch."""
    if state.status is Status.RUNNING:
        return f"Up {human_duration(now - state.started_at)}{_health(state)}"
    if state.status is Status.PAUSED:
        return f"Up {human_duration(now - state.started_at)} (Paused)"
    ago = human_duration(now - state.finished_at)
    if state.status is Status.RESTARTING:
        return f"Restarting ({state.exit_code}) {ago} ago"
    if state.status is Status.EXITED:
        return f"Exited ({state.exit_code}) {ago} ago" if state.finished_at else "Created"
    return {Status.CREATED: "Created", Status.REMOVING: "Removal In Progress", Status.DEAD: "Dead"}[state.status]
