"""Attach and exec: after the reply's head the connection is a plain stream between client and container.

The client's socket itself goes to the engine, and from there to the container's shim: no byte of the stream
passes through this process. Only a body sent in chunks is unpacked here, behind a socket pair.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from proa.api import framing, http1
from proa.api.errors import HttpError, describe
from proa.api.request import Request
from proa.engine.requests import DEFAULT_DETACH_KEYS
from proa.errors import InvalidArgument

_PIECE = 64 << 10
_MOST_BUFFERED = 16 << 10  # bytes of input that go along with a request to a shim: its packets have limits
Start = Callable[[int, bytes], Awaitable[None]]

_NAMED_KEYS = {
    "ctrl-@": 0, "ctrl-[": 27, "ctrl-\\": 28, "ctrl-]": 29, "ctrl-^": 30, "ctrl-_": 31,
    **{f"ctrl-{chr(letter)}": letter - 96 for letter in range(ord("a"), ord("z") + 1)},
}  # fmt: skip


async def take_over(request: Request, start: Start, *, tty: bool) -> None:
    """Reply, then call `start` with the client's socket and what the client has already sent.

    An error of `start` is written to the client as output: the reply's head is already out.
    """
    content_type = framing.content_type(tty=tty, version=request.version)
    if request.upgrade:
        head = http1.response_head(101, {"Content-Type": content_type, "Connection": "Upgrade", "Upgrade": "tcp"})
    else:
        head = http1.response_head(200, {"Content-Type": framing.RAW}, request.http_version)
    if not request.body.ended:
        await _relay(request, head, start, tty=tty)
        return
    descriptor, buffered = await request.wire.detach(head)
    if len(buffered) > _MOST_BUFFERED:
        await _stand_between(start, descriptor, buffered, multiplexed=not tty)
    else:
        await _begin(start, descriptor, buffered, multiplexed=not tty)


async def _begin(start: Start, descriptor: int, buffered: bytes, *, multiplexed: bool) -> None:
    """Call `start`; an error of it becomes the stream's only output."""
    try:
        await start(descriptor, buffered)
    except ConnectionError:
        os.close(descriptor)  # the client left while it was sent the log
    except Exception as error:
        message = describe(error)[1].encode() + b"\r\n"
        await _finish(descriptor, framing.frame("stdout", message) if multiplexed else message)


@asynccontextmanager
async def beginning(start: Start, theirs: int, ours: socket.socket, *, multiplexed: bool) -> AsyncIterator[None]:
    """Call `start` beside the block, which reads at `ours`: there may be much to send, a log, before it is done.

    `ours` is closed at the block's end.
    """
    task = asyncio.create_task(_begin(start, theirs, b"", multiplexed=multiplexed))
    try:
        yield
    finally:
        ours.close()
        await asyncio.wait([task])


async def _stand_between(start: Start, descriptor: int, buffered: bytes, *, multiplexed: bool) -> None:
    """Pass both directions on: the client did not wait for the reply and has sent much already."""
    ours, theirs = socket.socketpair()
    with socket.socket(fileno=descriptor) as client:
        for end in (client, ours, theirs):
            end.setblocking(False)
        async with beginning(start, theirs.detach(), ours, multiplexed=multiplexed):
            feeding = asyncio.create_task(_copy(buffered, client, ours))
            try:
                await _copy(b"", ours, client)
            finally:
                feeding.cancel()
                await asyncio.wait([feeding])


async def _copy(data: bytes, source: socket.socket, target: socket.socket) -> None:
    """Send `data`, then what comes from `source` to its end."""
    loop = asyncio.get_running_loop()
    try:
        while data or (data := await loop.sock_recv(source, _PIECE)):
            await loop.sock_sendall(target, data)
            data = b""
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them has gone


async def _relay(request: Request, head: bytes, start: Start, *, tty: bool) -> None:
    """Stand between a client whose chunked body is the input, and the engine."""
    stream = await request.wire.begin_raw(head)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    async with beginning(start, theirs.detach(), ours, multiplexed=not tty):
        feeding = asyncio.create_task(_feed(request, ours))
        try:
            while data := await _received(ours):
                await stream.write(data)
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])


async def _received(source: socket.socket) -> bytes:
    """Return what comes next, b"" at the end; with input unread the end is a reset connection."""
    try:
        return await asyncio.get_running_loop().sock_recv(source, _PIECE)
    except ConnectionError:
        return b""


async def _feed(request: Request, target: socket.socket) -> None:
    """Pass a body on; its end, even an early one, is the end of the input."""
    loop = asyncio.get_running_loop()
    try:
        async for piece in request.body:
            await loop.sock_sendall(target, piece)
        target.shutdown(socket.SHUT_WR)
    except HttpError:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the process has ended and reads no more


async def _finish(descriptor: int, data: bytes) -> None:
    """Write the last words to a client and close."""
    loop = asyncio.get_running_loop()
    with socket.socket(fileno=descriptor) as client:
        client.setblocking(False)
        try:
            await loop.sock_sendall(client, data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the client has gone


def needs_drain(request: Request) -> bool:
    """Whether output must wait until the client has read the reply's head.

    Go's client reads on in the buffer that the head came in; of others that is not known.
    """
    agent = request.headers.get("user-agent", "")
    return not agent.startswith(("Docker-Client/", "docker/", "Proa-Client/"))


def detach_keys(text: str, word: str = "detach") -> bytes:
    """Read "ctrl-p,ctrl-q" or "a,b". Raises `InvalidArgument`; Docker's word for them differs by place."""
    if not text:
        return DEFAULT_DETACH_KEYS
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif key.lower() in _NAMED_KEYS:
            keys.append(_NAMED_KEYS[key.lower()])
        else:
            raise InvalidArgument(f"Invalid {word} keys ({text}) provided")
    return bytes(keys)
