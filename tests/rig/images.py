"""Images made by hand: layers, configuration, manifest and index, each blob's bytes known and changeable."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import zstandard

from rig.trees import Tree

Style = Literal["oci", "docker"]
Compression = Literal["gzip", "zstd", ""]

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
MEDIA_TYPES: dict[Style, dict[str, str]] = {
    "oci": {
        "manifest": f"{OCI}.manifest.v1+json",
        "index": f"{OCI}.index.v1+json",
        "config": f"{OCI}.config.v1+json",
        "gzip": f"{OCI}.layer.v1.tar+gzip",
        "zstd": f"{OCI}.layer.v1.tar+zstd",
        "": f"{OCI}.layer.v1.tar",
    },
    "docker": {
        "manifest": f"{DOCKER}.distribution.manifest.v2+json",
        "index": f"{DOCKER}.distribution.manifest.list.v2+json",
        "config": f"{DOCKER}.container.image.v1+json",
        "gzip": f"{DOCKER}.image.rootfs.diff.tar.gzip",
        "zstd": f"{DOCKER}.image.rootfs.diff.tar.zstd",
        "": f"{DOCKER}.image.rootfs.diff.tar",
    },
}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Layer:
    """One layer as the registry keeps it (`blob`) and the digest of the tar within."""

    blob: bytes
    compression: Compression
    diff_id: str


@dataclass(frozen=True)
class Image:
    """A manifest or an index with everything it names. `digest` is what a client pulls by."""

    document: bytes  # the manifest's or index's JSON, byte for byte
    media_type: str
    blobs: dict[str, bytes] = field(default_factory=dict, repr=False)  # digest -> layer or configuration
    children: tuple[Image, ...] = ()  # an index's manifests
    platform: dict[str, str] = field(default_factory=dict)
    config_digest: str = ""
    diff_ids: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return digest(self.document)


def layer(content: Tree | bytes, compression: Compression = "gzip", level: int = 6) -> Layer:
    """A layer of a tree, or of a tar's bytes."""
    tar = content if isinstance(content, bytes) else content.tar()
    if compression == "gzip":
        blob = gzip.compress(tar, level, mtime=0)
    elif compression == "zstd":
        blob = zstandard.ZstdCompressor(level=3).compress(tar)
    else:
        blob = tar
    return Layer(blob, compression, digest(tar))


def unpacked(blob: bytes) -> bytes:
    """The tar within a layer's blob."""
    if blob.startswith(b"\x1f\x8b"):
        return gzip.decompress(blob)
    if blob.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(blob)
    return blob


def build(
    layers: Sequence[Layer | Tree],
    config: dict[str, Any] | None = None,
    *,
    style: Style = "oci",
    architecture: str = "amd64",
    variant: str = "",
    created_by: Sequence[str] = (),
) -> Image:
    """An image of one platform. `config` is the runtime part (Env, Cmd, …); without an Env it has PATH."""
    made = [part if isinstance(part, Layer) else layer(part) for part in layers]
    types = MEDIA_TYPES[style]
    steps = [*created_by, *(f"layer {number}" for number in range(len(created_by), len(made)))]
    platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant} if variant else {})
    configuration = encode(
        {
            **platform,
            "created": "2023-11-14T22:13:20Z",
            "config": {"Env": [PATH], "Cmd": ["sh"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": [part.diff_id for part in made]},
            "history": [{"created": "2023-11-14T22:13:20Z", "created_by": step} for step in steps],
        }
    )
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": types["manifest"],
            "config": descriptor(configuration, types["config"]),
            "layers": [descriptor(part.blob, types[part.compression]) for part in made],
        }
    )
    blobs = {digest(data): data for data in (configuration, *(part.blob for part in made))}
    return Image(
        manifest,
        types["manifest"],
        blobs,
        platform=platform,
        config_digest=digest(configuration),
        diff_ids=tuple(part.diff_id for part in made),
    )


def index(children: Sequence[Image], style: Style = "oci") -> Image:
    """A multi-platform image: an OCI index or a Docker manifest list."""
    media_type = MEDIA_TYPES[style]["index"]
    manifests = [
        {**descriptor(child.document, child.media_type), "platform": child.platform} for child in children
    ]
    document = encode({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})
    return Image(document, media_type, children=tuple(children))


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def base64(text: str) -> str:
    """As credentials stand in docker's config.json and in HTTP's basic scheme."""
    return b64encode(text.encode()).decode()


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
