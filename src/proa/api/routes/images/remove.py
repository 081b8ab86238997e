"""DELETE /images/{name}, POST /images/prune."""

from __future__ import annotations

from collections.abc import Iterable

from proa import times
from proa.api.facade import Images
from proa.api.request import Request, Response, json_response
from proa.api.translate import images as translate
from proa.engine import filtering, filters
from proa.engine.images.remove import Removed
from proa.errors import Conflict, InvalidArgument, NotFound

_PRUNE_FILTERS = filters.PRUNE_FILTERS | {"dangling"}


async def remove(request: Request) -> Response:
    query = request.query
    images = request.engine.images
    platforms = [translate.platform(text) for text in query.all("platforms")]
    if len(platforms) > 1:
        raise InvalidArgument("multiple platforms are not supported")  # in Docker's classic image store, too
    if platforms:
        images.get(request.name(), platforms[0])
    removed = images.remove(request.name(), force=query.flag("force"), noprune=query.flag("noprune"))
    return json_response(_documents(removed))


async def prune(request: Request) -> Response:
    """Remove images without a name, or with dangling=false all that no container uses."""
    images, wanted = request.engine.images, request.query.filters()
    filtering.check(wanted, _PRUNE_FILTERS)
    dangling = filtering.boolean(wanted, "dangling")
    limits = [times.parse_moment(text, times.now()) for text in wanted.get("until", ())]
    containers = request.engine.containers.all()
    before = _layers_size(images)
    removed: list[Removed] = []
    for image in tuple(images.list(all=True)):
        if dangling is not False and image.names:
            continue
        if any(record.needs_image(image.id) for record in containers):
            continue
        if not all(image.created < limit for limit in limits):
            continue
        if not filters.pruned_by_labels(wanted, image.config.labels):
            continue
        for name in image.names or [image.id]:
            try:
                removed += images.remove(name)
            except (Conflict, NotFound):  # it is needed by another image, or went with one
                continue
    space = max(before - _layers_size(images), 0)
    request.engine.events.emit("image", "prune", "", {"reclaimed": str(space)})
    return json_response({"ImagesDeleted": _documents(removed) or None, "SpaceReclaimed": space})


def _documents(removed: Iterable[Removed]) -> list[dict[str, str]]:
    return [{"Untagged": item.untagged} if item.untagged else {"Deleted": item.deleted} for item in removed]


def _layers_size(images: Images) -> int:
    """Return what all layers take together, in bytes."""
    return sum(layer.size for layer in images.store.layers.all())
