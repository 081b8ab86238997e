"""POST /containers/{id}/attach and its WebSocket form: the client's socket becomes the container's streams."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct

from proa.api import framing, hijack
from proa.api.request import Request
from proa.engine.logs import LogRequest
from proa.engine.records import Container, Status
from proa.engine.requests import AttachRequest
from proa.errors import Conflict

_SIOCOUTQ = 0x5411  # sockios(7): bytes that the other end has not read
_DRAIN_POLL, _DRAIN_POLLS = 0.001, 200  # seconds, tries


async def attach(request: Request) -> None:
    tty = _attachable(request).options.tty
    start = _start(request, multiplexed=not tty, drain=hijack.needs_drain(request))
    await hijack.take_over(request, start, tty=tty)


async def attach_websocket(request: Request) -> None:
    from proa.api import websocket  # few clients want it

    _attachable(request)
    await websocket.take_over(request, _start(request, multiplexed=False, drain=False))


def _attachable(request: Request) -> Container:
    record = request.engine.containers.get(request.name())
    if record.state.status is Status.PAUSED:
        raise Conflict(f"container {request.name()} is paused, unpause the container before attach")
    if record.state.status is Status.RESTARTING:
        raise Conflict(f"container {request.name()} is restarting, wait until the container is running")
    return record


def _start(request: Request, *, multiplexed: bool, drain: bool) -> hijack.Start:
    """Return what joins the client's socket to the container. Raises `InvalidArgument` for wrong detach keys."""
    query = request.query
    record = request.engine.containers.get(request.name())
    wanted = AttachRequest(
        stdin=query.flag("stdin") and record.options.open_stdin,
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        stream=query.flag("stream"),
        logs=query.flag("logs"),
        detach_keys=hijack.detach_keys(query.text("detachKeys")),
        multiplexed=multiplexed,
        drain=drain,
    )

    async def start(client: int, buffered: bytes) -> None:
        wanted.buffered = buffered
        if wanted.logs and not record.running:
            await _replay(request, record.id, client, wanted)
            wanted.logs = wanted.drain = False
            if not wanted.stream:
                os.close(client)
                return
        await request.engine.containers.attach(record.id, client, wanted)

    return start


async def _replay(request: Request, identifier: str, client: int, wanted: AttachRequest) -> None:
    """Send the log of a container that does not run; of one that does, the shim sends it, to lose nothing."""
    loop = asyncio.get_running_loop()
    lines = request.engine.containers.logs(identifier, LogRequest(stdout=wanted.stdout, stderr=wanted.stderr))
    connection = socket.socket(fileno=client)
    connection.setblocking(False)
    try:
        if wanted.drain:
            await _head_is_read(client)
        async for line in lines:
            data = framing.frame(line.stream, line.line) if wanted.multiplexed else line.line
            await loop.sock_sendall(connection, data)
    finally:
        connection.detach()


async def _head_is_read(client: int) -> None:
    for _ in range(_DRAIN_POLLS):
        if struct.unpack("i", fcntl.ioctl(client, _SIOCOUTQ, bytes(4)))[0] == 0:
            return
        await asyncio.sleep(_DRAIN_POLL)
