"""The standard streams of a container or an exec, for callers in this process.

The shim serves them as it serves any client, by a socket; here its other end is read and written.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self

_HEADER = 8  # bytes: the stream's number, three zeros, the length as 32 bits big-endian
_PIECE = 64 << 10
_NAMES = {1: "stdout", 2: "stderr"}


class Streams:
    """What one process writes and reads. Iterate over its output; leave with `close`, or as a context.

    A reader that is slow slows the process down, as a pipe would: nothing is lost, nothing piles up.
    """

    def __init__(self, connection: socket.socket, *, tty: bool) -> None:
        self._socket = connection
        self._tty = tty
        self._received = bytearray()

    @classmethod
    async def pair(cls, *, tty: bool) -> tuple[Self, socket.socket]:
        """Return streams and the socket that the shim is to have."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        return cls(ours, tty=tty), theirs

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
            data = await self._receive()
            return ("stdout", data) if data else None
        header = await self._exactly(_HEADER)
        data = await self._exactly(int.from_bytes(header[4:], "big")) if header else b""
        return (_NAMES[header[0]], data) if data else None  # else the shim was killed, or it is the end

    async def _exactly(self, size: int) -> bytes:
        """Return the next `size` bytes, b"" where there are not as many."""
        while len(self._received) < size:
            data = await self._receive()
            if not data:
                return b""
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _receive(self) -> bytes:
        """Return what comes next, b"" at the end: with input unread that is a reset, after all output."""
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, _PIECE)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send input; what the process has ended without reading is lost without an error."""
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def close_input(self) -> None:
        """Tell the process that there is no more input."""
        with suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        """Leave; the process goes on."""
        self._socket.close()
