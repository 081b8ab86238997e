"""Shell patterns as Go's path.Match has them: what `--filter reference=` takes.

`*` and `?` stop at a slash, `[^a-z]` negates, a backslash takes the next character literally; the whole text
has to match. Python's fnmatch differs in all of it.
"""

from __future__ import annotations

import re

from proa.errors import InvalidArgument


def matcher(pattern: str) -> re.Pattern[str]:
    """Compile a pattern, to be used with `fullmatch`. Raises `InvalidArgument` in Go's words.

    What stands between two stars is matched atomically, at the first place where it can be: any later place
    can do no better, and without going back a pattern of many stars costs no exponential time.
    """
    pieces = [""]
    position = 0
    while position < len(pattern):
        if pattern[position] == "*":
            pieces.append("")
            position += 1
        else:
            expression, position = _element(pattern, position)
            pieces[-1] += expression
    first, *middle = pieces
    last = f"[^/]*{middle.pop()}" if middle else ""
    return re.compile(first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + last, re.DOTALL)


def _element(pattern: str, position: int) -> tuple[str, int]:
    """Translate what matches one character; return it and the position behind it."""
    character = pattern[position]
    if character == "?":
        return "[^/]", position + 1
    if character == "[":
        return _class(pattern, position + 1)
    literal, position = _literal(pattern, position)
    return re.escape(literal), position


def _class(pattern: str, position: int) -> tuple[str, int]:
    """Translate the inside of brackets: single characters and ranges, at least one."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while not ranges or pattern[position : position + 1] != "]":
        if pattern[position : position + 1] in ("", "-", "]"):
            raise _malformed()
        low, position = _literal(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            if pattern[position + 1 : position + 2] in ("", "-", "]"):
                raise _malformed()
            high, position = _literal(pattern, position + 1)
        # An empty range is valid in Go and matches nothing; in `re` it is an error.
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    inside = "".join(ranges)
    if not inside:
        return (r"[\s\S]" if negated else r"[^\s\S]"), position + 1
    return f"[{'^' if negated else ''}{inside}]", position + 1


def _literal(pattern: str, position: int) -> tuple[str, int]:
    """Read one character, or the one behind a backslash."""
    if pattern[position] == "\\":
        position += 1
        if position == len(pattern):
            raise _malformed()
    return pattern[position], position + 1


def _malformed() -> InvalidArgument:
    return InvalidArgument("syntax error in pattern")
