"""Query strings as Docker's server reads them: Go's escapes, booleans and numbers, both forms of filters."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import msgspec

from proa.errors import InvalidArgument

Filters = dict[str, list[str]]

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_FALSE = frozenset({"", "0", "no", "false", "none"})


def unescape(text: str) -> str:
    """Decode %xx. Raises `InvalidArgument` for escapes or bytes that make no text."""
    if "%" not in text and text.isascii():
        return text
    if bad := _BAD_ESCAPE.search(text):
        raise InvalidArgument(f'invalid URL escape "{bad[0]}"')
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise InvalidArgument("invalid URL: not UTF-8") from None


class Query:
    """The parameters of one request."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        for part in text.split("&") if text else ():
            if ";" in part:
                raise InvalidArgument("invalid semicolon separator in query")
            if part:
                name, _, value = part.replace("+", " ").partition("=")
                self._values.setdefault(unescape(name), []).append(unescape(value))

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter, `default` when it is absent."""
        return self._values.get(name, (default,))[0]

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        """Read a boolean: "", 0, no, false and none are false, everything else is true."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def integer(self, name: str) -> int | None:
        """Read a whole number, None when absent or empty. Raises `InvalidArgument` in Go's words."""
        value = self.text(name)
        if not value:
            return None
        return _number(value, "Atoi", -(1 << 63), (1 << 63) - 1)

    def size(self, name: str, meaning: str) -> int:
        """Read one side of a terminal's size, which must be there."""
        text = self.text(name)
        try:
            return _number(text, "ParseUint", 0, (1 << 32) - 1)
        except InvalidArgument as error:
            reason = error.message.rpartition(": ")[2]
            raise InvalidArgument(f'invalid resize {meaning} "{text}": {reason}') from None

    def filters(self) -> Filters:
        """Read `filters`: {"key": {"value": true}} as Go clients send, or {"key": ["value"]}."""
        text = self.text("filters")
        if not text:
            return {}
        try:
            decoded = msgspec.json.decode(text.encode(), type=dict[str, dict[str, bool] | list[str]] | None)
        except (msgspec.DecodeError, RecursionError):
            raise InvalidArgument("invalid filter") from None
        return {
            key: [value for value, wanted in values.items() if wanted] if isinstance(values, dict) else values
            for key, values in (decoded or {}).items()
        }


def _number(text: str, function: str, lowest: int, highest: int) -> int:
    digits = text[1:] if text[:1] in ("+", "-") and function == "Atoi" else text
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidArgument(f'strconv.{function}: parsing "{text}": invalid syntax')
    if len(digits) > 20 or not lowest <= int(text) <= highest:
        raise InvalidArgument(f'strconv.{function}: parsing "{text}": value out of range')
    return int(text)
