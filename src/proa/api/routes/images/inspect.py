"""GET /images/{name}/json and history."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response
from proa.api.translate import images as translate

# Compose in Python speaks the newest version of the API. To make a container again, it looks for volumes of
# the image in a field that versions after 1.44 do not have (https://github.com/docker/compose/issues/11742).
_LOOKS_FOR_OLD_FIELD = "docker-compose/1."


async def inspect(request: Request) -> Response:
    query = request.query
    platform = translate.platform(query.text("platform"))
    image = request.engine.images.get(request.name(), platform)
    document = translate.document(image, request.engine.settings.layers, request.version)
    if request.headers.get("user-agent", "").startswith(_LOOKS_FOR_OLD_FIELD):
        document["ContainerConfig"] = document["Config"]
    return json_response(document)


async def history(request: Request) -> Response:
    platform = translate.platform(request.query.text("platform"))
    if platform:
        request.engine.images.get(request.name(), platform)  # or NotFound
    items = request.engine.images.history(request.name())
    return json_response([translate.history_item(item) for item in items])
