"""Compressed streams: recognised by their first bytes, decompressed in bounded pieces, written as gzip.

Whatever the input, no piece is larger than `PIECE` and no state grows with the stream.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard
from isal import igzip_lib, isal_zlib

from proa.archive.zstd_frames import FrameWalker
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
    feed = _Feed(start, source)
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    reader = context.stream_reader(feed, read_size=PIECE, read_across_frames=True)  # type: ignore[arg-type]
    while piece := _read(reader):
        yield piece
    if not feed.frames.complete:
        raise _corrupt("zstd", "unexpected end")


def _read(reader: zstandard.ZstdDecompressionReader) -> bytes:
    try:
        return reader.read(PIECE)
    except zstandard.ZstdError as error:
        raise _corrupt("zstd", str(error)) from None


class _Feed:
    """Chunks as the file object that zstandard reads from."""

    def __init__(self, start: bytes, source: Iterator[bytes]) -> None:
        self._chunk = start
        self._position = 0
        self._source = source
        self.frames = FrameWalker()

    def read(self, size: int) -> bytes:
        if self._position == len(self._chunk):
            self._chunk, self._position = _next(self._source), 0
        piece = self._chunk[self._position : self._position + size]
        self._position += len(piece)
        self.frames.feed(piece)
        return piece


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
