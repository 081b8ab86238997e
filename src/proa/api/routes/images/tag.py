"""POST /images/{name}/tag."""

from __future__ import annotations

from proa.api.request import Request, Response
from proa.errors import InvalidArgument


async def tag(request: Request) -> Response:
    repository, tag = request.query.text("repo"), request.query.text("tag")
    if not repository:
        raise InvalidArgument("invalid reference format")
    request.engine.images.tag(request.name(), f"{repository}:{tag}" if tag else repository)
    return Response(201)
