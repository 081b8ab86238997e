"""Digests, `algorithm:hex` (OCI image-spec, descriptor.md): kept as plain `str`, checked at every border.

Hexadecimal digits are lower case only, so equal digests are equal strings and safe as file names.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from proa.errors import InvalidArgument

if TYPE_CHECKING:
    from hashlib import _Hash

CANONICAL = "sha256"
HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}

_LOWER_HEX = frozenset("0123456789abcdef")
_ALGORITHM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+._-")


def validate(text: object) -> str:
    """Return `text` when it is a digest of a supported algorithm; `InvalidArgument` in go-digest's words."""
    if not isinstance(text, str):
        raise InvalidArgument("invalid checksum digest format")
    algorithm, colon, hexadecimal = text.partition(":")
    if not (algorithm and colon and hexadecimal) or not _ALGORITHM.issuperset(algorithm):
        raise InvalidArgument("invalid checksum digest format")
    length = HEX_LENGTHS.get(algorithm)
    if length is None:
        raise InvalidArgument("unsupported digest algorithm")
    if len(hexadecimal) != length:
        raise InvalidArgument("invalid checksum digest length")
    if not _LOWER_HEX.issuperset(hexadecimal):
        raise InvalidArgument("invalid checksum digest format")
    return text


def is_valid(text: object) -> bool:
    """Whether `validate` accepts `text`."""
    try:
        validate(text)
    except InvalidArgument:
        return False
    return True


def of(data: bytes, algorithm: str = CANONICAL) -> str:
    """Return the digest of `data`."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def algorithm_of(digest: str) -> str:
    return digest.partition(":")[0]


def encoded(digest: str) -> str:
    """Return the hexadecimal part."""
    return digest.partition(":")[2]


def hasher(digest: str) -> _Hash:
    """Return a fresh hash object of the algorithm of `digest`."""
    return hashlib.new(algorithm_of(digest))


def matches(data: bytes, digest: str) -> bool:
    """Whether `data` is what a valid `digest` names."""
    return of(data, algorithm_of(digest)) == digest
