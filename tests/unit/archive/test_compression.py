"""Recognising and undoing compressions; what is corrupt, cut or a bomb."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard

from proa.archive.compression import PIECE, Gzip, decompress, detect
from proa.errors import InvalidArgument

DATA = os.urandom(1000) * 3000 + b"the end"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(data)


def zstd_streamed(data: bytes) -> bytes:
    """Frames with checksums and without sizes, as programs write that compress a pipe."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, write_checksum=True)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    half = len(data) // 2
    return (
        writer.compress(data[:half])
        + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        + writer.compress(data[half:])
        + writer.flush()
    )


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd,
    "zstd streamed": zstd_streamed,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
SKIPPABLE = b"\x5a\x2a\x4d\x18\x04\0\0\0skip"


def cut(data: bytes, size: int = 65536) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def plain(data: bytes, size: int = 65536) -> bytes:
    return b"".join(decompress(cut(data, size)))


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_every_compression_in_every_chunking(name: str, size: int) -> None:
    data = DATA if size > 100 else DATA[:5000]
    compressed = COMPRESSORS[name](data)
    assert detect(compressed[:6]) == name.split()[0]
    assert plain(compressed, size) == data


@pytest.mark.parametrize("data", [b"", b"x", b"hello world", bytes(2000), b"\x1f\x8b", b"BZ"])
def test_no_compression(data: bytes) -> None:
    assert plain(data, 3) == data


@pytest.mark.parametrize("name", COMPRESSORS)
def test_nothing_compressed(name: str) -> None:
    assert plain(COMPRESSORS[name](b"")) == b""


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("size", [1, 999, 1 << 20])
def test_many_members(name: str, size: int) -> None:
    """eStargz has a gzip member for each file, zstd:chunked a frame."""
    pieces = [b"one", b"", b"two" * 5000, b"three"]
    assert plain(b"".join(map(COMPRESSORS[name], pieces)), size) == b"".join(pieces)


def test_skippable_frames() -> None:
    assert plain(SKIPPABLE + zstd(b"one") + SKIPPABLE + zstd(b"two") + SKIPPABLE) == b"onetwo"


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_zeros_after_the_end(name: str, size: int) -> None:
    assert plain(COMPRESSORS[name](b"data") + bytes(1500), size) == b"data"


@pytest.mark.parametrize("name", COMPRESSORS)
def test_cut_anywhere(name: str) -> None:
    compressed = COMPRESSORS[name](DATA[:3000])
    for end in [*range(6, 40), len(compressed) // 2, *range(len(compressed) - 200, len(compressed))]:
        with pytest.raises(InvalidArgument, match=f"^invalid {name.split()[0]} data: "):
            plain(compressed[:end])


@pytest.mark.parametrize("name", COMPRESSORS)
def test_cut_between_members(name: str) -> None:
    whole = COMPRESSORS[name](b"one")
    assert plain(whole + COMPRESSORS[name](b"two")[:0]) == b"one"
    with pytest.raises(InvalidArgument):
        plain(whole + COMPRESSORS[name](b"two")[:10])


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_damaged(name: str) -> None:
    compressed = bytearray(COMPRESSORS[name](DATA[:50_000]))
    compressed[len(compressed) // 2] ^= 0x55
    with pytest.raises(InvalidArgument, match=f"^invalid {name} data: "):
        plain(bytes(compressed))


def test_garbage_after_a_member() -> None:
    with pytest.raises(InvalidArgument, match="invalid gzip data"):
        plain(gzip.compress(b"one") + b"garbage that is no member")


def test_zstd_window_of_two_gigabytes() -> None:
    """The header of a frame alone decides how much memory a decoder needs: hostile ones ask for much."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(InvalidArgument, match=r"invalid zstd data: .*too much memory"):
        plain(frame)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_bomb_comes_in_small_pieces(name: str) -> None:
    bomb = COMPRESSORS[name](bytes(64 << 20))
    tracemalloc.start()
    try:
        total = 0
        for piece in decompress([bomb]):
            assert len(piece) <= PIECE
            total += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 64 << 20
    assert peak < (12 << 20 if name == "xz" else 4 << 20), "xz's window alone takes 8 MiB"


@pytest.mark.parametrize("start", [b"", gzip.compress(b"x")[:5], zstd(b"x" * 100)[:8], bz2.compress(b"x")[:8]])
def test_errors_of_the_source_pass_through(start: bytes) -> None:
    def broken() -> Iterator[bytes]:
        yield start
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        list(decompress(broken()))


def test_gzip_is_the_same_each_time() -> None:
    def compress() -> bytes:
        writer = Gzip()
        return writer.compress(DATA[:100_000]) + writer.compress(memoryview(DATA)[100_000:]) + writer.finish()

    first = compress()
    assert compress() == first
    assert zlib.decompress(first, 31) == DATA
    assert first[4:8] == bytes(4), "no time in the header"
