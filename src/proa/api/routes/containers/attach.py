"""POST /containers/{id}/attach: the client's socket becomes the container's streams."""

from __future__ import annotations

from proa.api import hijack
from proa.api.request import Request
from proa.engine.records import Status
from proa.engine.requests import AttachRequest
from proa.errors import Conflict


async def attach(request: Request) -> None:
    query = request.query
    record = request.engine.containers.get(request.name())
    if record.state.status is Status.PAUSED:
        raise Conflict(f"container {record.id} is paused, unpause the container before attach")
    if record.state.status is Status.RESTARTING:
        raise Conflict(f"container {record.id} is restarting, wait until the container is running")
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
        await request.engine.containers.attach(record.id, client, wanted)

    await hijack.take_over(request, start, tty=tty)
