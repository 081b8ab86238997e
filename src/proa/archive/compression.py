"""Compressed streams: recognised by their first bytes, decompressed in bounded pieces, written as gzip.

Whatever the input, no piece is larger than `PIECE` and no state grows with the stream.
"""

from __future__ import annotations

import bz2
import lzma
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard
from isal import igzip_lib, isal_zlib

from proa.errors import InvalidArgument

PIECE = 256 << 10
_ZSTD_WINDOW = 128 << 20  # what `zstd -d` grants without --long
_XZ_MEMORY = 128 << 20  # xz -9 needs 65 MiB
_GZIP_LEVEL = 2  # of isal's 0-3: about zlib's -3 in size at five times the speed

# First bytes of each format; zstd's skippable frames (RFC 8878, 3.1.2) may come first.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes((0x50 + number, 0x2A, 0x4D, 0x18)), "zstd") for number in range(16)),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)
_LONGEST_MAGIC = 6


class _Stepwise(Protocol):
    """What bz2, lzma and igzip decompressors share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def detect(start: bytes) -> str:
    """Name the compression of a stream by its first six bytes: gzip, zstd, bzip2, xz or "" for none."""
    for magic, name in _MAGIC:
        if start.startswith(magic):
            return name
    return ""


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decompressed stream in pieces of at most `PIECE` bytes; plain chunks pass as they are.

    Consumes `chunks` to the end. Raises `InvalidArgument` for corrupt or truncated data.
    """
    source = iter(chunks)
    start = b""
    for chunk in source:
        start += chunk
        if len(start) >= _LONGEST_MAGIC:
            break
    name = detect(start)
    if not name:
        return _plain(start, source)
    if name == "zstd":
        return _zstd(start, source)
    return _members(name, _NEW[name], start, source)


def _plain(start: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from source


_NEW: dict[str, Callable[[], _Stepwise]] = {
    "gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
}


def _members(name: str, new: Callable[[], _Stepwise], start: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress a stream of one or many members, one after the other (RFC 1952, 2.2)."""
    data = start
    while data:
        member = new()
        while not member.eof:
            if member.needs_input and not data:
                data = _next(source)
                if not data:
                    raise _corrupt(name, "unexpected end")
            piece = _step(name, member, data)
            data = b""
            if piece:
                yield piece
        # Padding with zeros is common on tapes and in files of whole blocks.
        data = member.unused_data.lstrip(b"\0")
        while not data and (chunk := _next(source)):
            data = chunk.lstrip(b"\0")


def _next(source: Iterator[bytes]) -> bytes:
    """Return the next chunk that is not empty, b"" at the end."""
    return next((chunk for chunk in source if chunk), b"")


def _step(name: str, member: _Stepwise, data: bytes) -> bytes:
    try:
        return member.decompress(data, PIECE)
    except (igzip_lib.IsalError, lzma.LZMAError, OSError, EOFError, ValueError) as error:  # type: ignore[misc]
        raise _corrupt(name, str(error)) from None


def _zstd(start: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    # The reader does not tell a stream cut off inside a frame from a whole one. So one more frame with a
    # random mark follows the last: it is only seen when all before it was complete.
    mark = os.urandom(16)
    feed = _Feed(start, source, zstandard.ZstdCompressor(level=1).compress(mark))
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    reader = context.stream_reader(feed, read_size=PIECE, read_across_frames=True)  # type: ignore[arg-type]
    held = b""
    try:
        while piece := reader.read(PIECE):
            if len(piece) < len(mark):  # the mark may be cut in two: keep it whole
                held += piece
                continue
            if held:
                yield held
            held = piece
    except zstandard.ZstdError as error:
        raise _corrupt("zstd", str(error)) from None
    if not held.endswith(mark):
        raise _corrupt("zstd", "unexpected end")
    if len(held) > len(mark):
        yield held[: -len(mark)]


class _Feed:
    """Chunks as the file object that zstandard reads from."""

    def __init__(self, start: bytes, source: Iterator[bytes], end: bytes) -> None:
        self._pieces = self._all(start, source, end)
        self._left = memoryview(b"")

    @staticmethod
    def _all(start: bytes, source: Iterator[bytes], end: bytes) -> Iterator[bytes]:
        yield start
        yield from source
        yield end

    def read(self, size: int) -> bytes:
        while not self._left:
            chunk = next(self._pieces, None)
            if chunk is None:
                return b""
            self._left = memoryview(chunk)
        piece = self._left[:size]
        self._left = self._left[size:]
        return bytes(piece)


def _corrupt(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"invalid {name} data: {why.lower()}")


class Gzip:
    """Compresses to gzip, the same bytes for the same input: no name, no time in the header."""

    def __init__(self) -> None:
        self._deflate = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, 31)

    def compress(self, data: bytes | memoryview) -> bytes:
        """Return what is ready after `data`; often nothing."""
        return self._deflate.compress(data)

    def finish(self) -> bytes:
        """Return the rest; nothing may follow."""
        return self._deflate.flush()
