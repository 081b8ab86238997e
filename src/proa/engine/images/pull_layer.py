"""One layer: download -> verify digest -> decompress -> verify diffID -> unpack, all at the same time.

The event loop downloads; a thread keeps the compressed blob (content) and unpacks it (archive), fed through
a bounded channel. Only what was verified whole gets a name, in the content store as among the layers.
"""

from __future__ import annotations

import asyncio
import errno
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from proa.archive.unpack import Unpacked, unpack
from proa.content import ContentStore, Ingest, VerificationFailed
from proa.engine.images.feed import Feed, Stopped
from proa.engine.images.image import Layer
from proa.engine.images.progress import Progress, Report
from proa.engine.images.threads import settled
from proa.errors import Internal, InvalidArgument, KernelError
from proa.ids import short
from proa.oci.descriptor import Descriptor
from proa.registry import Repository, Wait
from proa.snapshots import Layers

REPORT_INTERVAL = 0.1  # seconds between messages about the same download
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MOST_TRIES = 8  # of a blob that comes wrong: once for each mirror, which is given up
MISMATCH = "layers from manifest don't match image configuration"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Plan:
    """A layer that is needed."""

    descriptor: Descriptor
    diff_id: str
    chain_id: str
    parent: str  # chain ID below, "" for a base


