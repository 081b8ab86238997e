"""Responses sent as they come into being: in chunks, or for HTTP/1.0 until the connection closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Send = Callable[[bytes], Awaitable[None]]


class ChunkedStream:
    """The chunked transfer coding (RFC 9112, 7.1)."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def write(self, data: bytes) -> None:
        if data:  # an empty chunk would be the end
            await self._send(b"%x\r\n%b\r\n" % (len(data), data))

    async def close(self) -> None:
        await self._send(b"0\r\n\r\n")


class RawStream:
    """Nothing around the data; the end is the connection's."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def write(self, data: bytes) -> None:
        if data:
            await self._send(data)

    async def close(self) -> None:
        """The connection closes when its request has ended."""
