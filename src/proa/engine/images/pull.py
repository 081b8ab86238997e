"""`pull`: from a name to an image that can run.

    reference -> manifest for the platform -> configuration -> layers, streamed (pull_layer.py) -> records

Layers are recorded one by one as they are complete, since another attempt can use them; the image and its
names appear in one transaction at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.engine.images.progress import Progress, Report
from proa.engine.images.pull_layer import FULL_DISK, MISMATCH, LayerPuller, Plan
from proa.engine.images.transfers import Transfer, Transfers
from proa.errors import Internal, InvalidArgument, KernelError, Unsupported
from proa.ids import short
from proa.oci import image_config, platform
from proa.oci.image_config import ImageConfig, chain_ids
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry, Repository, Resolved
from proa.snapshots import Layers


class Puller:
    """Pulls images for one engine. Belongs to its event loop."""

    def __init__(
        self,
        *,
        images: Images,
        database: Database,
        events: Events,
        content: ContentStore,
        layers: Layers,
        registry: Registry,
        max_concurrent_downloads: int,
    ) -> None:
        self._images = images
        self._database = database
        self._events = events
        self._content = content
        self._layers = layers
        self._registry = registry
        self._transfers = Transfers()
        self.layer_puller = LayerPuller(content, layers, images.store.layers.register, max_concurrent_downloads)

    async def stop(self) -> None:
        """End all pulls that run, as if each were cancelled."""
        await self._transfers.cancel()

    def close(self) -> None:
        """Let go of the threads, after `stop`."""
        self.layer_puller.close()

    async def pull(
        self,
        name: str,
        *,
        platform: str = "",
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | None = None,
        all_tags: bool = False,
        progress: Report = lambda progress: None,
    ) -> None:
        """Pull `name` (latest when it has neither tag nor digest), or with `all_tags` each tag of it.

        `progress` hears Docker's messages in Docker's order. Raises `InvalidArgument`, `NotFound`,
        `Forbidden`, `Unsupported`, `Unavailable` or `Internal`, having left no part of an image behind that
        anybody could see; complete layers and partial blobs wait for the next attempt.
        """
        reference = Reference.parse(name, default_tag=None if all_tags else "latest")
        wanted = Platform.parse(platform) if platform else None
        if all_tags and (reference.tag or reference.digest):
            raise InvalidArgument("tag can't be used with --all-tags/-a")
        references: Sequence[Reference] = [reference]

        def notice(text: str) -> None:
            progress(Progress(status=text))

        if all_tags:
            tags = await self._registry.repository(reference, credentials, headers, notice).tags()
            references = [reference.with_tag(tag) for tag in tags]
        elif reference.digest:
            references = [reference.with_digest(reference.digest)]
        changed = False
        for one in references:
            repository = self._registry.repository(one, credentials, headers, notice)
            changed |= await self._pull_one(repository, wanted, progress)
        news = "Downloaded newer image" if changed else "Image is up to date"
        shown = reference if all_tags else references[0]
        progress(Progress(status=f"Status: {news} for {shown.familiar}"))

    async def _pull_one(self, repository: Repository, wanted: Platform | None, progress: Report) -> bool:
        """Pull one reference; return whether it names another image than before."""
        reference = repository.reference
        resolved = await repository.resolve(wanted or platform.default(), cached=self._cached)
        manifest = resolved.manifest
        manifest.check_is_image()
        progress(Progress(id=reference.tag_or_digest, status=f"Pulling from {reference.path}"))
        chain: list[str] = []
        try:
            with self._images.leases.hold(resolved.digest, manifest.descriptor.digest) as lease:
                config, complete = await self._find_config(repository, resolved)
                chain = chain_ids(config.diff_ids)
                lease.add(config.digest, *chain, *(layer.digest for layer in manifest.layers))
                if not complete:
                    await self._get_layers(repository, resolved, config, progress)
                progress(Progress(status=f"Digest: {resolved.digest}"))
                changed = await self._record(reference, resolved, config)
        except KernelError as error:
            if error.errno in FULL_DISK:  # what fitted helps nobody now
                self._images.release_layers(chain)
                for layer in manifest.layers:  # those that were cancelled because of another one's error
                    await asyncio.to_thread(self._content.forget, layer.digest)
            raise
        if wanted and not wanted.matches(config.platform):
            text = f"image with reference {reference.familiar} was found but its platform ({config.platform})"
            progress(Progress(status=f"WARNING: {text} does not match the specified platform ({wanted})"))
        attributes = {**config.labels, "name": reference.familiar_name}
        self._events.emit("image", "pull", reference.familiar, attributes)
        return changed

    def _cached(self, digest: str) -> bytes | None:
        return self._content.read(digest) if self._content.has(digest) else None

    async def _find_config(self, repository: Repository, resolved: Resolved) -> tuple[ImageConfig, bool]:
        """Return the configuration, and whether the image is here with all its layers."""
        known = self._images.store.get(resolved.manifest.config.digest)
        if known is None:
            return await self._read_config(repository, resolved), False
        return known.config, all(self._layers.has(chain_id) for chain_id in known.layers)

    async def _read_config(self, repository: Repository, resolved: Resolved) -> ImageConfig:
        raw = await repository.read(resolved.manifest.config, image_config.MAX_SIZE)
        config = ImageConfig.parse(raw)
        if config.platform.os != "linux":
            system = config.platform.os
            raise Unsupported(f'cannot download image with operating system "{system}" when requesting "linux"')
        if len(config.diff_ids) != len(resolved.manifest.layers):
            raise Internal(MISMATCH)
        return config

    async def _get_layers(
        self, repository: Repository, resolved: Resolved, config: ImageConfig, progress: Report
    ) -> None:
        """Get all layers that are missing, at the same time."""
        chain = chain_ids(config.diff_ids)
        joined: list[tuple[Transfer, Report]] = []
        below: Transfer | None = None
        try:
            for position, descriptor in enumerate(resolved.manifest.layers):
                identifier, chain_id = short(descriptor.digest), chain[position]
                if self._images.store.layers.get(chain_id) and self._layers.has(chain_id):
                    progress(Progress(id=identifier, status="Already exists"))
                    continue
                progress(Progress(id=identifier, status="Pulling fs layer"))
                parent = chain[position - 1] if position else ""
                plan = Plan(descriptor, config.diff_ids[position], chain_id, parent)
                work = partial(self._layer, plan, repository, below)
                report: Report = partial(progress)  # its own object, so that it can be taken back
                below = self._transfers.join(chain_id, work, report)
                joined.append((below, report))
            await _all_finished([transfer for transfer, _ in joined])
        finally:
            for transfer, report in reversed(joined):  # the upper ones wait for those below
                await self._transfers.leave(transfer, report)

    async def repair(self) -> Sequence[str]:
        """Unpack layers again that records name and the disk lost: a power loss takes what was not synced.

        Returns the chain IDs of those whose blobs are gone too; a pull of their images gets them anew.
        """
        records = {layer.chain_id: layer for layer in self._images.store.layers.all()}
        gone: list[str] = []
        for layer in sorted(records.values(), key=partial(_height, records)):
            if self._layers.has(layer.chain_id):
                continue
            with self._images.leases.hold(layer.chain_id, layer.blob_digest):
                if layer.parent in gone or not await self.layer_puller.restore(layer):
                    gone.append(layer.chain_id)
        return gone

    async def _layer(self, plan: Plan, repository: Repository, below: Transfer | None, report: Report) -> None:
        await self.layer_puller.run(plan, repository, below.finished if below else _nothing, report)

    async def _record(self, reference: Reference, resolved: Resolved, config: ImageConfig) -> bool:
        """Make the image and its names visible, all at once. Returns whether that changed anything."""
        store, manifest = self._images.store, resolved.manifest
        for document in (*resolved.documents, config.to_bytes()):
            await asyncio.to_thread(self._content.put, document)
        before = store.named(reference)
        with self._database.transaction():
            image_id = store.put(
                config, manifest_digest=manifest.descriptor.digest, manifest_media_type=manifest.media_type
            )
            if reference.tag and before != image_id:
                store.tag(reference, image_id)
            store.add_digest(reference, resolved.digest, image_id)
        return before != image_id


def _height(records: Mapping[str, Layer], layer: Layer) -> int:
    """Return how many layers are below this one."""
    count = 0
    while (below := records.get(layer.parent)) is not None:
        count, layer = count + 1, below
    return count


async def _nothing() -> None:
    """What a base layer waits for."""


async def _all_finished(transfers: Sequence[Transfer]) -> None:
    """Wait for all; raise the first error as soon as it happens."""
    tasks = {transfer.task for transfer in transfers}
    if not tasks:
        return
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    failed = [transfer for transfer in transfers if transfer.task in done]
    for transfer in failed:
        transfer.task.result()
