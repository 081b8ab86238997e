"""Names of JSON fields in any case: Go's decoder takes "detachKeys" for "DetachKeys" (encoding/json, Unmarshal).

docker-py sends some of its own, and other clients rely on it unknowingly. What is not a field but data, the names
of labels or options, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec.inspect
from msgspec.inspect import DictType, ListType, StructType, Type, UnionType

Correct = Callable[[Any], Any]


def corrected(document: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return `document`, decoded JSON, with the names of fields as the wire type `kind` spells them."""
    found: dict[str, Any] = _of_kind(kind)(document)
    return found


@cache
def _of_kind(kind: type) -> Correct:
    return _correct(msgspec.inspect.type_info(kind)) or (lambda value: value)


def _correct(kind: Type) -> Correct | None:
    """Return what corrects values of a type, None where it has no fields."""
    match kind:
        case StructType():
            return _of_struct(kind)
        case ListType():
            inner = _correct(kind.item_type)
            return _of_list(inner) if inner else None
        case DictType():
            inner = _correct(kind.value_type)
            return _of_map(inner) if inner else None
        case UnionType():
            return next(filter(None, map(_correct, kind.types)), None)
    return None


def _of_struct(kind: StructType) -> Correct:
    known = {field.encode_name: _correct(field.type) for field in kind.fields}
    inner = {name: correct for name, correct in known.items() if correct}
    spelled = {name.lower(): name for name in known}

    def spell(name: str) -> str:
        return name if name in known else spelled.get(name.lower(), name)

    def correct(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if not known.keys() >= value.keys():
            value = {spell(name): each for name, each in value.items()}
        for name in inner.keys() & value.keys():
            value[name] = inner[name](value[name])
        return value

    return correct


def _of_list(inner: Correct) -> Correct:
    return lambda value: [inner(each) for each in value] if isinstance(value, list) else value


def _of_map(inner: Correct) -> Correct:
    return lambda value: {name: inner(each) for name, each in value.items()} if isinstance(value, dict) else value
