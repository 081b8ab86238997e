"""Sizes and ages as people read them: "1.24MB", "2 minutes" (go-units' forms)."""

from __future__ import annotations

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_SECONDS = 1_000_000_000  # nanoseconds
# (below how many hours, hours of one unit, name of the unit)
_AGES = ((24 * 14, 24, "days"), (24 * 30 * 2, 24 * 7, "weeks"), (24 * 365 * 2, 24 * 30, "months"))


def bytes_size(size: float, precision: int = 4) -> str:
    """Return a size in powers of 1000 with `precision` significant digits."""
    return _scaled(size, 1000.0, _DECIMAL, precision)


def image_size(size: float) -> str:
    """Return a size as `images` and `ps -s` show it: three digits."""
    return bytes_size(size, 3)


def binary_size(size: float) -> str:
    """Return a size in powers of 1024 with four significant digits."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], precision: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{precision}g}{units[step]}"


def age(nanoseconds: int) -> str:
    """Return a duration in words, "About an hour"."""
    seconds = nanoseconds // _SECONDS
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if seconds < 120:
        return "About a minute"
    if seconds < 3600:
        return f"{seconds // 60} minutes"
    hours = (seconds + 1800) // 3600
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for below, unit, name in _AGES:
        if hours < below:
            return f"{hours // unit} {name}"
    return f"{seconds // (3600 * 24 * 365)} years"
