"""Sorting as docker sorts names: numbers within them count as numbers."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(\d+)")


def natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that puts "node9" before "node10"."""
    parts = (part for part in _NUMBER.split(text) if part)
    return [(False, int(part), part) if part.isdecimal() else (True, 0, part) for part in parts]
