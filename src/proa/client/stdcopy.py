"""The framing of output without a terminal.

Each frame is a header of 8 bytes (stream, 0, 0, 0, length as 32 bits big-endian) and data.
"""

from __future__ import annotations

from proa.client.errors import DaemonError
from proa.errors import Internal

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
_HEADER = 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Demultiplexer:
    """Splits a stream into (stream, data); frames may arrive in any pieces and are not waited for whole."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0
        self._error = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield what came. Raises `DaemonError` for a frame of the engine's own, `Internal` for no frame."""
        position = 0
        while position < len(data):
            if not self._left:
                position = self._read_header(data, position)
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            if self._stream != SYSTEM_ERROR:
                yield (STDERR if self._stream == STDERR else STDOUT), piece
                continue
            self._error += piece
            if not self._left:
                message = self._error.decode("utf-8", "replace").rstrip("\n")
                raise DaemonError(f"error from daemon in stream: {message}")

    def _read_header(self, data: bytes, position: int) -> int:
        missing = _HEADER - len(self._header)
        self._header += data[position : position + missing]
        if len(self._header) == _HEADER:
            self._stream = self._header[0]
            self._left = int.from_bytes(self._header[4:], "big")
            if self._stream > SYSTEM_ERROR or self._header[1:4] != b"\0\0\0":
                raise Internal(f"Unrecognized input header: {self._stream}")
            self._header = b""
        return position + missing
