"""Times as listings show them."""

from __future__ import annotations

import time

from proa.cli.formatting.units import age
from proa.errors import InvalidArgument
from proa.times import SECOND, parse_time


def ago(seconds: int) -> str:
    """Return "2 minutes ago" of seconds since the epoch, "N/A" for none."""
    return f"{age(time.time_ns() - seconds * SECOND)} ago" if seconds else "N/A"


def local(seconds: int) -> str:
    """Return Go's form of a local time, "2026-01-02 03:04:05 +0100 CET"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def seconds_of(text: str) -> int:
    """Return seconds since the epoch of RFC 3339, 0 for a text that is no time."""
    try:
        return parse_time(text) // SECOND
    except InvalidArgument:
        return 0


def query_moment(text: str) -> str:
    """Return "seconds.nanoseconds" of what `--since` and `--until` take, "0" of "0": no limit.

    Raises `InvalidArgument`.
    """
    from proa.times import now, parse_moment

    if text == "0":
        return text
    moment = parse_moment(text, now())
    return f"{moment // SECOND}.{moment % SECOND:09}"
