"""Points in time as nanoseconds since the epoch; their texts: RFC 3339 as Go prints it, Docker's `--since`.

`datetime` stops at microseconds, and importing it would cost the command line milliseconds.
"""

from __future__ import annotations

import time

from proa.errors import InvalidArgument

SECOND = 1_000_000_000
ZERO_TEXT = "0001-01-01T00:00:00Z"  # Go's zero time: what Docker prints for "never"

_DURATION_UNITS = {
    "h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1,
}  # fmt: skip
_DAYS_TO_EPOCH = 719_468  # from 0000-03-01


def now() -> int:
    return time.time_ns()


def format_time(moment: int) -> str:
    """Return RFC 3339 in UTC with as many digits as needed (Go's RFC3339Nano); `ZERO_TEXT` for 0."""
    if not moment:
        return ZERO_TEXT
    fixed = format_fixed(moment)[:-1].rstrip("0").rstrip(".")
    return fixed + "Z"


def format_fixed(moment: int) -> str:
    """Return RFC 3339 in UTC with nine digits of fraction, so that all are equally long."""
    seconds, nanoseconds = divmod(moment, SECOND)
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z"


def parse_time(text: str) -> int:
    """Parse RFC 3339 with an offset and up to nine digits of fraction. Raises `InvalidArgument`."""
    try:
        moment, offset = _split_offset(text)
        if offset is None or len(moment) < 19:
            raise ValueError
        return _parse_local(moment) - offset
    except ValueError:
        raise InvalidArgument(f'cannot parse "{text}" as a time') from None


def parse_unix(text: str) -> int:
    """Parse seconds since the epoch with an optional fraction, "1700000000.000000001"."""
    seconds, dot, fraction = text.partition(".")
    digits = seconds.removeprefix("-")
    if not _is_digits(digits) or (dot and not _is_digits(fraction)) or len(digits) > 12:
        raise InvalidArgument(f'invalid timestamp "{text}"')
    return int(seconds) * SECOND + _fraction(fraction)


def parse_duration(text: str) -> int:
    """Parse Go's duration, "1h30m", "1.5s", into nanoseconds. Raises `InvalidArgument`."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    total, wrong = 0, not rest
    while rest and rest != "0" and not wrong:
        number, rest = _span(rest, "0123456789.")
        unit, rest = _span(rest, "hmsnuµ")
        whole, _, fraction = number.partition(".")
        scale = _DURATION_UNITS.get(unit, 0)
        wrong = not scale or not _is_digits(whole + fraction) or len(number) > 20
        if not wrong:
            total += int(whole or "0") * scale + int(fraction or "0") * scale // 10 ** len(fraction)
    if wrong:
        raise InvalidArgument(f'invalid duration "{text}"')
    return -total if text.startswith("-") else total


def parse_moment(text: str, reference: int) -> int:
    """Parse what `--since`, `--until` and `until=` filters take, as Docker reads it.

    A duration counts back from `reference`; else seconds since the epoch, or a date with optional time and
    an optional offset, in local time without one. "0" is the epoch, no duration. Raises `InvalidArgument`.
    """
    try:
        if text != "0":
            return reference - parse_duration(text)
    except InvalidArgument:
        pass
    try:
        return _parse_date(text) if "-" in text[1:] else parse_unix(text)
    except (ValueError, InvalidArgument):
        raise InvalidArgument(f'failed to parse value as time or duration: "{text}"') from None


def _parse_date(text: str) -> int:
    moment, offset = _split_offset(text)
    local = _parse_local(moment)
    if offset is not None:
        return local - offset
    broken = time.gmtime(local // SECOND)
    return int(time.mktime((*broken[:8], -1))) * SECOND + local % SECOND


def _split_offset(text: str) -> tuple[str, int | None]:
    """Split "2026-01-02T03:04:05+01:00" into local text and offset in nanoseconds, None without one."""
    if text[-1:] in ("Z", "z"):
        return text[:-1], 0
    if "T" in text.upper() and len(text) > 6 and text[-6] in "+-" and text[-3] == ":":
        hours, minutes = text[-5:-3], text[-2:]
        if not _is_digits(hours + minutes) or int(hours) > 23 or int(minutes) > 59:
            raise ValueError(text)
        offset = (int(hours) * 60 + int(minutes)) * 60 * SECOND
        return text[:-6], -offset if text[-6] == "-" else offset
    return text, None


def _parse_local(text: str) -> int:
    """Parse "2026-01-02[T03[:04[:05[.6]]]]" as if it were UTC. Raises `ValueError`."""
    date, separator, clock = text.partition("T" if "T" in text else "t")
    if len(date) != 10 or date[4] != "-" or date[7] != "-" or (separator and not clock):
        raise ValueError(text)
    clock, dot, fraction = clock.partition(".")
    parts = clock.split(":") if clock else []
    fields = [date[:4], date[5:7], date[8:], *parts]
    if not all(_is_digits(field) for field in fields) or any(len(part) != 2 for part in parts):
        raise ValueError(text)
    if len(parts) > 3 or (dot and (len(parts) != 3 or not _is_digits(fraction))):
        raise ValueError(text)
    year, month, day = (int(field) for field in fields[:3])
    hour, minute, second = (int(field) for field in [*parts, "0", "0", "0"][:3])
    if not (1 <= month <= 12 and 1 <= day <= _month_length(year, month)):
        raise ValueError(text)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    return seconds * SECOND + _fraction(fraction)


def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 of a date in the Gregorian calendar.

    Years begin in March here, so that the leap day is the last one.
    """
    year -= month <= 2
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - _DAYS_TO_EPOCH


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _fraction(digits: str) -> int:
    """Return the nanoseconds of a decimal fraction; further digits are cut off."""
    return int(digits[:9].ljust(9, "0")) if digits else 0


def _span(text: str, characters: str) -> tuple[str, str]:
    """Split off the longest beginning that consists of `characters`."""
    rest = text.lstrip(characters)
    return text[: len(text) - len(rest)], rest


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()
