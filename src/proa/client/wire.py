"""JSON without `import json`, which costs 6 ms of a command's 10.

CPython's own scanner and encoder (`_json`) are used directly; they are private, so `json` takes over where
they are missing or look different.
"""

from __future__ import annotations

from proa.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_WHITESPACE = " \t\r\n"


class _Scanning:
    """The options that `_json.make_scanner` reads: those of `json.JSONDecoder()`."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def decode(data: bytes) -> Any:
    """Return what `data` says. Raises `Internal` when it is not JSON: engines do not answer so."""
    text = data.decode("utf-8", "replace").strip(_WHITESPACE)
    try:
        value, end = _scan(text)
    except (StopIteration, ValueError, SystemError):  # the last is the bare scanner's ValueError
        raise Internal(f"the engine's answer is not JSON: {text[:80]!r}") from None
    if end != len(text):
        raise Internal(f"the engine's answer has more than one JSON value: {text[end : end + 80]!r}")
    return value


def encode(value: Any) -> bytes:
    """Return `value` as compact ASCII JSON."""
    return _encode(value).encode("ascii")


def _make_scan() -> Callable[[str], tuple[Any, int]]:
    try:
        from _json import make_scanner

        scanner = make_scanner(_Scanning)  # type: ignore[arg-type]  # it asks for attributes alone

        if scanner('{"a":[1]}', 0) == ({"a": [1]}, 9):
            return lambda text: scanner(text, 0)
    except (ImportError, AttributeError, TypeError):
        pass
    import json

    return json.JSONDecoder().raw_decode


def _make_encode() -> Callable[[Any], str]:
    try:
        from _json import encode_basestring_ascii, make_encoder

        encoder = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
        if "".join(encoder({"a": [1]}, 0)) == '{"a":[1]}':
            return lambda value: "".join(encoder(value, 0))
    except (ImportError, AttributeError, TypeError):
        pass
    import json

    return json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


_scan = _make_scan()
_encode = _make_encode()
