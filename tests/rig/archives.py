"""Archives of images by hand, in the forms there are: every byte known, every part to be left out or broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rig import images
from rig.images import Image
from rig.rawtar import END, member

Files = dict[str, bytes]


def tar(files: Mapping[str, bytes], *more: bytes) -> bytes:
    """A tar of `files`, with further members as they are given."""
    return b"".join(member(name.encode(), data) for name, data in files.items()) + b"".join(more) + END


def manifest_of(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(image.document)
    return found


def plain_layers(image: Image) -> list[bytes]:
    """The uncompressed layers, base first."""
    return [images.unpacked(image.blobs[layer["digest"]]) for layer in manifest_of(image)["layers"]]


def docker(image: Image, *names: str, compressed: bool = False) -> Files:
    """As skopeo's docker-archive: and Podman's save: files named by their digests, and manifest.json."""
    config = image.config_digest.removeprefix("sha256:") + ".json"
    blobs = [image.blobs[layer["digest"]] for layer in manifest_of(image)["layers"]]
    layers = blobs if compressed else plain_layers(image)
    paths = [images.digest(data).removeprefix("sha256:") + ".tar" for data in layers]
    item = {"Config": config, "RepoTags": list(names) or None, "Layers": paths}
    return {
        **dict(zip(paths, layers, strict=True)),
        config: image.blobs[image.config_digest],
        "manifest.json": images.encode([item]),
    }


def docker_before_25(image: Image, *names: str) -> Files:
    """As Docker 1.10 to 24 saved: a directory for each layer."""
    files: Files = {}
    paths = []
    for number, layer in enumerate(plain_layers(image)):
        directory = f"{number:064x}"
        files |= {f"{directory}/VERSION": b"1.0", f"{directory}/json": b"{}", f"{directory}/layer.tar": layer}
        paths.append(f"{directory}/layer.tar")
    config = image.config_digest.removeprefix("sha256:") + ".json"
    item = {"Config": config, "RepoTags": list(names) or None, "Layers": paths}
    return files | {config: image.blobs[image.config_digest], "manifest.json": images.encode([item])}


def version_1(layers: list[bytes], name: str, **config: Any) -> Files:
    """As Docker before 1.10 saved: layers that name their parents, and no manifest.json."""
    files: Files = {}
    parent = ""
    for number, layer in enumerate(layers):
        identifier = f"{number + 1:064x}"
        document: dict[str, Any] = {
            "id": identifier,
            "created": "2015-01-02T03:04:05Z",
            "docker_version": "1.9.1",
            "container_config": {"Cmd": ["/bin/sh", "-c", f"step {number} <&>"]},
            "os": "linux",
            "architecture": "amd64",
        }
        if parent:
            document["parent"] = parent
        if number == len(layers) - 1:
            document["config"] = config
        files |= {
            f"{identifier}/VERSION": b"1.0",
            f"{identifier}/json": json.dumps(document).encode(),
            f"{identifier}/layer.tar": layer,
        }
        parent = identifier
    repository, _, tag = name.rpartition(":")
    return files | {"repositories": images.encode({repository: {tag: parent}})}


def layout(*found: Image, annotations: Mapping[str, str] | None = None) -> Files:
    """An OCI image layout (image-layout.md), as buildah, skopeo's oci-archive: and umoci write it."""
    files: Files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    entries = []
    for image in found:
        entry = images.descriptor(image.document, image.media_type)
        if image.platform and len(found) > 1:
            entry["platform"] = image.platform
        entries.append(entry | ({"annotations": dict(annotations)} if annotations else {}))
        for one in (image, *image.children):
            for digest, data in [*one.blobs.items(), (one.digest, one.document)]:
                files[f"blobs/{digest.replace(':', '/')}"] = data
    return files | {"index.json": images.encode({"schemaVersion": 2, "manifests": entries})}
