"""/proa/containers/{id}/snapshots, /rewind, /fork: what a container has written, kept and copied."""

from __future__ import annotations

from typing import Any

from proa import times
from proa.api.request import NO_CONTENT, Request, Response, json_response
from proa.engine.records import Snapshot
from proa.errors import InvalidArgument


async def list_snapshots(request: Request) -> Response:
    snapshots = request.engine.snapshots
    return json_response([await _document(request, each) for each in snapshots.list(request.name())])


async def take(request: Request) -> Response:
    snapshot = await request.engine.snapshots.take(request.name(), request.query.text("name"))
    return json_response(await _document(request, snapshot), 201)


async def remove(request: Request) -> Response:
    await request.engine.snapshots.remove(request.name(), _snapshot(request))
    return NO_CONTENT


async def rewind(request: Request) -> Response:
    await request.engine.snapshots.rewind(request.name(), _snapshot(request))
    return NO_CONTENT


async def fork(request: Request) -> Response:
    """Make copies; one that could not be started says why, and is there all the same."""
    query = request.query
    count = query.integer("count")
    made = await request.engine.snapshots.fork(
        request.name(),
        1 if count is None else count,
        query.text("name"),
        query.text("snapshot"),
        start=query.flag("start"),
    )
    rows = [{"Id": each.id, "Name": each.name, "Error": each.error} for each in made]
    return json_response({"Containers": rows}, 201)


def _snapshot(request: Request) -> str:
    name = request.query.text("snapshot")
    if not name:
        raise InvalidArgument("no snapshot is named")
    return name


async def _document(request: Request, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "Id": snapshot.id,
        "Name": snapshot.name,
        "Created": times.format_time(snapshot.created),
        "Size": await request.engine.snapshots.size(snapshot.sealed),
    }
