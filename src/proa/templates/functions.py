"""The functions of templates: Go's own, and docker's json, join, split, lower, upper, title, pad, truncate."""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from proa.templates.values import Absent, Fields

# {{and}} ends at the first false value, {{or}} at the first true one.
LAZY = {"and": False, "or": True}
_VERB = re.compile(r"%([-+# 0]*)(\d+|\*)?(?:\.(\d+))?([a-zA-Z%])")


class FunctionError(Exception):
    """A function was given what it cannot work with."""


def truth(value: Any) -> bool:
    """Return whether {{if}} takes a value for true: not false, zero, nil or empty."""
    return True if isinstance(value, Fields) else bool(value)


def show(value: Any) -> str:
    """Return a value as Go's fmt prints it: map[a:b], [x y], true, <no value>."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        inner = " ".join(f"{show(key)}:{_inner(value[key])}" for key in sorted(value))
        return f"map[{inner}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(_inner(item) for item in value)}]"
    if isinstance(value, Absent):
        return value.text
    if isinstance(value, Fields):
        return show(value.as_dictionary())
    return str(value)


def _inner(value: Any) -> str:
    return "<nil>" if value is None else show(value)


def _float(value: float) -> str:
    """Go's %v: the shortest form, with an exponent from 1e21 on."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return re.sub(r"e([-+])(\d)$", r"e\g<1>0\2", repr(value))


def to_json(value: Any, escape: bool = False) -> str:
    """Return compact JSON; `escape`, and rows of listings, write <, > and & as Go's json.Marshal does."""
    rows = False

    def plain(inner: Any) -> Any:
        nonlocal rows
        rows = rows or isinstance(inner, Fields)
        return _plain(inner)

    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=plain)
    if not (escape or rows):
        return text
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return value.as_dictionary()
    if isinstance(value, Absent):
        return None
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, (list, tuple, str)):
            if isinstance(key, bool) or not isinstance(key, int):
                raise FunctionError(f"cannot index slice/array with type {type(key).__name__}")
            if not 0 <= key < len(value):
                raise FunctionError(f"index out of range: {key}")
            value = value[key] if not isinstance(value, str) else ord(value[key])
        elif value is None or isinstance(value, Absent):
            raise FunctionError("index of nil pointer")
        else:
            raise FunctionError(f"can't index item of type {type(value).__name__}")
    return value


def _slice(value: Any, *limits: int) -> Any:
    if not isinstance(value, (str, list)) or len(limits) > 2:
        raise FunctionError(f"can't slice item of type {type(value).__name__}")
    start, end = (*limits, *(0, len(value))[len(limits) :])[:2]
    if not 0 <= start <= end <= len(value):
        raise FunctionError(f"index out of range: {end}")
    return value[start:end]


def _length(value: Any) -> int:
    if isinstance(value, (str, list, tuple, Mapping, Absent)):
        return len(value.encode()) if isinstance(value, str) else len(value)
    raise FunctionError(f"len of type {type(value).__name__}")


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise FunctionError("missing argument for comparison")
    return any(_comparable(first, other) and first == other for other in others)


def _comparable(first: Any, second: Any) -> bool:
    numbers = (int, float)
    same = isinstance(first, numbers) and isinstance(second, numbers)
    if isinstance(first, bool) != isinstance(second, bool) or not (same or type(first) is type(second)):
        if None in (first, second) or isinstance(first, Absent) or isinstance(second, Absent):
            return False
        raise FunctionError("incompatible types for comparison")
    return True


def _less(first: Any, second: Any) -> bool:
    if not isinstance(first, (int, float, str)) or isinstance(first, bool):
        raise FunctionError("invalid type for comparison")
    return _comparable(first, second) and bool(first < second)


def _print(*values: Any) -> str:
    """fmt.Sprint: a space between two operands when neither is a text."""
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += show(value)
    return text


def _println(*values: Any) -> str:
    return " ".join(show(value) for value in values) + "\n"


def _printf(form: str, *values: Any) -> str:
    rest = list(values)
    text = _VERB.sub(lambda match: _verb(match, rest), form)
    if rest:
        text += f"%!(EXTRA {', '.join(f'{type(value).__name__}={show(value)}' for value in rest)})"
    return text


def _verb(match: re.Match[str], rest: list[Any]) -> str:
    flags, width, precision, verb = match.groups()
    if verb == "%":
        return "%"
    if width == "*":
        width = str(rest.pop(0)) if rest else ""
    if not rest:
        return f"%!{verb}(MISSING)"
    text = _formatted(verb, rest.pop(0), precision, flags)
    size = int(width or 0)
    if "-" in flags:
        return text.ljust(size)
    return text.rjust(size, "0" if "0" in flags and verb in "dxXofeg" else " ")


def _formatted(verb: str, value: Any, precision: str | None, flags: str) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if verb in "sv":
        text = show(value)
        return text[: int(precision)] if precision and verb == "s" else text
    if verb == "q":
        return json.dumps(show(value), ensure_ascii=False)
    if verb == "t" and isinstance(value, bool):
        return show(value)
    if verb in "dxXobc" and isinstance(value, int) and number:
        text = chr(value) if verb == "c" else format(value, verb)
        return f"+{text}" if "+" in flags and value >= 0 else text
    if verb in "xX" and isinstance(value, str):
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if verb in "feEgG" and number:
        return format(float(value), f".{precision or 6}{verb}")
    return f"%!{verb}({type(value).__name__}={show(value)})"


def _join(items: Any, separator: str) -> str:
    if isinstance(items, Absent) or items is None:
        return ""
    if not isinstance(items, (list, tuple)):
        raise FunctionError(f"cannot join {type(items).__name__}")
    return separator.join(show(item) for item in items)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    return text if len(text) < length else text[:length]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": _equal,
    "ge": lambda first, second: not _less(first, second),
    "gt": lambda first, second: not _less(first, second) and not _equal(first, second),
    "html": lambda *values: html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "index": _index,
    "join": _join,
    "js": lambda *values: json.dumps(_print(*values))[1:-1],
    "json": to_json,
    "le": lambda first, second: _less(first, second) or _equal(first, second),
    "len": _length,
    "lower": lambda text: text.lower(),
    "lt": _less,
    "ne": lambda first, second: not _equal(first, second),
    "not": lambda value: not truth(value),
    "pad": _pad,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "slice": _slice,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "title": lambda text: re.sub(r"\b\w", lambda match: match.group().upper(), text),
    "truncate": _truncate,
    "upper": lambda text: text.upper(),
    "urlquery": lambda *values: urllib.parse.quote_plus(_print(*values)),
}
