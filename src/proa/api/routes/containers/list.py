"""GET /containers/json: what `ps` shows."""

from __future__ import annotations

from proa import times
from proa.api.facade import Images
from proa.api.request import Request, Response, json_response
from proa.api.translate.containers import summary
from proa.engine import filters
from proa.engine.records import Container
from proa.errors import NotFound, ProaError


async def list_containers(request: Request) -> Response:
    query, engine = request.query, request.engine
    records = filters.select_containers(
        engine.containers.all(),
        query.filters(),
        all=query.flag("all"),
        limit=max(query.integer("limit") or 0, 0),
        find=engine.containers.get,
        find_image=engine.images.get,
    )
    names = ImageNames(engine.images)
    now = times.now()
    rows = [summary(record, names.shown(record), now, request.version) for record in records]
    if query.flag("size"):
        for record, row in zip(records, rows, strict=True):
            row |= {name: size for name, size in (await sizes(request, record)).items() if size}  # as Docker does
    return json_response(rows)


class ImageNames:
    """What `ps` calls images; each is looked up once for one list."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._ids: dict[str, str] = {}

    def shown(self, record: Container) -> str:
        """Return the name the container was made with while it still means its image, else its id."""
        name = record.options.image
        if name not in self._ids:
            try:
                self._ids[name] = self._images.get(name).id
            except ProaError:
                self._ids[name] = ""
        return name if self._ids[name] == record.image_id else record.image_id


async def sizes(request: Request, record: Container) -> dict[str, int]:
    """Return what the writable layer takes, and with the image's layers; in bytes."""
    try:
        image = request.engine.images.get(record.image_id).size
    except NotFound:
        image = 0
    written = await request.engine.containers.size_rw(record.id)
    return {"SizeRw": written, "SizeRootFs": written + image}
