"""Attaching over a WebSocket (RFC 6455): messages of the client are input, output comes in binary messages.

The streams meet the engine behind a socket pair, as plain bytes. stdout and stderr come as one; messages say
nothing about lines or writes. The handshake and its refusals are in the words of dockerd's library.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import codecs
import hashlib
import socket
from collections.abc import Iterable

from wsproto import events, frame_protocol
from wsproto.connection import Connection, ConnectionType
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from proa.api import hijack, http1
from proa.api.request import Request

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PIECE = 64 << 10
_LINGER = 2.0  # seconds that the client has to answer a close


class _Refused(Exception):
    """The handshake's request is not one."""

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        self.head = http1.response_head(400, headers or {}) + message.encode()


async def take_over(request: Request, start: hijack.Start) -> None:
    """Answer the handshake, then stand between the client and the engine until one of them ends."""
    try:
        head = _handshake(request)
    except _Refused as refused:
        await request.wire.begin_raw(refused.head)
        return
    descriptor, buffered = await request.wire.detach(head)
    ours, theirs = socket.socketpair()
    with socket.socket(fileno=descriptor) as client:
        for end in (client, ours, theirs):
            end.setblocking(False)
        async with hijack.beginning(start, theirs.detach(), ours, multiplexed=False):
            await _Session(client, ours, text=request.version < (1, 28)).run(buffered)


def _handshake(request: Request) -> bytes:
    """Return the head that accepts (RFC 6455, 4.2.2). Raises `_Refused`."""
    headers = request.headers
    if request.upgrade != "websocket":
        raise _Refused("not websocket protocol")
    if headers.get("sec-websocket-version") != "13":
        raise _Refused("missing or bad WebSocket Version", {"Sec-WebSocket-Version": "13"})
    key = headers.get("sec-websocket-key", "")
    try:
        complete = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        complete = False
    if not complete:
        raise _Refused("mismatch challenge/response")
    accept = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()).decode()
    answer = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
    if protocols := headers.get("sec-websocket-protocol"):
        if "," in protocols:
            raise _Refused("bad protocol: more than one was offered")
        answer["Sec-WebSocket-Protocol"] = protocols.strip()
    return http1.response_head(101, answer).replace(b"UPGRADED", b"Switching Protocols")


class _Session:
    """Both directions of one client. `text`: output as text messages, which clients before API 1.28 want."""

    def __init__(self, client: socket.socket, engine: socket.socket, *, text: bool) -> None:
        self._client = client
        self._engine = engine
        self._frames = Connection(ConnectionType.SERVER)
        self._sending = asyncio.Lock()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace") if text else None

    async def run(self, buffered: bytes) -> None:
        """Copy until the container's output or the client ends. `buffered`: what the client has sent already."""
        output = asyncio.create_task(self._output())
        receiving = asyncio.create_task(self._receive(buffered))
        try:
            await asyncio.wait([output, receiving], return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                await asyncio.wait([receiving], timeout=_LINGER)
        finally:
            for task in (output, receiving):
                task.cancel()
            await asyncio.wait([output, receiving])

    async def _output(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._engine, _PIECE):
                await self._send(self._message(data))
            await self._send(events.CloseConnection(frame_protocol.CloseReason.NORMAL_CLOSURE))
        except (OSError, LocalProtocolError):
            pass  # the client has gone, or has said that it goes

    def _message(self, data: bytes) -> events.Event:
        return events.TextMessage(self._decoder.decode(data)) if self._decoder else events.BytesMessage(data)

    async def _receive(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data or (data := await loop.sock_recv(self._client, _PIECE)):
                self._frames.receive_data(data)
                if not await self._handle(self._frames.events()):
                    break
                data = b""
            self._engine.shutdown(socket.SHUT_WR)
        except RemoteProtocolError as error:
            await self._refuse(error)
        except OSError:
            pass  # the client has gone, or the container's end is being told

    async def _handle(self, received: Iterable[events.Event]) -> bool:
        """Pass input on, answer pings and closes; False when nothing more comes."""
        loop = asyncio.get_running_loop()
        for event in received:
            if isinstance(event, events.TextMessage):
                await loop.sock_sendall(self._engine, event.data.encode())
            elif isinstance(event, events.BytesMessage):
                await loop.sock_sendall(self._engine, bytes(event.data))
            elif isinstance(event, events.Ping):
                await self._send(event.response())
            elif isinstance(event, events.CloseConnection):
                try:
                    await self._send(event.response())
                except LocalProtocolError:
                    pass  # it is the answer to ours
                return False
        return True

    async def _refuse(self, error: RemoteProtocolError) -> None:
        """Close over what breaks the protocol, with the code that says so."""
        close = error.event_hint or events.CloseConnection(frame_protocol.CloseReason.PROTOCOL_ERROR, str(error))
        try:
            await self._send(close)
        except (OSError, LocalProtocolError):
            pass

    async def _send(self, event: events.Event) -> None:
        async with self._sending:
            await asyncio.get_running_loop().sock_sendall(self._client, self._frames.send(event))
