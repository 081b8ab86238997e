"""A tar writer: ustar headers, pax records for what they cannot say; equal input gives equal bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from struct import Struct

from proa.archive.entry import BLOCK, DIRECTORY, PAX, REGULAR, XATTR_PREFIX

_PIECE = 256 << 10
_MAX_OCTAL_SIZE = 8**11 - 1
_MAX_OCTAL_ID = 8**7 - 1
# name mode uid gid size mtime checksum type link magic+version (no names of owners) major minor
_HEADER = Struct("100s8s8s8s12s12s8sc100s8s64x8s8s167x")


class Writer:
    """Writes entries to `out`, which is called with pieces of about 256 KiB and never after `finish`."""

    def __init__(self, out: Callable[[bytes], object]) -> None:
        self._out = out
        self._held = bytearray()

    def add(
        self,
        name: bytes,
        kind: bytes = REGULAR,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime: int = 0,
        link: bytes = b"",
        device: int = 0,
        xattrs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write a header; exactly `size` bytes of `data` must follow. `mtime` is in nanoseconds."""
        if kind == DIRECTORY:
            name += b"/"
        records: dict[bytes, bytes] = {}
        if len(name) > 100:
            records[b"path"] = name
        if len(link) > 100:
            records[b"linkpath"] = link
        if size > _MAX_OCTAL_SIZE:
            records[b"size"] = b"%d" % size
        for key, value in ((b"uid", uid), (b"gid", gid)):
            if value > _MAX_OCTAL_ID:
                records[key] = b"%d" % value
        if mtime % 10**9 or not 0 <= mtime // 10**9 <= _MAX_OCTAL_SIZE:
            records[b"mtime"] = _seconds(mtime)
        for attribute, content in (xattrs or {}).items():
            escaped = os.fsencode(attribute).replace(b"%", b"%25").replace(b"=", b"%3D")
            records[XATTR_PREFIX + escaped] = content
        if records:
            body = b"".join(_record(key, records[key]) for key in sorted(records))
            # The name is for readers that know no pax records; they see one file beside each.
            self._header(b"PaxHeaders/" + name.rstrip(b"/").rpartition(b"/")[2], PAX, 0o644, 0, 0, len(body), 0)
            self.data(body)
            self.pad(len(body))
        self._header(name, kind, mode, uid, gid, size, mtime // 10**9, link, device)

    def data(self, piece: bytes) -> None:
        """Write a part of an entry's data."""
        self._held += piece
        if len(self._held) >= _PIECE:
            self._flush()

    def pad(self, size: int) -> None:
        """End the data of an entry of `size` bytes."""
        self._held += bytes(-size % BLOCK)

    def finish(self) -> None:
        """End the archive."""
        self._held += bytes(2 * BLOCK)
        self._flush()

    def _flush(self) -> None:
        self._out(bytes(self._held))
        self._held.clear()

    def _header(
        self,
        name: bytes,
        kind: bytes,
        mode: int,
        uid: int,
        gid: int,
        size: int,
        seconds: int,
        link: bytes = b"",
        device: int = 0,
    ) -> None:
        # What does not fit is cut or zero here and whole in the pax records.
        block = _HEADER.pack(
            name[:100],
            b"%07o" % mode,
            b"%07o" % (uid if uid <= _MAX_OCTAL_ID else 0),
            b"%07o" % (gid if gid <= _MAX_OCTAL_ID else 0),
            b"%011o" % (size if size <= _MAX_OCTAL_SIZE else 0),
            b"%011o" % (seconds if 0 <= seconds <= _MAX_OCTAL_SIZE else 0),
            b" " * 8,  # the checksum counts itself as blanks
            kind,
            link[:100],
            b"ustar\x0000",
            b"%07o" % os.major(device),
            b"%07o" % os.minor(device),
        )
        self._held += block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _record(key: bytes, value: bytes) -> bytes:
    """One pax record; its length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _seconds(nanoseconds: int) -> bytes:
    """Nanoseconds as decimal seconds, as short as they go."""
    sign = b"-" if nanoseconds < 0 else b""
    whole, fraction = divmod(abs(nanoseconds), 10**9)
    text = b"%b%d.%09d" % (sign, whole, fraction)
    return text.rstrip(b"0").rstrip(b".")
