"""`history`: the steps that made an image, newest first."""

from __future__ import annotations

import msgspec

from proa import times
from proa.engine.images.image import Image
from proa.engine.images.store import ImageStore
from proa.errors import Internal, InvalidArgument


class HistoryItem(msgspec.Struct, kw_only=True):
    """One step. Only steps that are images here have an identifier, as the newest always is."""

    id: str = "<missing>"
    created: int = 0  # seconds since the epoch
    created_by: str = ""
    tags: list[str] = []
    size: int = 0  # bytes, unpacked; 0 for a step without layer
    comment: str = ""


def history(store: ImageStore, image: Image) -> list[HistoryItem]:
    """Return the history that the configuration tells, with the layers' sizes and what is tagged here.

    Raises `Internal` when it tells of more layers than the image has.
    """
    layers = iter(store.layers.of_image(image.id))
    items = []
    for step in image.config.history:
        size = 0
        if not step.get("empty_layer"):
            layer = next(layers, None)
            if layer is None:
                raise Internal(f"too many non-empty layers in History section of {image.id}")
            size = layer.size
        items.append(
            HistoryItem(
                created=_seconds(step.get("created")),
                created_by=str(step.get("created_by") or ""),
                comment=str(step.get("comment") or ""),
                size=size,
            )
        )
    items.reverse()
    ancestor: Image | None = image
    for item in items:
        if ancestor is None:
            break
        item.id, item.tags = ancestor.id, ancestor.names
        ancestor = store.get(ancestor.parent)
    return items


def _seconds(created: object) -> int:
    try:
        return times.parse_time(str(created or "")) // times.SECOND
    except InvalidArgument:
        return 0
