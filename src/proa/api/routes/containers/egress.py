"""POST /proa/containers/{id}/egress: other egress rules for a container, at once if it runs."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response, required
from proa.api.translate import egress
from proa.api.types.egress import EgressChange


async def change(request: Request) -> Response:
    """Let other rules hold instead of those that a container has; answers as `Egress` of inspect does."""
    containers = request.engine.containers
    record = containers.get(request.name())
    body = required(await request.json(EgressChange))
    await containers.change_egress(record.id, egress.egress(body.rules))
    return json_response(egress.document(record))
