"""`save`: images as one archive that is both of Docker's and an OCI image layout, as Docker 25 and later write it.

Layers are written as they were pulled, compressed and with the same digests. Equal images give equal bytes: names
are sorted, times are zero. Nothing is written to the disk: blobs go straight from the store to the client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from proa import wording
from proa.archive.entry import DIRECTORY
from proa.archive.writer import Writer
from proa.content import ContentStore
from proa.engine.images import image_manifest
from proa.engine.images.archived import IMAGE_NAME, INDEX, LAYOUT, MANIFEST, ORIGINAL, REF_NAME, REPOSITORIES
from proa.engine.images.image import Image
from proa.engine.images.images import Images
from proa.engine.outflow import Outflow
from proa.engine.own_thread import in_own_thread
from proa.errors import Internal, NotFound
from proa.oci import digest as digests
from proa.oci import media_types
from proa.oci.manifest import Manifest
from proa.oci.platform import Platform
from proa.oci.reference import Reference

_PIECE = 1 << 20


@dataclass
class _Saved:
    """One image with the names that were asked for."""

    image: Image
    manifest: Manifest
    names: list[Reference] = field(default_factory=list)

    @property
    def oci(self) -> Manifest:
        return image_manifest.as_oci(self.manifest)


class Saver:
    """Writes archives. Belongs to the event loop."""

    def __init__(self, *, images: Images, content: ContentStore) -> None:
        self._images = images
        self._content = content

    @asynccontextmanager
    async def save(self, names: Sequence[str], platform: str = "") -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the archive of the images that `names` call, in pieces.

        A repository without a tag is all its tags. Raises `NotFound`, also for an image of another platform
        than asked for, and `InvalidArgument` for what is no name.
        """
        wanted = Platform.parse(platform) if platform else None
        saved = [self._saved(image_id, references) for image_id, references in self._choose(names).items()]
        if wanted is not None and not all(wanted.matches(one.image.config.platform) for one in saved):
            raise NotFound(f"no suitable export target found for platform {wanted}")
        with self._images.leases.hold(*_needed(saved)):
            flow = Outflow()
            work = in_own_thread(partial(self._write, saved, flow))
            try:
                for one in saved:
                    self._images.emit("save", one.image.id, one.image.id)
                yield flow.pieces(work)
            finally:
                await flow.end(work)

    def _choose(self, names: Iterable[str]) -> dict[str, list[Reference]]:
        """Return the images that `names` call, each with the tags it was called by."""
        store = self._images.store
        chosen: dict[str, list[Reference]] = {}
        for name in names:
            if store.is_identifier(name):
                chosen.setdefault(store.find(name), [])
                continue
            reference = Reference.parse(name, default_tag=None)
            if reference.tag or reference.digest:
                image_id = store.named(reference)
                if image_id is None:
                    raise wording.no_such_reference()
                tagged = {image_id: [] if reference.digest else [reference]}
            else:
                tagged = store.tags(reference) or {self._by_prefix(name, reference): []}
            for image_id, references in tagged.items():
                known = chosen.setdefault(image_id, [])
                known += [each for each in references if each not in known]
        return chosen

    def _by_prefix(self, name: str, reference: Reference) -> str:
        try:
            return self._images.store.find(name)
        except NotFound:
            raise wording.no_such_image(reference.familiar_name) from None

    def _saved(self, image_id: str, references: list[Reference]) -> _Saved:
        image = self._images.store.get(image_id)
        if image is None:
            raise wording.no_such_image(image_id)
        layers = self._images.store.layers.of_image(image_id)
        return _Saved(image, image_manifest.of_image(self._content, image, layers), references)

    def _write(self, saved: Sequence[_Saved], flow: Outflow) -> None:
        """Write the archive (in a thread)."""
        writer = Writer(flow.put)
        small = {digest: raw for one in saved for digest, raw in _documents(one).items()}
        blobs = {*small, *(layer.digest for one in saved for layer in one.manifest.layers)}
        directories = sorted({f"blobs/{digests.algorithm_of(digest)}" for digest in blobs})
        for directory in (["blobs"] if directories else []) + directories:
            writer.add(directory.encode(), DIRECTORY, mode=0o755)
            for digest in sorted(blobs):
                if f"blobs/{digests.algorithm_of(digest)}" == directory:
                    self._write_blob(writer, digest, small.get(digest))
        for name, data in _lists(saved):
            _write_file(writer, name, data)
        writer.finish()

    def _write_blob(self, writer: Writer, digest: str, data: bytes | None) -> None:
        if data is not None:
            _write_file(writer, _path(digest), data)
            return
        size = self._content.size(digest)
        writer.add(_path(digest).encode(), size=size)
        hashed = digests.hasher(digest)
        with self._content.path(digest).open("rb") as file:
            while piece := file.read(_PIECE):
                hashed.update(piece)
                writer.data(piece)
        if hashed.hexdigest() != digests.encoded(digest):  # better a broken archive than a wrong one
            raise Internal(f"content {digest} is damaged")
        writer.pad(size)


