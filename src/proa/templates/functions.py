"""The functions of templates: Go's own, and docker's json, join, split, lower, upper, title, pad, truncate."""

from __future__ import annotations

from proa.templates.encoding import to_json
from proa.templates.printing import printed, printf, println
from proa.templates.values import Absent, Map, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# {{and}} ends at the first false value, {{or}} at the first true one.
LAZY = {"and": False, "or": True}


class FunctionError(Exception):
    """A function was given what it cannot work with."""


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, value.zero if isinstance(value, Map) else None)
        elif isinstance(value, Absent) and value.zero is not None:
            value = value.zero
        elif isinstance(value, (list, tuple, str)):
            value = _item(value, key)
        elif value is None or isinstance(value, Absent):
            raise FunctionError("index of nil pointer" if isinstance(value, Absent) else "index of untyped nil")
        else:
            raise FunctionError(f"can't index item of type {type_name(value)}")
    return value


def _item(value: Any, key: Any) -> Any:
    if isinstance(key, bool) or not isinstance(key, int):
        raise FunctionError(f"cannot index slice/array with type {type_name(key)}")
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not 0 <= key < len(value):
        raise FunctionError(f"index out of range: {key}")
    return value[key]


def _slice(value: Any, *limits: Any) -> Any:
    if len(limits) > 3:
        raise FunctionError(f"too many slice indexes: {len(limits)}")
    if not isinstance(value, (str, list)):
        raise FunctionError(f"can't slice item of type {type_name(value)}")
    whole = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    for limit in limits:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise FunctionError(f"cannot index slice/array with type {type_name(limit)}")
        if not 0 <= limit <= len(whole):
            raise FunctionError(f"index out of range: {limit}")
    start = limits[0] if limits else 0
    end = limits[1] if len(limits) > 1 else len(whole)
    if start > end:
        raise FunctionError(f"invalid slice index: {start} > {end}")
    part = whole[start:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _length(value: Any) -> int:
    if isinstance(value, (str, list, tuple, dict, Absent)):
        return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else len(value)
    raise FunctionError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


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


def _call(function: Any, *_: Any) -> Any:
    if function is None:
        raise FunctionError("call of nil")
    raise FunctionError(f"non-function of type {type_name(function)}")


def _join(items: Any, separator: str) -> str:
    if isinstance(items, Absent) or items is None:
        return ""
    return separator.join(printed(item) for item in items)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _title(text: str) -> str:
    """Upper case for each letter that begins a word."""
    before, result = " ", ""
    for character in text:
        begins = not (before.isalnum() or before == "_" or before == "'")
        result += character.upper() if begins else character
        before = character
    return result


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    return text if len(text) < length else text[:length]


def _html(*values: Any) -> str:
    text = printed(*values).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&#34;").replace("'", "&#39;").replace("\0", "\ufffd")


def _js(*values: Any) -> str:
    escapes = {
        "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
    }  # fmt: skip
    return "".join(
        escapes.get(character) or (f"\\u{ord(character):04X}" if character < " " else character)
        for character in printed(*values)
    )


def _urlquery(*values: Any) -> str:
    safe = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
    data = printed(*values).encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if byte in safe else "+" if byte == 0x20 else f"%{byte:02X}" for byte in data)


class Function:
    """A function and the types of its parameters; the last one's stands for all that follow if `more`."""

    def __init__(self, function: Callable[..., Any], *types: str, more: bool = False) -> None:
        self.call = function
        self.types = types
        self.more = more

    def type_of(self, position: int) -> str:
        return self.types[min(position, len(self.types) - 1)]

    def count_problem(self, given: int) -> str:
        """Return what is wrong with the number of arguments, "" for nothing."""
        wanted = len(self.types)
        if self.more:
            return f"want at least {wanted - 1} got {given}" if given < wanted - 1 else ""
        return f"want {wanted} got {given}" if given != wanted else ""


_ANY, _TEXT, _NUMBER, _LIST = "any", "string", "int", "[]string"
FUNCTIONS: dict[str, Function] = {
    "and": Function(bool, _ANY, _ANY, more=True),
    "call": Function(_call, _ANY, _ANY, more=True),
    "eq": Function(_equal, _ANY, _ANY, more=True),
    "ge": Function(lambda first, second: not _less(first, second), _ANY, _ANY),
    "gt": Function(lambda first, second: not _less(first, second) and not _equal(first, second), _ANY, _ANY),
    "html": Function(_html, _ANY, more=True),
    "index": Function(_index, _ANY, _ANY, more=True),
    "join": Function(_join, _LIST, _TEXT),
    "js": Function(_js, _ANY, more=True),
    "json": Function(to_json, _ANY),
    "le": Function(lambda first, second: _less(first, second) or _equal(first, second), _ANY, _ANY),
    "len": Function(_length, _ANY),
    "lower": Function(str.lower, _TEXT),
    "lt": Function(_less, _ANY, _ANY),
    "ne": Function(lambda first, second: not _equal(first, second), _ANY, _ANY),
    "not": Function(lambda value: not truth(value), _ANY),
    "or": Function(bool, _ANY, _ANY, more=True),
    "pad": Function(_pad, _TEXT, _NUMBER, _NUMBER),
    "print": Function(printed, _ANY, more=True),
    "printf": Function(printf, _TEXT, _ANY, more=True),
    "println": Function(println, _ANY, more=True),
    "slice": Function(_slice, _ANY, _ANY, more=True),
    "split": Function(_split, _TEXT, _TEXT),
    "title": Function(_title, _TEXT),
    "truncate": Function(_truncate, _TEXT, _NUMBER),
    "upper": Function(str.upper, _TEXT),
    "urlquery": Function(_urlquery, _ANY, more=True),
}


def fits(value: Any, wanted: str) -> bool:
    """Return whether a value may be given to a parameter of some type."""
    if wanted == _TEXT:
        return isinstance(value, str)
    if wanted == _NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted == _LIST:
        return value is None or isinstance(value, (list, tuple, Absent))
    return True
