"""POST /containers/prune."""

from __future__ import annotations

from proa import times
from proa.api.request import Request, Response, json_response
from proa.engine import filters
from proa.errors import Conflict, NotFound


async def prune(request: Request) -> Response:
    """Remove stopped containers; one that starts or goes meanwhile is left alone."""
    containers = request.engine.containers
    removed, space = [], 0
    for record in filters.prunable(containers.all(), request.query.filters(), times.now()):
        try:
            size = await containers.size_rw(record.id)
            await containers.remove(record.id)
        except (Conflict, NotFound):
            continue
        removed.append(record.id)
        space += size
    request.engine.events.emit("container", "prune", "", {"reclaimed": str(space)})
    return json_response({"ContainersDeleted": removed or None, "SpaceReclaimed": space})
