"""What one member of a tar archive says, decoded from its header blocks (POSIX pax and ustar, GNU)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from zlib import adler32

from proa.errors import InvalidArgument

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)

# Type flags.
REGULAR, HARD_LINK, SYMLINK, CHARACTER = b"0", b"1", b"2", b"3"
BLOCK_DEVICE, DIRECTORY, FIFO, CONTIGUOUS = b"4", b"5", b"6", b"7"
OLD_REGULAR, GNU_SPARSE = b"\0", b"S"
PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK = b"x", b"g", b"L", b"K"

# Members of these types have no data, whatever their size field says (as in Go's archive/tar, which the
# other engines read layers with: two readings of one archive must not differ).
_HEADER_ONLY = frozenset((HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))

XATTR_PREFIX = b"SCHILY.xattr."
MAX_OFFSET = (1 << 63) - 1
_MAX_ID = (1 << 32) - 2  # (uid_t) -1 means "leave it" to chown(2)
_MAX_SECONDS = (1 << 63) // 10**9
_MIN_SECONDS = -(1 << 31)

# name mode uid gid size mtime checksum type linkname magic+version uname gname major minor prefix
_HEADER = Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")


class Entry:
    """A member: names are bytes as found in the archive, unchecked; `size` counts the bytes that follow."""

    __slots__ = (
        "gid",
        "link",
        "major",
        "minor",
        "mode",
        "mtime",
        "name",
        "raw",
        "real_size",
        "size",
        "sparse",
        "type",
        "uid",
        "xattrs",
    )

    name: bytes
    link: bytes
    type: bytes  # one of the type flags; old and contiguous regular files appear as REGULAR
    mode: int
    uid: int
    gid: int
    size: int
    real_size: int  # of a sparse file, with its holes
    mtime: int  # nanoseconds since the epoch
    major: int
    minor: int
    xattrs: dict[str, bytes] | None
    sparse: list[tuple[int, int]] | None  # offset and length of each piece of data
    raw: bytes  # the header block, for the formats that hide more in it


def invalid(message: str) -> InvalidArgument:
    """The error for an archive that cannot be trusted."""
    return InvalidArgument(f"invalid layer archive: {message}")


def show(name: bytes) -> str:
    """A name from an archive as one short printable line."""
    text = name if len(name) <= 200 else name[:100] + b"..." + name[-97:]
    return '"' + text.decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii") + '"'


def number(field: bytes) -> int:
    """Decode a numeric header field: octal text, or GNU's base-256 when its first bit is set (signed)."""
    first = field[0]
    if first & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if first & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value
    text = field.strip(b" \0")
    if not text:
        return 0
    if not text.isdigit():
        text = text.split(b"\0", 1)[0].rstrip(b" ")
    try:
        if text.isdigit():
            return int(text, 8)
    except ValueError:
        pass
    raise invalid(f"{show(field)} is not a number")


# Owners, modes and times repeat from entry to entry.
_repeating_number = lru_cache(maxsize=1024)(number)


def _checksum_fits(block: bytes, field: bytes) -> bool:
    """Whether the header's checksum is right: the sum of its bytes, the checksum's own taken as blanks."""
    try:
        stored = number(field)
    except InvalidArgument:
        return False
    # adler32's low half is (1 + the sum of the bytes) modulo 65521: the sum at the speed of C.
    if ((adler32(block) & 0xFFFF) - 1 - sum(field) + 256 - stored) % 65521 == 0:
        return True
    # Some historic writers summed signed characters.
    return sum(byte - 256 if byte > 127 else byte for byte in block) - _signed(field) + 256 == stored


def _signed(field: bytes) -> int:
    return sum(byte - 256 if byte > 127 else byte for byte in field)