def _needed(saved: Iterable[_Saved]) -> list[str]:
    """Return what must not be removed meanwhile."""
    digests_of = ((one.image.id, one.manifest.descriptor.digest, one.manifest.layers) for one in saved)
    return [
        digest
        for config, manifest, layers in digests_of
        for digest in (config, manifest, *(layer.digest for layer in layers))
    ]


def _documents(one: _Saved) -> dict[str, bytes]:
    """Return an image's small blobs: the configuration, and the manifest in one form or two."""
    return {
        one.image.id: one.image.config.to_bytes(),
        one.manifest.descriptor.digest: one.manifest.raw,
        one.oci.descriptor.digest: one.oci.raw,
    }


def _lists(saved: Sequence[_Saved]) -> Iterable[tuple[str, bytes]]:
    """Yield the files that say what is in the archive: names, in order, and contents."""
    entries = [entry for one in saved for entry in _index_entries(one)]
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    yield INDEX, msgspec.json.encode(index)
    identifiers = {one.image.id for one in saved}
    yield MANIFEST, msgspec.json.encode([_item(one, identifiers) for one in saved]) + b"\n"
    yield LAYOUT, b'{"imageLayoutVersion": "1.0.0"}'
    repositories: dict[str, dict[str, str]] = {}
    for one in saved:
        for name in one.names if one.manifest.layers else ():
            top = digests.encoded(one.manifest.layers[-1].digest)
            repositories.setdefault(name.familiar_name, {})[name.tag or ""] = top
    if repositories:
        yield REPOSITORIES, msgspec.json.encode(repositories, order="sorted") + b"\n"


def _index_entries(one: _Saved) -> list[dict[str, Any]]:
    """Return the descriptors in index.json, one for each name."""
    own = one.oci.descriptor
    common = {ORIGINAL: one.manifest.descriptor.digest}
    entries = [
        {**common, IMAGE_NAME: str(name), REF_NAME: name.tag or ""} for name in one.names
    ] or [common]  # fmt: skip
    return [
        {"mediaType": own.media_type, "digest": own.digest, "size": own.size, "annotations": annotations}
        for annotations in entries
    ]


def _item(one: _Saved, identifiers: set[str]) -> dict[str, Any]:
    """Return an image's entry in manifest.json."""
    layers = one.manifest.layers
    sources = {
        diff_id: image_manifest.descriptor(layer)
        for diff_id, layer in zip(one.image.config.diff_ids, layers, strict=True)
    }
    return {
        "Config": _path(one.image.id),
        "RepoTags": [name.familiar for name in one.names] or None,
        "Layers": [_path(layer.digest) for layer in layers],
        **({"Parent": one.image.parent} if one.image.parent in identifiers else {}),
        "LayerSources": dict(sorted(sources.items())),
    }


def _path(digest: str) -> str:
    return f"blobs/{digests.algorithm_of(digest)}/{digests.encoded(digest)}"


def _write_file(writer: Writer, name: str, data: bytes) -> None:
    writer.add(name.encode(), size=len(data))
    writer.data(data)
    writer.pad(len(data))
