"""Words of Dockerfile instructions: splitting, quotes, and variables (its reference, "Environment replacement").

Quotes and `\\` work as in a shell; `$name`, `${name}`, `${name:-else}` and `${name:+then}` are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proa.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]")


def split(text: str) -> list[str]:
    """Split at blanks outside of quotes; quotes and backslashes stay for `expand`."""
    words: list[str] = []
    word, quote, escaped = "", "", False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            if character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character.isspace():
            if word:
                words.append(word)
            word = ""
            continue
        word += character
    return [*words, word] if word else words


def expand(word: str, variables: Mapping[str, str]) -> str:
    """Return `word` without quotes, its variables replaced; unknown ones are empty.

    Raises `InvalidArgument` for a quote or brace that is not closed.
    """
    return _Expansion(word, variables).run()


class _Expansion:
    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._position = 0

    def run(self, stop: str = "") -> str:
        """Expand up to the character `stop`, which is taken too."""
        result = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            if character == stop:
                self._position += 1
                return result
            result += self._one(character)
        if stop:
            raise InvalidArgument(f"unexpected end of statement while looking for {stop}")
        return result

    def _one(self, character: str) -> str:
        self._position += 1
        if character == "'":
            return self._single_quoted()
        if character == '"':
            return self._double_quoted()
        if character == "$":
            return self._variable()
        if character == "\\" and self._position < len(self._text):
            self._position += 1
            return self._text[self._position - 1]
        return character

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position)
        if end < 0:
            raise InvalidArgument("unexpected end of statement while looking for matching single-quote")
        quoted = self._text[self._position : end]
        self._position = end + 1
        return quoted

    def _double_quoted(self) -> str:
        result = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            self._position += 1
            if character == '"':
                return result
            if character == "$":
                result += self._variable()
            elif character == "\\" and self._text[self._position : self._position + 1] in ('"', "$", "\\"):
                result += self._text[self._position]
                self._position += 1
            else:
                result += character
        raise InvalidArgument("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        braced = self._text[self._position : self._position + 1] == "{"
        match = _NAME.match(self._text, self._position + braced)
        if match is None:
            if braced:
                raise InvalidArgument(f"syntax error: bad substitution in {self._text}")
            return "$"
        self._position = match.end()
        value = self._variables.get(match[0])
        if not braced:
            return value or ""
        operator = self._text[self._position : self._position + 2]
        if operator.startswith("}"):
            self._position += 1
            return value or ""
        if operator not in (":-", ":+"):
            raise InvalidArgument(f"unsupported modifier ({operator}) in substitution")
        self._position += 2
        other = self.run("}")
        if operator == ":-":
            return value or other
        return other if value else ""
