"""POST /containers/{id}/attach: the client's socket becomes the container's streams."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct

from proa import wording
from proa.api import framing, hijack
from proa.api.request import Request
from proa.engine.logs import LogRequest
from proa.engine.records import Status
from proa.engine.requests import AttachRequest
from proa.errors import Conflict

_SIOCOUTQ = 0x5411  # sockios(7): bytes that the other end has not read
_DRAIN_POLL, _DRAIN_POLLS = 0.001, 200  # seconds, tries


async def attach(request: Request) -> None:
    query = request.query
    record = request.engine.containers.get(request.name())
    if record.state.status is Status.PAUSED:
        raise Conflict(f"container {record.id} is paused, unpause the container before attach")
    if record.state.status is Status.RESTARTING:
        raise wording.restarting(record.id)
    tty = record.options.tty
    wanted = AttachRequest(
        stdin=query.flag("stdin") and record.options.open_stdin,
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        stream=query.flag("stream"),
        logs=query.flag("logs"),
        detach_keys=hijack.detach_keys(query.text("detachKeys")),
        multiplexed=not tty,
        drain=hijack.needs_drain(request),
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

    await hijack.take_over(request, start, tty=tty)


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
