"""GET /images/{name}/json and history."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response
from proa.api.translate import images as translate


async def inspect(request: Request) -> Response:
    query = request.query
    platform = translate.platform(query.text("platform"))
    image = request.engine.images.get(request.name(), platform)
    return json_response(translate.document(image, request.engine.settings.layers, request.version))


async def history(request: Request) -> Response:
    platform = translate.platform(request.query.text("platform"))
    if platform:
        request.engine.images.get(request.name(), platform)  # or NotFound
    items = request.engine.images.history(request.name())
    return json_response([translate.history_item(item) for item in items])
