"""POST /containers/{id}/attach and its WebSocket form: the client's socket becomes the container's streams."""

from __future__ import annotations

from proa.api import hijack
from proa.api.request import Request
from proa.engine.records import Container, Status
from proa.engine.requests import AttachRequest
from proa.errors import Conflict


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
        await request.engine.containers.attach(record.id, client, wanted)

    return start
