"""A lean tar reader: a stream of chunks in, entries and their data out, nothing copied that need not be.

The standard library's tarfile spends four times as long on a layer and knows no limits for hostile headers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from proa.archive import sparse
from proa.archive.entry import (
    BLOCK,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    GNU_SPARSE,
    PAX,
    PAX_GLOBAL,
    REGULAR,
    ZERO_BLOCK,
    Entry,
    invalid,
    number,
    parse_header,
    parse_pax,
)

# Go's archive/tar has the same limit for pax records and GNU long names.
MAX_SPECIAL_SIZE = 1 << 20


class Reader:
    """Iterates over the entries of the tar stream that `chunks` make up.

    The data of an entry is there until the next entry is asked for: `copy_to`, `read` or nothing (it is
    skipped). Raises `InvalidArgument` for what is no sound archive, truncation included.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._view = memoryview(b"")
        self._position = 0
        self._left = 0  # data of the current entry not taken yet
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        pax: dict[bytes, bytes] | None = None
        long_name: bytes | None = None
        long_link: bytes | None = None
        while True:
            if self._left or self._padding:
                self._skip(self._left + self._padding)
                self._left = self._padding = 0
            block = self._header_block()
            if block is None:
                if pax is not None or long_name is not None or long_link is not None:
                    raise invalid("it ends after an extended header")
                return
            kind = block[156:157]
            if kind == PAX:
                pax = parse_pax(self._special(block))
            elif kind == GNU_LONG_NAME:
                long_name = self._special(block).split(b"\0", 1)[0]
            elif kind == GNU_LONG_LINK:
                long_link = self._special(block).split(b"\0", 1)[0]
            elif kind == PAX_GLOBAL:
                # Checked and left aside, as every engine does: it would rename or re-own what follows.
                parse_pax(self._special(block))
            else:
                entry = parse_header(block, pax, long_name, long_link)
                self._left = size = entry.size
                self._padding = -size % BLOCK
                if kind == GNU_SPARSE:
                    sparse.old_gnu(entry, self._map_block)
                    entry.type = REGULAR
                elif pax is not None and entry.type == REGULAR:
                    sparse.pax(entry, pax, self._map_block)
                pax = long_name = long_link = None
                yield entry

    def copy_to(self, descriptor: int, count: int = -1) -> None:
        """Write the next `count` bytes of the entry's data (default: all) to a file descriptor."""
        if count < 0:
            count = self._left
        self._left -= count
        while count:
            position = self._position
            piece = self._view[position : position + count]
            if not piece:
                self._fill()
                continue
            written = os.write(descriptor, piece)
            self._position = position + written
            count -= written

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes of the entry's data."""
        if count > self._left:
            raise invalid("unexpected end of an entry")
        self._left -= count
        return self._take(count)

    def drain(self) -> None:
        """Take what stands after the end of the archive, so that whoever sends it can finish."""
        self._position = len(self._buffer)
        for _ in self._chunks:
            pass

    def _more(self) -> bool:
        """Whether a byte is left; gets the next chunk when the buffer is used up."""
        while self._position == len(self._buffer):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._buffer = chunk
            self._view = memoryview(chunk)
            self._position = 0
        return True

    def _fill(self) -> None:
        if not self._more():
            raise invalid("unexpected end")

    def _take(self, count: int) -> bytes:
        position = self._position
        end = position + count
        if end <= len(self._buffer):
            self._position = end
            return self._buffer[position:end]
        pieces = []
        while count:
            piece = self._buffer[self._position : self._position + count]
            if not piece:
                self._fill()
                continue
            pieces.append(piece)
            self._position += len(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _skip(self, count: int) -> None:
        while count:
            available = len(self._buffer) - self._position
            if available >= count:
                self._position += count
                return
            count -= available
            self._position = len(self._buffer)
            self._fill()

    def _header_block(self) -> bytes | None:
        """Return the next header, or None at the end: two blocks of zeros, or no more bytes at all."""
        if not self._more():
            return None
        block = self._take(BLOCK)
        if block[0] == 0 and block == ZERO_BLOCK:
            # A lone block of zeros at the very end: some writers stop there.
            if self._more() and self._take(BLOCK) != ZERO_BLOCK:
                raise invalid("garbage after a block of zeros")
            return None
        return block

    def _special(self, block: bytes) -> bytes:
        """Return the data of a header that only describes the next one."""
        size = number(block[124:136])
        if not 0 <= size <= MAX_SPECIAL_SIZE:
            raise invalid(f"an extended header has the size {size}")
        parse_header(block, None, None, None)
        data = self._take(size)
        self._skip(-size % BLOCK)
        return data

    def _map_block(self, inside: bool) -> bytes:
        """Return a block of a sparse map: of the entry's own data, or between header and data."""
        if inside:
            if self._left < BLOCK:
                raise invalid("unexpected end of a sparse map")
            self._left -= BLOCK
        return self._take(BLOCK)
