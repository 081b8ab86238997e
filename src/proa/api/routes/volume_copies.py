"""/proa/volumes/{name}/…: what only Proa does with volumes: rename, clone, snapshot, archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proa.api.request import NO_CONTENT, Request, Response, json_response
from proa.api.translate.volumes import document
from proa.errors import InvalidArgument

if TYPE_CHECKING:
    from proa.engine.volumes.copies import Copied


async def rename(request: Request) -> Response:
    request.engine.volumes.rename(request.name(), _new_name(request))
    return NO_CONTENT


async def clone(request: Request) -> Response:
    return _copied(request, await request.engine.volume_copies.clone(request.name(), _new_name(request)))


async def snapshot(request: Request) -> Response:
    name = request.query.text("name")
    return _copied(request, await request.engine.volume_copies.snapshot(request.name(), name))


async def read(request: Request) -> None:
    async with request.engine.volume_copies.export(request.name()) as pieces:
        stream = await request.wire.begin(200, "application/x-tar")
        async for piece in pieces:
            await stream.write(piece)
        await stream.close()


async def write(request: Request) -> Response:
    await request.engine.volume_copies.import_(request.name(), request.body)
    return Response(200)


def _new_name(request: Request) -> str:
    name = request.query.text("name")
    if not name:
        raise InvalidArgument("bad parameter: name cannot be empty")
    return name


def _copied(request: Request, made: Copied) -> Response:
    return json_response({**document(request.engine.volumes, made.volume), "Method": made.method}, 201)
