"""The manifest of an image: the registry's own where there is one, else made of what the records know.

A manifest that came with the image is kept byte by byte, so its digest stays the same wherever it goes. It is
of no use when this store has other blobs for its layers: the same layer may have come with another image, in
another compressed form. Then, and for images made here, a new one is written, in the form dockerd writes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from proa.content import ContentStore
from proa.engine.images.image import Image, Layer
from proa.errors import NotFound, ProaError
from proa.oci import manifest as manifests
from proa.oci import media_types
from proa.oci.descriptor import Descriptor
from proa.oci.image_config import ImageConfig
from proa.oci.manifest import Manifest

# The layers of both forms, and those that registries may lack, are the same bytes.
_OCI_LAYERS = {
    media_types.DOCKER_LAYER: media_types.OCI_LAYER,
    media_types.DOCKER_LAYER_GZIP: media_types.OCI_LAYER_GZIP,
    media_types.DOCKER_LAYER_ZSTD: media_types.OCI_LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.foreign.diff.tar": media_types.OCI_LAYER,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": media_types.OCI_LAYER_GZIP,
    "application/vnd.oci.image.layer.nondistributable.v1.tar": media_types.OCI_LAYER,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": media_types.OCI_LAYER_GZIP,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": media_types.OCI_LAYER_ZSTD,
}


def of_image(content: ContentStore, image: Image, layers: Sequence[Layer]) -> Manifest:
    """Return the manifest of an image whose layers are `layers`, base first; every blob it names is here.

    Raises `NotFound` when a layer's blob was lost.
    """
    manifest = kept(content, image)
    if manifest is None:
        manifest = make(image.config, layers)
    for layer in manifest.layers:
        if not content.has(layer.digest):
            raise NotFound(f"content {layer.digest} of image {image.id} is missing: pull it again")
    return manifest


def kept(content: ContentStore, image: Image) -> Manifest | None:
    """Return the recorded manifest when all that it names is here."""
    if not image.manifest_digest or not content.has(image.manifest_digest):
        return None
    try:
        manifest = manifests.parse(content.read(image.manifest_digest), image.manifest_media_type)
    except ProaError:
        return None
    if not isinstance(manifest, Manifest) or manifest.config.digest != image.id:
        return None
    return manifest if all(content.has(layer.digest) for layer in manifest.layers) else None


def make(config: ImageConfig, layers: Sequence[Layer]) -> Manifest:
    """Write a manifest: Docker's (version 2, schema 2), or OCI's when a layer is not gzip.

    Equal images get equal bytes, and where dockerd would push the same blobs, the bytes that it pushes.
    """
    types = [_OCI_LAYERS.get(layer.media_type, layer.media_type) for layer in layers]
    docker = all(kind == media_types.OCI_LAYER_GZIP for kind in types)
    if docker:
        types = [media_types.DOCKER_LAYER_GZIP] * len(types)
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST,
        "config": _entry(
            media_types.DOCKER_CONFIG if docker else media_types.OCI_CONFIG, config.digest, len(config.to_bytes())
        ),
        "layers": [
            _entry(kind, layer.blob_digest, layer.blob_size) for kind, layer in zip(types, layers, strict=True)
        ],
    }
    # Three blanks: as Docker's distribution library has always indented them.
    raw = json.dumps(document, indent=3).encode() if docker else msgspec.json.encode(document)
    return _parsed(raw)


def as_oci(manifest: Manifest) -> Manifest:
    """Return the same image in OCI's form, for readers of OCI layouts that take no other; OCI's own unchanged."""
    if manifest.media_type == media_types.OCI_MANIFEST:
        return manifest
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": _entry(media_types.OCI_CONFIG, manifest.config.digest, manifest.config.size),
        "layers": [
            _entry(_OCI_LAYERS.get(layer.media_type, layer.media_type), layer.digest, layer.size)
            for layer in manifest.layers
        ],
    }
    return _parsed(msgspec.json.encode(document))


def descriptor(layer: Descriptor) -> dict[str, Any]:
    """Return a layer's OCI descriptor."""
    return _entry(_OCI_LAYERS.get(layer.media_type, layer.media_type), layer.digest, layer.size)


def _entry(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "size": size, "digest": digest}


def _parsed(raw: bytes) -> Manifest:
    manifest = manifests.parse(raw)
    assert isinstance(manifest, Manifest)
    return manifest
