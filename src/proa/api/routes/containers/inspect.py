"""GET /containers/{id}/json, top, changes."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response
from proa.api.routes.containers.list import sizes
from proa.api.translate.inspect import document
from proa.engine.containers import links


async def inspect(request: Request) -> Response:
    engine = request.engine
    record = engine.containers.get(request.name())
    linked = links.shown(engine.containers.all(), record)
    answer = document(record, list(engine.execs.of(record.id)), engine.settings, linked, request.version)
    if request.query.flag("size"):
        answer |= await sizes(request, record)
    return json_response(answer)


async def top(request: Request) -> Response:
    titles, rows = await request.engine.containers.top(request.name(), request.query.text("ps_args") or "-ef")
    return json_response({"Processes": rows, "Titles": titles})


async def changes(request: Request) -> Response:
    found = await request.engine.containers.changes(request.name())
    rows = [{"Path": change.path, "Kind": change.kind} for change in found]
    return json_response(rows or None)  # null for none, as Docker says it
