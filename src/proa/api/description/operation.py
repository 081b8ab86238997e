"""The words that operations are described in: parameters, bodies, answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from proa.api import framing
from proa.api.versions import MINIMUM, Version

JSON = "application/json"
TAR = "application/x-tar"
BYTES = "application/octet-stream"
TEXT = "text/plain"


class Parameter(NamedTuple):
    """One parameter of a query, or a header; `read` is the method of `Query` that handlers read it with."""

    name: str
    read: Literal["text", "flag", "integer", "size", "all", "filters", "header"]
    meaning: str
    schema: dict[str, Any]
    since: Version = MINIMUM
    required: bool = False


class Operation(NamedTuple):
    """What one handler does.

    `body` is the type of its JSON, or the media type of a stream; `answers` are media types by status, "" for
    an empty answer.
    """

    summary: str
    parameters: tuple[Parameter, ...] = ()
    body: type | str | None = None
    answers: dict[int, str] = {200: JSON}  # noqa: RUF012 - nobody changes it


# Parameters


def text(
    name: str,
    meaning: str,
    *,
    one_of: Iterable[str] = (),
    default: str = "",
    since: Version = MINIMUM,
    required: bool = False,
) -> Parameter:
    schema: dict[str, Any] = {"type": "string"}
    if values := sorted(one_of):
        schema["enum"] = values
    if default:
        schema["default"] = default
    return Parameter(name, "text", meaning, schema, since, required)


def flag(name: str, meaning: str, *, default: bool = False, since: Version = MINIMUM) -> Parameter:
    return Parameter(name, "flag", meaning, {"type": "boolean", "default": default}, since)


def integer(name: str, meaning: str) -> Parameter:
    return Parameter(name, "integer", meaning, {"type": "integer", "format": "int64"})


def size(name: str, meaning: str) -> Parameter:
    schema = {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1}
    return Parameter(name, "size", meaning, schema, required=True)


def several(name: str, meaning: str, *, one_of: Iterable[str] = ()) -> Parameter:
    items: dict[str, Any] = {"type": "string"}
    if values := sorted(one_of):
        items["enum"] = values
    return Parameter(name, "all", meaning, {"type": "array", "items": items})


def filters(keys: Iterable[str]) -> Parameter:
    values = {"type": "array", "items": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(sorted(keys), values),
        "additionalProperties": False,
    }
    meaning = 'Which ones: {"key": ["value", …]}, or {"key": {"value": true}}'
    return Parameter("filters", "filters", meaning, schema)


def header(name: str, meaning: str) -> Parameter:
    return Parameter(name, "header", meaning, {"type": "string"})


# Answers

DONE = {204: ""}
EMPTY = {200: ""}
CREATED = {201: JSON}
REFUSED: dict[int, str] = {}  # nothing but the error
STREAM = {200: JSON}  # of JSON documents, one after the other
OUTPUT = {200: framing.MULTIPLEXED}
HIJACKED = {101: framing.MULTIPLEXED, 200: framing.RAW}  # with `Upgrade: tcp`, and without it
WEB_SOCKET = {101: ""}
