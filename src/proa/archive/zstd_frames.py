"""Where zstd frames end (RFC 8878, section 3.1), without decompressing them.

The streaming reader of python-zstandard takes a stream cut off inside a frame for a whole one.
"""

from __future__ import annotations

from proa.errors import InvalidArgument

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50  # and the 15 numbers after it
_RLE, _RESERVED = 1, 3  # types of blocks


class FrameWalker:
    """Follows a stream of frames, fed in pieces of any size."""

    def __init__(self) -> None:
        self._field = self._magic  # what reads the next field, once it is there
        self._held = b""
        self._needed = 4  # length of the next field
        self._skip = 0  # bytes before it
        self._checksum = 0  # length of the frame's

    @property
    def complete(self) -> bool:
        """Whether the stream may end here: after a frame, or before the first one."""
        return self._field == self._magic and not self._held and not self._skip

    def feed(self, data: bytes) -> None:
        """Follow the next piece. Raises `InvalidArgument` for what is no frame."""
        position, end = 0, len(data)
        while position < end:
            if self._skip:
                step = min(self._skip, end - position)
                self._skip -= step
                position += step
                continue
            piece = data[position : position + self._needed - len(self._held)]
            self._held += piece
            position += len(piece)
            if len(self._held) == self._needed:
                value = int.from_bytes(self._held, "little")
                self._held = b""
                self._field(value)

    def _magic(self, value: int) -> None:
        if value == _MAGIC:
            self._field, self._needed = self._descriptor, 1
        elif value & ~0xF == _SKIPPABLE:
            self._field, self._needed = self._skippable_size, 4
        else:
            raise InvalidArgument("invalid zstd data: unknown frame descriptor")

    def _skippable_size(self, value: int) -> None:
        self._field, self._needed = self._magic, 4
        self._skip = value

    def _descriptor(self, value: int) -> None:
        single_segment = value >> 5 & 1
        size_of_size = (single_segment, 2, 4, 8)[value >> 6]
        size_of_dictionary = (0, 1, 2, 4)[value & 3]
        self._checksum = 4 if value & 4 else 0
        self._field, self._needed = self._block, 3
        self._skip = (1 - single_segment) + size_of_dictionary + size_of_size

    def _block(self, value: int) -> None:
        last, kind, size = value & 1, value >> 1 & 3, value >> 3
        if kind == _RESERVED:
            raise InvalidArgument("invalid zstd data: reserved block type")
        self._skip = 1 if kind == _RLE else size
        if last:
            self._skip += self._checksum
            self._field, self._needed = self._magic, 4
