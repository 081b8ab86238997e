"""Tar archives block by block, so that a test can write what no sane program would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MTIME = 1_700_000_000  # seconds
END = bytes(1024)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int = 12) -> bytes:
    """GNU's binary numbers: two's complement with the first bit set."""
    raw = bytearray((value & ((1 << (8 * width)) - 1)).to_bytes(width, "big"))
    raw[0] |= 0x80
    return bytes(raw)


def header(
    name: bytes,
    *,
    kind: bytes = b"0",
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    size: int | bytes = 0,
    mtime: int | bytes = MTIME,
    link: bytes = b"",
    major: int | bytes = 0,
    minor: int | bytes = 0,
    magic: bytes = b"ustar\x0000",
    tail: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One header block. Numbers may be given as raw fields; `tail` is what follows minor: the prefix of
    POSIX, other things of GNU."""

    def field(value: int | bytes, width: int) -> bytes:
        if isinstance(value, int):
            value = octal(value, width) if value < 8 ** (width - 1) else base256(value, width)
        return value.ljust(width, b"\0")

    def block(checksum: bytes) -> bytes:
        return (
            name.ljust(100, b"\0")
            + field(mode, 8)
            + field(uid, 8)
            + field(gid, 8)
            + field(size, 12)
            + field(mtime, 12)
            + checksum
            + kind
            + link.ljust(100, b"\0")
            + magic
            + bytes(64)
            + field(major, 8)
            + field(minor, 8)
            + tail
        ).ljust(512, b"\0")

    assert len(name) <= 100 and len(link) <= 100 and len(magic) == 8
    if checksum is None:
        checksum = b"%06o\0 " % sum(block(b" " * 8))
    return block(checksum)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes = b"", **fields: Any) -> bytes:
    """A header and its data; `size` is that of the data unless it is given."""
    fields.setdefault("size", len(data))
    return header(name, **fields) + padded(data)


def directory(name: bytes, **fields: Any) -> bytes:
    fields.setdefault("mode", 0o755)
    return member(name, kind=b"5", **fields)


def symlink(name: bytes, target: bytes, **fields: Any) -> bytes:
    return member(name, kind=b"2", link=target, mode=0o777, **fields)


def hard_link(name: bytes, target: bytes, **fields: Any) -> bytes:
    return member(name, kind=b"1", link=target, **fields)


def record(key: bytes, value: bytes) -> bytes:
    """A pax record with its length, which counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def pax(records: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]] | bytes, kind: bytes = b"x") -> bytes:
    """An extended header with records, or with raw bytes in their place."""
    if not isinstance(records, bytes):
        pairs = records.items() if isinstance(records, Mapping) else records
        records = b"".join(record(key, value) for key, value in pairs)
    return member(b"PaxHeaders/x", records, kind=kind)


def gnu_long(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU's way of writing a long name (L) or link target (K)."""
    return member(b"././@LongLink", name + b"\0", kind=kind, magic=b"ustar  \0")