def parse_header(
    block: bytes, pax: Mapping[bytes, bytes] | None, long_name: bytes | None, long_link: bytes | None
) -> Entry:
    """Decode a header block; what pax records and GNU long names say wins over its fields.

    Raises `InvalidArgument` for a bad checksum, malformed or negative numbers and NUL bytes in names.
    """
    (name, mode, uid, gid, size, mtime, checksum, kind, link, magic, _, _, major, minor, prefix) = _HEADER.unpack(
        block
    )
    if not _checksum_fits(block, checksum):
        raise invalid("bad header checksum")
    entry = Entry()
    name = name.split(b"\0", 1)[0]
    # GNU's magic has blanks after "ustar" and other things where POSIX has the prefix.
    if prefix[0] and magic[:6] == b"ustar\0":
        name = prefix.split(b"\0", 1)[0] + b"/" + name
    entry.name = name if long_name is None else long_name
    entry.link = link.split(b"\0", 1)[0] if long_link is None else long_link
    entry.mode = _repeating_number(mode) & 0o7777
    entry.uid = _repeating_number(uid)
    entry.gid = _repeating_number(gid)
    entry.size = number(size)
    entry.mtime = _repeating_number(mtime) * 10**9
    entry.raw = block
    entry.xattrs = entry.sparse = None
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = number(major), number(minor)
    if pax:
        _apply_pax(entry, pax)
    if kind == OLD_REGULAR:
        # Before POSIX a directory was a file whose name ends in a slash.
        kind = DIRECTORY if entry.name.endswith(b"/") else REGULAR
    elif kind == CONTIGUOUS:
        kind = REGULAR
    entry.type = kind
    _check_ranges(entry)
    if kind in _HEADER_ONLY:
        entry.size = 0
    entry.real_size = entry.size
    return entry


def _check_ranges(entry: Entry) -> None:
    if not 0 <= entry.size <= MAX_OFFSET:
        raise invalid(f"entry {show(entry.name)} has the size {entry.size}")
    if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
        raise invalid(f"entry {show(entry.name)} has the owner {entry.uid}:{entry.gid}")
    if not _MIN_SECONDS <= entry.mtime // 10**9 < _MAX_SECONDS:
        entry.mtime = 0


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """Decode pax records, each `<length> <key>=<value>\\n`; the last of equal keys wins.

    `GNU.sparse.offset` and `GNU.sparse.numbytes` repeat: they are gathered under b"GNU.sparse.map".
    """
    records: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        space = data.find(b" ", position, position + 12)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise invalid("malformed pax record")
        after = position + int(digits)
        equals = data.find(b"=", space, after)
        if after > end or equals <= space + 1 or data[after - 1] != 0x0A:
            raise invalid("malformed pax record")
        key, value = data[space + 1 : equals], data[equals + 1 : after - 1]
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            pieces.append(value)
        elif value or key.startswith(XATTR_PREFIX):
            records[key] = value
        else:
            records.pop(key, None)  # an empty value takes the record back
        position = after
    if pieces:
        records[b"GNU.sparse.map"] = b",".join(pieces)
    return records


def pax_number(value: bytes) -> int:
    """Decode a pax record's non-negative decimal number."""
    if not value.isdigit() or len(value) > 19:
        raise invalid(f"{show(value)} is not a number")
    return int(value)


def _pax_time(value: bytes) -> int:
    """Decode seconds with a fraction into nanoseconds, rounding towards the past as POSIX asks."""
    whole, _, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not digits.isdigit() or len(digits) > 19 or (fraction and not fraction.isdigit()):
        raise invalid(f"{show(value)} is not a time")
    nanoseconds = int(digits) * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return -nanoseconds if negative else nanoseconds


def _apply_pax(entry: Entry, pax: Mapping[bytes, bytes]) -> None:
    for key, value in pax.items():
        if key == b"mtime":
            entry.mtime = _pax_time(value)
        elif key == b"path" or key == b"linkpath":
            if b"\0" in value:
                raise invalid(f"the name {show(value)} has a NUL byte")
            if key == b"path":
                entry.name = value
            else:
                entry.link = value
        elif key == b"size":
            entry.size = pax_number(value)
        elif key == b"uid":
            entry.uid = pax_number(value)
        elif key == b"gid":
            entry.gid = pax_number(value)
        elif key.startswith(XATTR_PREFIX):
            name = key[len(XATTR_PREFIX) :]
            if not name or b"\0" in name:
                raise invalid(f"the attribute name {show(name)} is malformed")
            if entry.xattrs is None:
                entry.xattrs = {}
            # GNU tar's way to write "=", which would end the key.
            name = name.replace(b"%3D", b"=").replace(b"%25", b"%")
            entry.xattrs[name.decode("utf-8", "surrogateescape")] = value
