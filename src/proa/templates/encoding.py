"""JSON as docker's templates write it: compact, not escaped for ASCII.

Written out here because `import json` takes longer than a listing.
"""

from __future__ import annotations

from _json import encode_basestring

from proa.templates.values import Absent, Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def to_json(value: Any) -> str:
    """Return compact JSON; rows of listings have <, > and & escaped, as Go's json.Marshal does."""
    pieces: list[str] = []
    rows = _encode(value, pieces)
    text = "".join(pieces)
    if rows:
        text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return text


def _encode(value: Any, pieces: list[str]) -> bool:
    """Append the JSON of `value`; returns whether there is a row in it."""
    if isinstance(value, Fields):
        _encode(value.as_dictionary(), pieces)
        return True
    if isinstance(value, str):
        pieces.append(encode_basestring(value))
    elif value is None or isinstance(value, Absent):
        pieces.append("null")
    elif isinstance(value, bool):
        pieces.append("true" if value else "false")
    elif isinstance(value, dict):
        return _encode_items(((encode_basestring(str(key)) + ":", value[key]) for key in value), "{}", pieces)
    elif isinstance(value, (list, tuple)):
        return _encode_items((("", item) for item in value), "[]", pieces)
    else:
        pieces.append(repr(value))
    return False


def _encode_items(items: Any, brackets: str, pieces: list[str]) -> bool:
    rows, between = False, brackets[0]
    for name, item in items:
        pieces.append(between + name)
        rows = _encode(item, pieces) or rows
        between = ","
    pieces.append(brackets[1] if between == "," else brackets)
    return rows
