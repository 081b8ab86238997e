"""What a container has said so far, for a client that attaches and asks for it: `attach` with logs.

The engine sends the log at the client's pace, however long it is. Where it has come to the end it says
how far it read, and the shim sends what was written meanwhile before it passes output on live.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from typing import TYPE_CHECKING

from proa.engine.logs.destination import log_path
from proa.engine.logs.reading import LogRequest, Place, pieces
from proa.engine.records import Container
from proa.engine.requests import AttachRequest
from proa.shim.client import frame

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_SIOCOUTQ = 0x5411  # sockios(7): bytes that the other end has not read
_NETWORK_GRACE = 0.05  # seconds: over TCP the kernel knows only that the head has arrived, not that it was read
_DRAIN_POLL, _DRAIN_POLLS = 0.002, 5000  # seconds, tries


async def replay(containers: Containers, record: Container, fd: int, request: AttachRequest, place: Place) -> None:
    """Send the log from `place` on to the client's socket; `place` is then the end of what was sent.

    A log that can not be read is an empty one. Raises OSError when the client has gone.
    """
    path = log_path(containers.directory(record), record.id, record.options)
    if path is None:
        return
    loop = asyncio.get_running_loop()
    wanted = LogRequest(stdout=request.stdout, stderr=request.stderr, follow=True)
    client = socket.socket(fileno=fd)
    client.setblocking(False)
    try:
        if request.drain:
            await _head_is_read(fd)
            if client.family != socket.AF_UNIX:
                await asyncio.sleep(_NETWORK_GRACE)
            request.drain = False
        async for piece in pieces(path, wanted, lambda: False, place):
            found = (frame(line.stream, line.line) if request.multiplexed else line.line for line in piece)
            await loop.sock_sendall(client, b"".join(found))
    finally:
        client.detach()


async def _head_is_read(fd: int) -> None:
    for _ in range(_DRAIN_POLLS):
        if struct.unpack("i", fcntl.ioctl(fd, _SIOCOUTQ, bytes(4)))[0] == 0:
            return
        await asyncio.sleep(_DRAIN_POLL)
