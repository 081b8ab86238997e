"""An image made here becomes visible: manifest and configuration stored, rows and name in one transaction."""

from __future__ import annotations

import asyncio

import msgspec

from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.images import tag as tagging
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.oci import media_types
from proa.oci.image_config import ImageConfig
from proa.oci.reference import DEFAULT_TAG, Reference

# Manifests are written in OCI's form; the layers of both forms are the same bytes.
_OCI_TYPES = {
    media_types.DOCKER_LAYER: media_types.OCI_LAYER,
    media_types.DOCKER_LAYER_GZIP: media_types.OCI_LAYER_GZIP,
    media_types.DOCKER_LAYER_ZSTD: media_types.OCI_LAYER_ZSTD,
}


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
    manifest = _manifest(config, layers)
    digest = await asyncio.to_thread(_store, content, config, manifest)
    with database.transaction():
        for layer in layers:
            images.store.layers.register(layer)
        image_id = images.store.put(
            config,
            manifest_digest=digest,
            manifest_media_type=media_types.OCI_MANIFEST if digest else "",
            parent=parent,
        )
        if name is not None:
            images.store.tag(name, image_id)
    if action:
        images.emit(action, image_id, image_id)
    if name is not None:
        images.emit("tag", image_id, name.familiar)
    return image_id


def _store(content: ContentStore, config: ImageConfig, manifest: bytes) -> str:
    content.put(config.to_bytes())
    return content.put(manifest) if manifest else ""


def _manifest(config: ImageConfig, layers: list[Layer]) -> bytes:
    """Return the image's manifest; b"" when a layer's compressed form is not known."""
    if not all(layer.blob_digest for layer in layers):
        return b""
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {
                "mediaType": media_types.OCI_CONFIG,
                "digest": config.digest,
                "size": len(config.to_bytes()),
            },
            "layers": [
                {
                    "mediaType": _OCI_TYPES.get(layer.media_type, layer.media_type),
                    "digest": layer.blob_digest,
                    "size": layer.blob_size,
                }
                for layer in layers
            ],
        }
    )
