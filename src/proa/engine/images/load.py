"""`load`: images from an archive, as `save` of any engine writes it.

    stream -> staging.py -> archived.py (what is in it) -> load_layer.py -> records

All of it or nothing: nobody sees an image before all of the archive is verified and unpacked, and a failure
takes back the layers that were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from functools import partial

from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.images import archived, image_manifest
from proa.engine.images.archived import Found
from proa.engine.images.feed import Feed, Stopped
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.engine.images.leases import Lease
from proa.engine.images.load_layer import Part, load_layer
from proa.engine.images.progress import Progress, Report
from proa.engine.images.staging import Staging
from proa.engine.images.threads import in_thread, settled
from proa.engine.own_thread import in_own_thread
from proa.errors import InvalidArgument
from proa.ids import short
from proa.oci.image_config import chain_ids
from proa.oci.manifest import Manifest
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.snapshots import Layers

# Hears a line for the user.
Tell = Callable[[str], None]


class Loader:
    """Makes images of archives. Belongs to the event loop."""

    def __init__(self, *, images: Images, database: Database, content: ContentStore, layers: Layers) -> None:
        self._images = images
        self._database = database
        self._content = content
        self._layers = layers

    async def load(
        self,
        source: AsyncIterable[bytes],
        *,
        platform: str = "",
        progress: Report = lambda progress: None,
        tell: Tell = lambda text: None,
    ) -> list[str]:
        """Load all images of an archive (with `platform`, those for it), and return their identifiers.

        `progress` hears of layers, `tell` of images, in Docker's words. Raises `InvalidArgument` for an archive
        that is not sound, `NotFound` when it has nothing for the platform; nothing is left then.
        """
        wanted = Platform.parse(platform) if platform else None
        staging = Staging(self._content.root)
        try:
            await _fill(staging, source)
            found = await in_thread(partial(archived.find, staging, wanted))
            _check_parents(found)
            with self._images.leases.hold() as lease:
                made: list[str] = []
                documents: list[str] = []
                try:
                    for image in found:
                        await self._get_layers(staging, image, lease, made, progress)
                    return await self._record(found, lease, documents, tell)
                except BaseException:
                    lease.release()
                    self._images.release_layers(made)
                    self._images.release_blobs(documents)
                    raise
        finally:
            staging.close()

    async def _get_layers(
        self, staging: Staging, image: Found, lease: Lease, made: list[str], progress: Report
    ) -> None:
        """Unpack the layers that are not here; `made` learns of each."""
        diff_ids = image.config.diff_ids
        chain = chain_ids(diff_ids)
        lease.add(*chain)
        loop = asyncio.get_running_loop()
        for number, chain_id in enumerate(chain):
            if self._images.store.layers.get(chain_id) and self._layers.has(chain_id):
                continue
            part = Part(
                number=number,
                file=image.layers[number],
                diff_id=diff_ids[number],
                chain_id=chain_id,
                below=diff_ids[:number],
                parent=chain[number - 1] if number else "",
                media_type=image.manifest.layers[number].media_type if image.manifest else "",
            )

            def heard(size: int, part: Part = part) -> None:
                step = Progress(id=short(part.diff_id), status="Loading layer", current=size, total=part.file.size)
                loop.call_soon_threadsafe(progress, step)

            lease.add(part.file.digest)
            work = partial(load_layer, self._content, self._layers, staging, part, heard)
            loading = loop.run_in_executor(None, work)
            try:
                await settled(loading)
            finally:  # also when this is cancelled: what was made is to be taken back
                if loading.exception() is None:
                    layer = loading.result()
                    lease.add(layer.blob_digest)
                    made.append(chain_id)
                    self._images.store.layers.register(layer)
            loading.result()

    async def _record(self, found: list[Found], lease: Lease, documents: list[str], tell: Tell) -> list[str]:
        """Make all images and names visible at once, and tell of them; `documents` learns of stored blobs."""
        store = self._images.store
        known: list[Manifest] = []
        for image in found:
            rows: list[Layer] = []
            for chain_id in chain_ids(image.config.diff_ids):
                row = store.layers.get(chain_id)
                assert row is not None  # held since it was found or made
                rows.append(row)
            manifest = image.manifest or self._known(image) or image_manifest.make(image.config, rows)
            known.append(manifest)
            lease.add(image.config.digest, manifest.descriptor.digest)
            documents += (image.config.digest, manifest.descriptor.digest)
            for raw in (image.config.to_bytes(), manifest.raw):
                await in_thread(partial(self._content.put, raw))
        replaced: dict[Reference, str] = {}
        with self._database.transaction():
            for image, manifest in zip(found, known, strict=True):
                image_id = store.put(
                    image.config,
                    manifest_digest=manifest.descriptor.digest,
                    manifest_media_type=manifest.media_type,
                    parent=image.parent,
                )
                for name in image.names:
                    previous = store.tag(name, image_id)
                    if previous not in (None, image_id):
                        replaced[name] = previous or ""
        self._tell(found, replaced, tell)
        return [image.config.digest for image in found]

    def _known(self, image: Found) -> Manifest | None:
        """Return the manifest of an image that is here already: a registry's is worth more than one made now."""
        known = self._images.store.get(image.config.digest)
        return image_manifest.kept(self._content, known) if known is not None else None

    def _tell(self, found: list[Found], replaced: dict[Reference, str], tell: Tell) -> None:
        for image in found:
            image_id = image.config.digest
            for name in image.names:
                if name in replaced:
                    tell(
                        f"The image {name.familiar} already exists, renaming the old one with ID {replaced[name]} "
                        "to empty string"
                    )
                tell(f"Loaded image: {name.familiar}")
            if not image.names:
                tell(f"Loaded image ID: {image_id}")
            self._images.emit("load", image_id, image_id)


async def _fill(staging: Staging, source: AsyncIterable[bytes]) -> None:
    """Read the archive into the staging file; the client's failure and a bad archive end it."""
    feed = Feed()

    def work() -> None:
        try:
            staging.fill(feed)
        finally:
            feed.stop()

    filling = in_own_thread(work)
    try:
        with suppress(Stopped):  # the thread has failed and says why
            async for chunk in source:
                await feed.put(chunk)
            feed.end()
    except BaseException:
        feed.stop()
        raise
    finally:
        await settled(filling)
    filling.result()


def _check_parents(found: list[Found]) -> None:
    """Keep the parents that are in the archive. Raises `InvalidArgument` for one that can be none."""
    by_id = {image.config.digest: image for image in found}
    for image in found:
        parent = by_id.get(image.parent)
        if parent is None or parent is image:
            image.parent = ""
            continue
        history, older = image.config.history, parent.config.history
        if (history or older) and (len(history) != len(older) + 1 or history[: len(older)] != older):
            raise InvalidArgument(f"image {parent.config.digest} is not a valid parent for {image.config.digest}")
