"""POST /containers/{id}/update."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response
from proa.api.translate import supervision
from proa.api.translate.create import limits
from proa.api.types.host_config import HostConfig


async def update(request: Request) -> Response:
    """Change limits; fields that are absent or zero stay as they are.

    What is wrong in itself is refused before the container is looked for, as by dockerd.
    """
    body = await request.json(HostConfig) or HostConfig()
    policy = None
    if body.restart_policy.name:
        policy = supervision.restart_policy(body.restart_policy, auto_remove=False)
    warnings = await request.engine.containers.update(request.name(), limits(body), policy)
    return json_response({"Warnings": warnings or None})
