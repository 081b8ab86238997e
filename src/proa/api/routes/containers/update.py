"""POST /containers/{id}/update."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response, required
from proa.api.translate import supervision
from proa.api.translate.create import limits
from proa.api.types.host_config import HostConfig


async def update(request: Request) -> Response:
    """Change limits; fields that are absent or zero stay as they are."""
    record = request.engine.containers.get(request.name())
    body = required(await request.json(HostConfig))
    policy = None
    if body.restart_policy.name:
        policy = supervision.restart_policy(body.restart_policy, auto_remove=False)
    warnings = await request.engine.containers.update(record.id, limits(body), policy)
    return json_response({"Warnings": warnings or None})
