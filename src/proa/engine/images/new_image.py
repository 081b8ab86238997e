"""An image made here becomes visible: manifest and configuration stored, rows and name in one transaction."""

from __future__ import annotations

import asyncio

from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.images import image_manifest
from proa.engine.images import tag as tagging
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.oci.image_config import ImageConfig
from proa.oci.manifest import Manifest
from proa.oci.reference import DEFAULT_TAG, Reference


def name_for(repository: str, tag: str = "") -> Reference | None:
    """Return the name that a new image shall have, None for none. Raises `InvalidArgument`."""
    if not repository:
        return None
    reference = tagging.target(repository)
    return reference.with_tag(tag or reference.tag or DEFAULT_TAG)


async def record(
    images: Images,
    database: Database,
    content: ContentStore,
    config: ImageConfig,
    layers: list[Layer],
    *,
    parent: str = "",
    name: Reference | None = None,
    action: str = "",
) -> str:
    """Record an image of `layers` (base first; the committed directories exist) and return its identifier.

    `action` is the event that tells of it, before that of its name. The caller holds leases on the layers and
    blobs until this returns.
    """
    # Without a layer's compressed form there is none; the image can run all the same.
    manifest = image_manifest.make(config, layers) if all(layer.blob_digest for layer in layers) else None
    await asyncio.to_thread(_store, content, config, manifest)
    with database.transaction():
        for layer in layers:
            images.store.layers.register(layer)
        image_id = images.store.put(
            config,
            manifest_digest=manifest.descriptor.digest if manifest else "",
            manifest_media_type=manifest.media_type if manifest else "",
            parent=parent,
        )
        if name is not None:
            images.store.tag(name, image_id)
    if action:
        images.emit(action, image_id, image_id)
    if name is not None:
        images.emit("tag", image_id, name.familiar)
    return image_id


def _store(content: ContentStore, config: ImageConfig, manifest: Manifest | None) -> None:
    content.put(config.to_bytes())
    if manifest is not None:
        content.put(manifest.raw)
