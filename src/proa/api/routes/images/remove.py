"""DELETE /images/{name}, POST /images/prune."""

from __future__ import annotations

from collections.abc import Iterable

from proa import times
from proa.api.request import Request, Response, json_response
from proa.engine import filtering, filters
from proa.engine.images.image import Image
from proa.engine.images.remove import Removed
from proa.errors import Conflict, NotFound, Unsupported

_PRUNE_FILTERS = filters.PRUNE_FILTERS | {"dangling"}


async def remove(request: Request) -> Response:
    query = request.query
    if query.all("platforms"):
        raise Unsupported("removing single platforms of an image is not supported")
    removed = request.engine.images.remove(
        request.name(), force=query.flag("force"), noprune=query.flag("noprune")
    )
    return json_response(_documents(removed))


async def prune(request: Request) -> Response:
    """Remove images without a name, or with dangling=false all that no container uses."""
    images, wanted = request.engine.images, request.query.filters()
    filtering.check(wanted, _PRUNE_FILTERS)
    dangling = filtering.boolean(wanted, "dangling")
    limits = [times.parse_moment(text, times.now()) for text in wanted.get("until", ())]
    used = {record.image_id for record in request.engine.containers.all()}
    before = images.list(all=True)
    removed: list[Removed] = []
    for image in before:
        if image.id in used or (dangling is not False and image.names):
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
    space = _size(before) - _size(images.list(all=True))
    return json_response({"ImagesDeleted": _documents(removed) or None, "SpaceReclaimed": max(space, 0)})


def _documents(removed: Iterable[Removed]) -> list[dict[str, str]]:
    return [{"Untagged": item.untagged} if item.untagged else {"Deleted": item.deleted} for item in removed]


def _size(images: Iterable[Image]) -> int:
    """Return what images take; layers that several share count for the largest of those that end in them."""
    return sum({image.layers[-1] if image.layers else image.id: image.size for image in images}.values())
