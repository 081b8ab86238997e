"""POST /containers/{id}/start, stop, restart, kill, pause, unpause, rename, resize; DELETE."""

from __future__ import annotations

from proa.api.request import NO_CONTENT, Request, Response
from proa.errors import InvalidArgument, NotFound, Unsupported

_EMPTY_BODY = 7  # bytes; old clients send "{}" or "null" with white space


async def start(request: Request) -> Response:
    body = await request.body.read_all()
    if len(body) > _EMPTY_BODY:
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    if request.query.text("checkpoint"):
        raise Unsupported("checkpoints are not supported")
    await request.engine.containers.start(request.name())
    return NO_CONTENT


async def stop(request: Request) -> Response:
    await request.engine.containers.stop(request.name(), request.query.integer("t"), _signal(request))
    return NO_CONTENT


async def restart(request: Request) -> Response:
    await request.engine.containers.restart(request.name(), request.query.integer("t"), _signal(request))
    return NO_CONTENT


def _signal(request: Request) -> str:
    """Before 1.42, `signal` had no meaning for stop and restart."""
    return request.query.text("signal") if request.version >= (1, 42) else ""


async def kill(request: Request) -> Response:
    name = request.name()
    try:
        await request.engine.containers.kill(name, request.query.text("signal") or "KILL")
    except (InvalidArgument, NotFound) as error:
        raise type(error)(f"cannot kill container: {name}: {error.message}") from error
    return NO_CONTENT


async def pause(request: Request) -> Response:
    await request.engine.containers.pause(request.name())
    return NO_CONTENT


async def unpause(request: Request) -> Response:
    await request.engine.containers.unpause(request.name())
    return NO_CONTENT


async def rename(request: Request) -> Response:
    name = request.query.text("name")
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    record = request.engine.containers.get(request.name())
    request.engine.containers.rename(record.id, name.removeprefix("/"))
    return NO_CONTENT


async def resize(request: Request) -> Response:
    rows, columns = request.query.size("h", "height"), request.query.size("w", "width")
    await request.engine.containers.resize(request.name(), rows, columns)
    return Response(200)


async def remove(request: Request) -> Response:
    query = request.query
    if query.flag("link"):
        request.engine.containers.remove_link(request.name())
        return NO_CONTENT
    await request.engine.containers.remove(request.name(), force=query.flag("force"), volumes=query.flag("v"))
    return NO_CONTENT
