"""Sizes in bytes, numbers of CPUs and durations, with the messages of the Go packages that docker uses."""

from __future__ import annotations

from proa.errors import InvalidArgument
from proa.times import parse_duration

_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_NANO_DIGITS = 9
_MAX = (1 << 63) - 1


def memory(text: str) -> int:
    """Return bytes of "512m", "1.5GiB": powers of 1024 (go-units' RAMInBytes). Raises `ValueError`."""
    end = max((text.rfind(character) for character in "0123456789. "), default=-1)
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = text[: end + 1].rstrip(" ") if text[end] == " " else text[: end + 1], text[end + 1 :]
    size = _number(number, text)
    letters = suffix.lower()
    if not letters or letters == "b":
        return int(size)
    if letters[0] not in _POWERS or letters[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{letters}'" if len(suffix) < 4 else f"invalid suffix: '{suffix}'")
    return min(int(size * 1024 ** _POWERS[letters[0]]), _MAX)


def memory_swap(text: str) -> int:
    """As `memory`; -1 means that there is no limit."""
    return -1 if text == "-1" else memory(text)


def cpus(text: str) -> int:
    """Return billionths of a CPU of "1.5". Raises `ValueError`."""
    whole, _, fraction = text.partition(".")
    digits = whole.removeprefix("+").removeprefix("-") + fraction
    if "/" in text or not digits.isascii() or not digits.isdecimal():
        raise ValueError(f"failed to parse {text} as a rational number")
    fraction = fraction.rstrip("0")
    if len(fraction) > _NANO_DIGITS:
        raise ValueError("value is too precise")
    return int((whole or "0") + fraction.ljust(_NANO_DIGITS, "0"))


def duration(text: str) -> int:
    """Return nanoseconds of "1m30s". Raises `ValueError` in the words of Go's time package."""
    try:
        return parse_duration(text)
    except InvalidArgument:
        if text.replace(".", "", 1).isdecimal():
            raise ValueError(f'time: missing unit in duration "{text}"') from None
        raise ValueError(f'time: invalid duration "{text}"') from None


def _number(number: str, text: str) -> float:
    try:
        if "_" in number or number != number.strip():
            raise ValueError
        size = float(number)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax') from None
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    return size
