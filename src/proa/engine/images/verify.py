"""`image verify`: is what the disk holds of an image still what its digests say?

A blob is hashed. An unpacked layer has no digest of its own, and packing it again would give other bytes: so its
blob is unpacked once more, whose diffID is checked on the way, and the two trees are compared.

With `repair`, a damaged layer is replaced by the one unpacked just now, and a damaged or missing blob of a layer
is fetched again from where the image came from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from proa.archive.unpack import Unpacked
from proa.content import ContentStore
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.engine.images.pull_layer import LayerPuller
from proa.engine.records import Container
from proa.errors import InvalidArgument, NotFound, ProaError
from proa.registry import Credentials, Registry
from proa.snapshots import Layers


class Problem(msgspec.Struct, kw_only=True):
    """Something that is not as it should be."""

    kind: Literal["configuration", "manifest", "blob", "layer"]
    digest: str  # of a layer its chain ID
    text: str
    repaired: bool = False


class Verified(msgspec.Struct, kw_only=True):
    """What was found out about one image."""

    id: str
    names: list[str]
    checked: int  # blobs and layers
    problems: list[Problem]


class Parts(NamedTuple):
    """What verifying needs of an engine."""

    images: Images
    content: ContentStore
    layers: Layers
    layer_puller: LayerPuller
    registry: Registry
    containers: Callable[[], Sequence[Container]]


class Verifier:
    """Verifies images of one engine. Belongs to its event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def verify(
        self,
        names: Sequence[str],
        *,
        everything: bool = False,
        repair: bool = False,
        credentials: Credentials | None = None,
    ) -> AsyncIterator[Verified]:
        """Yield what is found out about each of the images, or of all there are.

        What images share is checked once. Raises `NotFound` for an unknown one, before any is checked, and
        `InvalidArgument` when none is named.
        """
        store = self._parts.images.store
        if not names and not everything:
            raise InvalidArgument("no image is named", hint="name images, or ask for all")
        wanted = dict.fromkeys(store.find(name) for name in names)
        wanted |= dict.fromkeys(store.sizes()) if everything else {}
        run = _Run(self._parts, repair=repair, credentials=credentials)
        for image_id in wanted:
            if store.has(image_id):  # it may have been removed meanwhile
                yield await run.image(image_id)


class _Run:
    """One call: what was checked already, by digest, with what was found."""

    def __init__(self, parts: Parts, *, repair: bool, credentials: Credentials | None) -> None:
        self._parts = parts
        self._repair = repair
        self._credentials = credentials
        self._known: dict[str, list[Problem]] = {}

    async def image(self, image_id: str) -> Verified:
        store = self._parts.images.store
        layers, documents = store.layers.of_image(image_id), store.documents(image_id)
        names = [reference.familiar for reference in store.references(image_id) if reference.tag]
        keys = [key for layer in layers for key in (layer.chain_id, layer.blob_digest) if key]
        with self._parts.images.leases.hold(image_id, *documents, *keys):
            problems = [*await self._document("configuration", image_id)]
            for digest in documents:
                problems += await self._document("manifest", digest)
            for layer in layers:
                if layer.chain_id not in self._known:
                    self._known[layer.chain_id] = await self._layer(image_id, layer)
                problems += self._known[layer.chain_id]
        checked = 1 + len(documents) + sum(1 + bool(layer.blob_digest) for layer in layers)
        return Verified(id=image_id, names=names, checked=checked, problems=problems)

    async def _document(self, kind: Literal["configuration", "manifest"], digest: str) -> list[Problem]:
        if digest not in self._known:
            text = await self._blob(digest)
            self._known[digest] = [Problem(kind=kind, digest=digest, text=text)] if text else []
        return self._known[digest]

    async def _blob(self, digest: str) -> str:
        """Return what is wrong with a blob, "" for nothing."""
        try:
            sound = await asyncio.to_thread(self._parts.content.verify, digest)
        except NotFound:
            return "is missing"
        except OSError as error:
            return f"can not be read: {error.strerror}"
        return "" if sound else "is damaged: its bytes have another digest"

    async def _layer(self, image_id: str, layer: Layer) -> list[Problem]:
        """Check the blob of a layer and its unpacked form."""
        problems = []
        directory = None
        try:
            if text := await self._blob(layer.blob_digest) if layer.blob_digest else "":
                problems.append(Problem(kind="blob", digest=layer.blob_digest, text=text))
                if self._repair:
                    directory, unpacked = await self._fetched(image_id, layer)
                    problems[0].repaired = True
            elif layer.blob_digest:
                directory, unpacked = await self._parts.layer_puller.unpack_again(layer)
            if directory is not None:
                problems += await self._compare(layer, directory, unpacked)
            else:
                reason = "can not be checked without its blob"
                text = reason if self._parts.layers.has(layer.chain_id) else "is missing"
                problems.append(Problem(kind="layer", digest=layer.chain_id, text=text))
        except ProaError as error:
            if not problems:
                raise
            problems[0].text += f"; not repaired: {error.message}"
        finally:
            if directory is not None:
                self._parts.layers.discard(directory)
        return problems

    async def _fetched(self, image_id: str, layer: Layer) -> tuple[Path, Unpacked]:
        """Get a layer's blob from where the image came from, and unpack it."""
        references = [each for each in self._parts.images.store.references(image_id) if each.digest]
        if not references:
            raise NotFound("the image comes from no registry")
        self._parts.content.remove(layer.blob_digest)
        repository = self._parts.registry.repository(references[0], self._credentials, None)
        return await self._parts.layer_puller.fetch_again(layer, repository)

    async def _compare(self, layer: Layer, directory: Path, unpacked: Unpacked) -> list[Problem]:
        """Hold an unpacked layer against its blob, unpacked into `directory` just now; repair it if asked."""
        if unpacked.diff_id != layer.diff_id:
            text = f"its blob has the diffID {unpacked.diff_id}"
            return [Problem(kind="layer", digest=layer.chain_id, text=text)]
        compare = partial(self._parts.layers.compare, directory, layer.chain_id, layer.parent, unpacked)
        try:
            found = await asyncio.to_thread(compare)
        except NotFound:
            found = ["is missing"]
        except OSError as error:
            found = [f"can not be read: {error.strerror}"]
        problems = [Problem(kind="layer", digest=layer.chain_id, text=text) for text in found]
        if problems and self._repair:
            users = [each for each in self._parts.containers() if each.running and layer.chain_id in each.layers]
            if users:
                problems[0].text += f"; not repaired: container {users[0].name} runs on it, stop that first"
            else:
                self._parts.layers.replace(directory, layer.chain_id)
                for problem in problems:
                    problem.repaired = True
        return problems
