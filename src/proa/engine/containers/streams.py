"""The standard streams of a container or an exec, for callers in this process.

The shim serves them as it serves any client, by a socket; here its other end is read and written.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Self

_HEADER = 8  # bytes: the stream's number, three zeros, the length as 32 bits big-endian
_NAMES = {1: "stdout", 2: "stderr"}


class Streams:
    """What one process writes and reads. Iterate over its output; leave with `close`, or as a context.

    A reader that is slow slows the process down, as a pipe would: nothing is lost, nothing piles up.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tty: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._tty = tty

    @classmethod
    async def pair(cls, *, tty: bool) -> tuple[Self, socket.socket]:
        """Return streams and the socket that the shim is to have."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(reader, writer, tty=tty), theirs

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield ("stdout" or "stderr", data) to the end; with a terminal all of it is "stdout"."""
        while chunk := await self._read():
            yield chunk

    async def _read(self) -> tuple[str, bytes] | None:
        if self._tty:
            data = await self._reader.read(1 << 16)
            return ("stdout", data) if data else None
        try:
            header = await self._reader.readexactly(_HEADER)
            data = await self._reader.readexactly(int.from_bytes(header[4:], "big"))
        except asyncio.IncompleteReadError:
            return None  # the shim was killed, or it is the end
        return _NAMES[header[0]], data

    async def write(self, data: bytes) -> None:
        """Send input; what the process has ended without reading is lost without an error."""
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            pass

    def close_input(self) -> None:
        """Tell the process that there is no more input."""
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def close(self) -> None:
        """Leave; the process goes on."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass
