"""GET /images/json."""

from __future__ import annotations

from collections import Counter

from proa.api.request import Request, Response, json_response
from proa.api.translate.images import summary


async def list_images(request: Request) -> Response:
    query, engine = request.query, request.engine
    filters = query.filters()
    if query.text("filter") and request.version < (1, 41):  # old clients name a reference here
        filters.setdefault("reference", []).append(query.text("filter"))
    images = engine.images.list(filters, all=query.flag("all"))
    used = Counter(record.image_id for record in engine.containers.all())
    return json_response([summary(image, used[image.id], request.version) for image in images])
