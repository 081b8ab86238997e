"""WWW-Authenticate headers (RFC 9110, section 11.6.1): what a registry wants to see."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LENGTH = 16 << 10  # characters of one header; more is an attack

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t,]|$)(?![ \t]*=)")
_BLANK = re.compile(r"[ \t,]*")
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme, in lower case, with its parameters: bearer has realm, service, scope, error."""

    scheme: str
    parameters: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.parameters.get(name, "")


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Return all challenges of the headers; what can not be understood is left out."""
    return [challenge for header in headers for challenge in _parse_one(header[:MAX_LENGTH])]


def _parse_one(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while position < len(header):
        position = _skip(header, position)
        if parameter := _PARAMETER.match(header, position):
            if found:
                name, quoted, bare = parameter.groups()
                value = _ESCAPE.sub(r"\1", quoted) if quoted is not None else bare
                found[-1].parameters.setdefault(name.lower(), value)
            position = parameter.end()
        elif scheme := _SCHEME.match(header, position):
            found.append(Challenge(scheme[1].lower(), {}))
            position = scheme.end()
        else:
            position += 1
    return found


def _skip(header: str, position: int) -> int:
    blank = _BLANK.match(header, position)
    return blank.end() if blank else position
