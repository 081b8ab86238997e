"""`push`: an image's layers, configuration and manifest to a registry.

Several layers go at a time; each is asked for first, then mounted from a sibling repository if one has it, then
sent. The manifest that came with the image goes as it came, so its digest stays the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from proa.content import ContentStore
from proa.engine.events import Events
from proa.engine.images import image_manifest
from proa.engine.images.image import Image
from proa.engine.images.images import Images
from proa.engine.images.progress import Progress, Report
from proa.engine.images.threads import settled
from proa.engine.images.transfers import Transfer, Transfers
from proa.errors import InvalidArgument, NotFound
from proa.ids import short
from proa.oci import media_types
from proa.oci.descriptor import Descriptor
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry, Target, Wait

REPORT_INTERVAL = 0.1  # seconds between messages about the same upload
_PIECE = 1 << 20


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """One tag that a registry has now; `size` of the manifest, in bytes."""

    tag: str
    digest: str
    size: int


class Pusher:
    """Pushes images of one engine. Belongs to its event loop."""

    def __init__(
        self,
        *,
        images: Images,
        events: Events,
        content: ContentStore,
        registry: Registry,
        max_concurrent_uploads: int,
    ) -> None:
        self._images = images
        self._events = events
        self._content = content
        self._registry = registry
        self._transfers = Transfers()
        self._uploads = asyncio.Semaphore(max_concurrent_uploads)
        self._limit = max_concurrent_uploads

    async def stop(self) -> None:
        """End all pushes that run, as if each were cancelled."""
        await self._transfers.cancel()

    async def push(
        self,
        name: str,
        *,
        platform: str = "",
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Report = lambda progress: None,
        pushed: Callable[[Pushed], None] = lambda pushed: None,
    ) -> None:
        """Push `name`; without a tag, all tags of the repository.

        `progress` hears Docker's messages, `pushed` of each tag. Raises `InvalidArgument`, `NotFound`,
        `Forbidden`, `Unavailable` or `Internal`; what has arrived at the registry stays there.
        """
        reference = Reference.parse(name, default_tag=None)
        if reference.digest:
            raise InvalidArgument("cannot push a digest reference")
        if platform:
            self._images.get(reference.familiar, platform)
        progress(Progress(status=f"The push refers to repository [{reference.name}]"))
        labels: dict[str, str] = {}
        for tagged, image in self._choose(reference):
            pushed(await self._push_one(tagged, image, credentials, headers, progress))
            labels = image.config.labels if reference.tag else {}
        self._events.emit("image", "push", reference.familiar, {**labels, "name": reference.familiar_name})

    def _choose(self, reference: Reference) -> list[tuple[Reference, Image]]:
        """Return what is to be pushed: tags, and their images."""
        store = self._images.store
        tags = [(tag, image_id) for image_id, tags in store.tags(reference).items() for tag in tags]
        if not tags and not store.has_repository(reference):
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        if reference.tag:
            tags = [(tag, image_id) for tag, image_id in tags if tag == reference]
            if not tags:
                raise NotFound(f"tag does not exist: {reference.familiar}")
        if not tags:
            raise NotFound(f"no tags to push for {reference.familiar_name}")
        found = [(tag, store.get(image_id)) for tag, image_id in sorted(tags, key=lambda pair: str(pair[0]))]
        return [(tag, image) for tag, image in found if image is not None]

    async def _push_one(
        self,
        reference: Reference,
        image: Image,
        credentials: Credentials | None,
        headers: Mapping[str, str] | None,
        progress: Report,
    ) -> Pushed:
        manifest = image_manifest.of_image(self._content, image, self._images.store.layers.of_image(image.id))
        own = manifest.descriptor
        with self._images.leases.hold(own.digest, image.id, *(layer.digest for layer in manifest.layers)):
            target = self._registry.target(
                reference, credentials, headers, lambda text: progress(Progress(status=text))
            )
            await self._push_layers(target, reference, image, manifest.layers, credentials, progress)
            await target.push_blob(manifest.config, partial(_document, image.config.to_bytes()))
            await target.push_manifest(reference.tag or "", manifest.raw, manifest.media_type)
            await asyncio.to_thread(self._content.put, manifest.raw)
            self._images.store.add_digest(reference, own.digest, image.id)
        progress(Progress(status=f"{reference.tag}: digest: {own.digest} size: {own.size}"))
        return Pushed(tag=reference.tag or "", digest=own.digest, size=own.size)

    async def _push_layers(
        self,
        target: Target,
        reference: Reference,
        image: Image,
        layers: Sequence[Descriptor],
        credentials: Credentials | None,
        progress: Report,
    ) -> None:
        """Push all layers, several at a time, the topmost first."""
        wanted = [
            (layer, short(diff_id))
            for layer, diff_id in reversed(list(zip(layers, image.config.diff_ids, strict=True)))
        ]
        for _, identifier in wanted:
            progress(Progress(id=identifier, status="Preparing"))
        for _, identifier in wanted[self._limit :]:
            progress(Progress(id=identifier, status="Waiting"))
        joined: list[tuple[Transfer, Report]] = []
        try:
            for layer, identifier in wanted:
                work = partial(self._push_layer, target, reference, layer, identifier)
                report: Report = partial(progress)  # its own object, so that it can be taken back
                key = f"{reference.name} {layer.digest} {hash(credentials)}"
                joined.append((self._transfers.join(key, work, report), report))
            await _all_finished([transfer for transfer, _ in joined])
        finally:
            for transfer, report in joined:
                await self._transfers.leave(transfer, report)

    async def _push_layer(
        self, target: Target, reference: Reference, layer: Descriptor, identifier: str, report: Report
    ) -> None:
        def say(status: str, current: int | None = None) -> None:
            total = None if current is None else layer.size
            report(Progress(id=identifier, status=status, current=current, total=total))

        if layer.media_type in media_types.FOREIGN_LAYERS and layer.urls:
            say("Skipped foreign layer")
            return
        sources = [
            repository.removeprefix(f"{reference.domain}/")
            for repository in self._images.store.repositories_with(layer.digest, reference.domain)
            if repository != reference.name
        ]
        told = 0.0

        def sent(size: int) -> None:
            nonlocal told
            if time.monotonic() - told >= REPORT_INTERVAL or size == layer.size:
                told = time.monotonic()
                say("Pushing", size)

        def retry(wait: Wait) -> None:
            say(str(wait))

        chunks = partial(_blob, self._content.path(layer.digest))
        async with self._uploads:
            where = await target.push_blob(layer, chunks, sources=sources, on_progress=sent, on_retry=retry)
        if not where:
            say("Layer already exists")
        elif where == reference.path:
            say("Pushed")
        else:
            say(f"Mounted from {where}")


async def _all_finished(transfers: Sequence[Transfer]) -> None:
    """Wait for all; raise the first error as soon as it happens."""
    tasks = {transfer.task for transfer in transfers}
    if not tasks:
        return
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _document(data: bytes, offset: int) -> AsyncGenerator[bytes, None]:
    yield data[offset:]


async def _blob(path: Path, offset: int) -> AsyncGenerator[bytes, None]:
    """Yield a file from `offset` on, read in threads."""
    with path.open("rb") as file:
        file.seek(offset)
        while True:
            reading = asyncio.get_running_loop().run_in_executor(None, file.read, _PIECE)
            await settled(reading)
            piece = reading.result()
            if not piece:
                return
            yield piece
