"""Sparse files in tar archives: the old GNU format and the three pax formats (manual of GNU tar, D.2).

Each says which pieces of the file the archive holds; the rest are holes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from proa.archive.entry import MAX_OFFSET, Entry, invalid, number, pax_number, show

# Returns the next block: True asks for one of the entry's own data, False for one before it.
NextBlock = Callable[[bool], bytes]

# 21 pieces a block: more than 2 million are no file but an attack on memory.
_MAX_PIECES = 1 << 21


def old_gnu(entry: Entry, next_block: NextBlock) -> None:
    """Read the map of an entry of type "S": four pieces in the header, 21 in each block after it."""
    pieces = _gnu_pieces(entry.raw, 386, 4)
    more = entry.raw[482]
    entry.real_size = number(entry.raw[483:495])
    while more:
        block = next_block(False)
        pieces += _gnu_pieces(block, 0, 21)
        more = block[504]
        if len(pieces) > _MAX_PIECES:
            raise invalid(f"entry {show(entry.name)} has too many pieces")
    _settle(entry, pieces, entry.size)


def pax(entry: Entry, records: Mapping[bytes, bytes], next_block: NextBlock) -> None:
    """Read the map of a regular entry whose pax records say that it is sparse; does nothing for others."""
    if records.get(b"GNU.sparse.major") == b"1" and records.get(b"GNU.sparse.minor") == b"0":
        pieces, taken = _pieces_in_data(next_block)
        size = records.get(b"GNU.sparse.realsize")
    elif b"GNU.sparse.map" in records:
        numbers = [pax_number(text) for text in records[b"GNU.sparse.map"].split(b",")]
        if len(numbers) % 2:
            raise invalid(f"entry {show(entry.name)} has an odd sparse map")
        pieces, taken = list(zip(numbers[::2], numbers[1::2], strict=True)), 0
        size = records.get(b"GNU.sparse.size")
    else:
        return
    name = records.get(b"GNU.sparse.name", entry.name)
    if b"\0" in name:
        raise invalid(f"the name {show(name)} has a NUL byte")
    entry.name = name
    if size is None:
        raise invalid(f"entry {show(name)} is sparse and has no size")
    entry.real_size = pax_number(size)
    _settle(entry, pieces, entry.size - taken)


def _gnu_pieces(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    pieces = []
    for position in range(start, start + 24 * count, 24):
        if not block[position + 12]:
            break
        middle = position + 12
        pieces.append((number(block[position:middle]), number(block[middle : middle + 12])))
    return pieces


def _pieces_in_data(next_block: NextBlock) -> tuple[list[tuple[int, int]], int]:
    """Read a format 1.0 map: decimal numbers on lines of their own, padded to whole blocks.

    Returns the pieces and how many bytes of the entry's data the map took.
    """
    data = bytearray(next_block(True))
    blocks, position = 1, 0

    def line() -> int:
        nonlocal position, blocks
        while (end := data.find(b"\n", position, position + 21)) < 0:
            if len(data) - position > 20:
                raise invalid("malformed sparse map")
            # Only the rest is kept: the map may be far longer than one block.
            del data[:position]
            position = 0
            data.extend(next_block(True))
            blocks += 1
        value = pax_number(bytes(data[position:end]))
        position = end + 1
        return value

    count = line()
    if count > _MAX_PIECES:
        raise invalid("a sparse map has too many pieces")
    return [(line(), line()) for _ in range(count)], 512 * blocks


def _settle(entry: Entry, pieces: list[tuple[int, int]], data: int) -> None:
    """Check the map against the sizes: pieces in order, inside the file, and all the data there is."""
    end = total = 0
    for offset, length in pieces:
        if offset < end or length < 0 or offset + length > entry.real_size:
            raise invalid(f"entry {show(entry.name)} has a sparse map out of order")
        end = offset + length
        total += length
    if total != data or not 0 <= entry.real_size <= MAX_OFFSET:
        raise invalid(f"entry {show(entry.name)} has a sparse map that does not fit its size")
    entry.sparse = pieces
