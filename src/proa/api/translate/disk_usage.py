"""What `system df` says: images, containers and volumes, and what they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from proa import times
from proa.api.facade import Engine
from proa.api.translate import containers, images, volumes
from proa.api.versions import CURRENT, Version
from proa.errors import InvalidArgument, NotFound

_KINDS = ("container", "image", "volume", "build-cache")


def check_kinds(kinds: Collection[str]) -> None:
    for kind in kinds:
        if kind not in _KINDS:
            raise InvalidArgument(f"unknown object type: {kind}")


async def document(engine: Engine, kinds: Collection[str], version: Version) -> dict[str, Any]:
    """Return the answer of `GET /system/df` for some kinds of objects; the others are null."""
    answer: dict[str, Any] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None}
    if "image" in kinds:
        answer |= _images(engine, version)
    if "container" in kinds:
        answer["Containers"] = await _containers(engine)
        if layers := await _sealed(engine):
            answer["Snapshots"] = layers
    if "volume" in kinds:
        answer["Volumes"] = await _volumes(engine)
    answer["BuildCache"] = [] if "build-cache" in kinds else None
    return answer


def _images(engine: Engine, version: Version) -> dict[str, Any]:
    used = Counter(record.image_id for record in engine.containers.all())
    found = engine.images.list()
    sharing = Counter(chain_id for image in found for chain_id in image.layers)
    known = engine.images.store.layers.sizes()
    sizes = {chain_id: known.get(chain_id, 0) for chain_id in sharing}
    rows = []
    for image in found:
        row = images.summary(image, used[image.id], version)
        row["Containers"] = used[image.id]
        row["SharedSize"] = sum(sizes[chain_id] for chain_id in image.layers if sharing[chain_id] > 1)
        rows.append(row)
    return {"LayersSize": sum(sizes.values()), "Images": rows}


async def _containers(engine: Engine) -> list[dict[str, Any]]:
    records, now = engine.containers.all(), times.now()
    rows = [containers.summary(record, record.options.image, now, CURRENT) for record in records]
    images_of = engine.images.store.sizes()
    for record, row, written in zip(records, rows, await engine.containers.sizes_rw(records), strict=True):
        sizes = {"SizeRw": written, "SizeRootFs": written + images_of.get(record.image_id, 0)}
        row |= {name: size for name, size in sizes.items() if size}  # as Docker does
    return rows


async def _sealed(engine: Engine) -> list[dict[str, Any]]:
    """Return the layers that containers share after snapshots and forks, which Docker has nothing like."""
    records = engine.containers.all()
    containers = Counter(key for record in records for key in record.sealed)
    snapshots = Counter(key for record in records for each in record.snapshots for key in each.sealed)
    rows = []
    for key in sorted(containers.keys() | snapshots.keys()):
        try:
            size = await engine.snapshots.size([key])
        except NotFound:  # removed meanwhile
            continue
        rows.append({"Id": key, "Size": size, "Containers": containers[key], "Snapshots": snapshots[key]})
    return rows


async def _volumes(engine: Engine) -> list[dict[str, Any]]:
    counts = Counter(point.name for record in engine.containers.all() for point in record.mounts if point.name)
    return [
        {
            **volumes.document(engine.volumes, volume),
            "UsageData": {
                "RefCount": counts[volume.name],
                "Size": await volumes.directory_size(engine.volumes.mountpoint(volume.name)),
            },
        }
        for volume in engine.volumes.list()
    ]