class LayerPuller:
    """Gets layers. One for the whole engine: it bounds the downloads and the threads of all pulls."""

    def __init__(
        self,
        content: ContentStore,
        layers: Layers,
        register: Callable[[Layer], None],
        max_downloads: int,
    ) -> None:
        self._content = content
        self._layers = layers
        self._register = register
        self._downloads = asyncio.Semaphore(max_downloads)
        self._threads = ThreadPoolExecutor(max_downloads + 2, thread_name_prefix="proa-pull")
        self._blobs: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def close(self) -> None:
        """Let go of the threads, after the last pull."""
        self._threads.shutdown(wait=True)

    async def run(
        self, plan: Plan, repository: Repository, below: Callable[[], Awaitable[None]], report: Report
    ) -> None:
        """Get one layer and record it. `below` waits for the layer under it: they appear in order."""
        say = _Speaker(short(plan.descriptor.digest), report)
        directory, unpacked = await self._obtain(plan, repository, say)
        try:
            if unpacked.diff_id != plan.diff_id:
                raise Internal(f"{MISMATCH}: {plan.descriptor.digest} unpacks to {unpacked.diff_id}")
            say("Extracting", plan.descriptor.size, plan.descriptor.size)
            await below()
            commit = partial(self._layers.commit, directory, plan.chain_id, plan.parent, unpacked)
            await self._in_thread(commit)
        except BaseException:
            await self._in_thread(partial(self._layers.discard, directory))
            raise
        self._register(
            Layer(
                chain_id=plan.chain_id,
                diff_id=plan.diff_id,
                parent=plan.parent,
                size=unpacked.size,
                blob_digest=plan.descriptor.digest,
                blob_size=plan.descriptor.size,
                media_type=plan.descriptor.media_type,
            )
        )
        say("Pull complete")

    async def restore(self, layer: Layer) -> bool:
        """Unpack a recorded layer again from its blob; False when that is not here (any more)."""
        digest = layer.blob_digest
        if not digest or not self._content.has(digest):
            return False
        plan = _plan_of(layer)
        try:
            directory, unpacked = await self.unpack_again(layer)
        except VerificationFailed:
            self._content.remove(digest)
            return False
        await self._in_thread(partial(self._layers.commit, directory, plan.chain_id, plan.parent, unpacked))
        return True

    async def unpack_again(self, layer: Layer) -> tuple[Path, Unpacked]:
        """Unpack the blob of a recorded layer into a new directory, which is the caller's."""
        plan = _plan_of(layer)
        return await self._into_directory(plan, partial(self._unpack_stored, plan.descriptor))

    async def fetch_again(self, layer: Layer, repository: Repository) -> tuple[Path, Unpacked]:
        """As `unpack_again`, for a blob that is missing: it is downloaded first."""
        return await self._obtain(_plan_of(layer), repository, _Speaker(short(layer.blob_digest), lambda _: None))

    async def _obtain(self, plan: Plan, repository: Repository, say: _Speaker) -> tuple[Path, Unpacked]:
        """Unpack the layer's blob, from the content store or from the registry, into a new directory."""
        digest = plan.descriptor.digest
        lock = self._blobs.setdefault(digest, asyncio.Lock())
        async with lock:  # the same blob may be part of several layers: it is downloaded once
            if self._content.has(digest):
                try:
                    found = await self._into_directory(plan, partial(self._unpack_stored, plan.descriptor))
                    say("Download complete")
                    return found
                except VerificationFailed:
                    self._content.remove(digest)
            if self._downloads.locked():
                say("Waiting")
            async with self._downloads:
                download = partial(self._download, plan.descriptor, repository, say)
                for _ in range(_MOST_TRIES):
                    try:
                        return await self._into_directory(plan, download)
                    except _Again:
                        continue
                return await self._into_directory(plan, download)

    async def _into_directory(
        self, plan: Plan, fill: Callable[[Path], Awaitable[Unpacked]]
    ) -> tuple[Path, Unpacked]:
        directory = self._layers.prepare(plan.chain_id)
        try:
            return directory, await fill(directory)
        except BaseException:
            await self._in_thread(partial(self._layers.discard, directory))
            raise

    async def _unpack_stored(self, descriptor: Descriptor, directory: Path) -> Unpacked:
        """Unpack a blob that is here. Raises `VerificationFailed` when it was damaged meanwhile."""
        path = self._content.path(descriptor.digest)
        verify = partial(self._content.verify, descriptor.digest)
        try:
            unpacked = await self._in_thread(lambda: unpack(_chunks_of(path), directory))
        except InvalidArgument:
            if await self._in_thread(verify):
                raise
            raise VerificationFailed(f"{path} is damaged") from None
        sure = unpacked.digest == descriptor.digest or await self._in_thread(verify)
        if not sure:
            raise VerificationFailed(f"{path} is damaged")
        return unpacked

    async def _download(
        self, descriptor: Descriptor, repository: Repository, say: _Speaker, directory: Path
    ) -> Unpacked:
        """Download into the content store and the directory. Raises `_Again` when the whole is
        wrong and may be right without what an earlier attempt left, or from another server."""
        ingest = await self._open(descriptor)
        resumed = ingest.offset > 0
        keep = True
        try:
            return await self._stream(ingest, descriptor, repository, directory, say)
        except VerificationFailed as error:
            text = f"filesystem layer verification failed for digest {descriptor.digest}"
            others = repository.disown(descriptor.digest)
            raise (_Again if resumed or others else Internal)(text) from error
        except KernelError as error:
            keep = error.errno not in FULL_DISK
            raise
        finally:
            ingest.abort(keep=keep)

    async def _open(self, descriptor: Descriptor) -> Ingest:
        opening = self._start(partial(self._content.ingest, descriptor.digest, descriptor.size))
        try:
            await settled(opening)
        except asyncio.CancelledError:
            opening.result().abort()
            raise
        return opening.result()

    async def _stream(
        self, ingest: Ingest, descriptor: Descriptor, repository: Repository, directory: Path, say: _Speaker
    ) -> Unpacked:
        feed, loop = Feed(), asyncio.get_running_loop()
        verified = partial(loop.call_soon_threadsafe, say, "Download complete")

        def work() -> Unpacked:
            try:
                return _unpack_and_keep(_kept(feed, ingest, verified), directory)
            finally:
                feed.stop()

        unpacking = self._start(work)
        try:
            chunks = repository.fetch(descriptor, ingest.offset, on_retry=say.retry)
            await self._pump(chunks, feed, ingest.offset, descriptor.size, say)
            return await asyncio.shield(unpacking)
        except BaseException:
            feed.stop()
            await settled(unpacking)
            raise

    async def _pump(
        self, chunks: AsyncGenerator[bytes, None], feed: Feed, offset: int, size: int, say: _Speaker
    ) -> None:
        """Move what arrives into the feed and tell about it. Ends early when the thread has failed."""
        received, told = offset, -math.inf
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    await feed.put(chunk)
                    received += len(chunk)
                    if time.monotonic() - told >= REPORT_INTERVAL:
                        told = time.monotonic()
                        say("Downloading", received, size)
            except Stopped:
                return
        say("Verifying Checksum")
        feed.end()

    def _start(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Run disk work to its end, even when the pull is cancelled meanwhile."""
        future = self._start(work)
        await settled(future)
        return future.result()


def _plan_of(layer: Layer) -> Plan:
    descriptor = Descriptor(layer.media_type, layer.blob_digest, layer.blob_size)
    return Plan(descriptor, layer.diff_id, layer.chain_id, layer.parent)


class _Again(Internal):
    """A blob is wrong whose first part was downloaded earlier, or which came from mirrors."""


class _Speaker:
    """Says things about one layer."""

    def __init__(self, identifier: str, report: Report) -> None:
        self._id = identifier
        self._report = report

    def __call__(self, status: str, current: int | None = None, total: int | None = None) -> None:
        self._report(Progress(id=self._id, status=status, current=current, total=total))

    def retry(self, wait: Wait) -> None:
        self(str(wait))


def _kept(feed: Feed, ingest: Ingest, verified: Callable[[], object]) -> Iterator[bytes]:
    """Yield a blob's bytes, keeping them on the way; ends only after all of them were verified."""
    yield from ingest.held()
    for chunk in feed:
        ingest.write(chunk)
        yield chunk
    ingest.commit()
    verified()


def _unpack_and_keep(chunks: Iterator[bytes], directory: Path) -> Unpacked:
    """Unpack; a bad archive may be a bad download, so its rest is read for the digest to tell."""
    try:
        return unpack(chunks, directory)
    except InvalidArgument:
        for _ in chunks:
            pass
        raise


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk
