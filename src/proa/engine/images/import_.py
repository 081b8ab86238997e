"""`import`: an archive of a root file system becomes an image of one layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import suppress

from proa import times
from proa.archive.compression import decompress
from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.images import instructions, new_image
from proa.engine.images.feed import Feed, Stopped
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.engine.images.new_layer import Out, make_layer
from proa.engine.own_thread import in_own_thread
from proa.errors import InvalidArgument, Unavailable
from proa.oci import platform as platforms
from proa.oci.image_config import ImageConfig
from proa.oci.platform import Platform
from proa.snapshots import Layers

_CHUNK = 256 << 10
_CONNECT_TIMEOUT = 30.0  # seconds
_READ_TIMEOUT = 300.0  # seconds without a byte


class Importer:
    """Makes images from archives. Belongs to the event loop."""

    def __init__(self, *, images: Images, database: Database, content: ContentStore, layers: Layers) -> None:
        self._images = images
        self._database = database
        self._content = content
        self._layers = layers

    async def import_(
        self,
        source: AsyncIterable[bytes],
        *,
        reference: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        origin: str = "",
    ) -> str:
        """Make an image of a tar stream, compressed or not, and return its identifier.

        With `origin`, a URL, the archive is fetched from there instead of `source`. Raises
        `InvalidArgument` for a bad name, change or archive, `Unavailable` when the URL cannot be read;
        nothing is left then.
        """
        name = new_image.name_for(reference)
        wanted = Platform.parse(platform) if platform else platforms.default()
        if wanted.os != "linux":
            raise InvalidArgument(f'operating system "{wanted.os}" is not supported')
        config = instructions.apply(changes, {})
        chunks = _download(_url(origin)) if origin else source
        layer = await self._make_layer(chunks)
        with self._images.leases.hold(*((layer.chain_id, layer.blob_digest) if layer else ())):
            document = _document(wanted, layer, message or f"Imported from {origin or '-'}")
            document["config"] = {key: value for key, value in config.items() if value}
            image_id = await new_image.record(
                self._images,
                self._database,
                self._content,
                ImageConfig(document),
                [layer] if layer else [],
                name=name,
            )
        self._images.emit("import", image_id, image_id)
        return image_id

    async def _make_layer(self, source: AsyncIterable[bytes]) -> Layer | None:
        """Feed the archive to the threads that make a layer of it."""
        feed = Feed()

        def produce(out: Out) -> None:
            for piece in decompress(feed):
                out(piece)

        def work() -> Layer | None:
            try:
                return make_layer(self._content, self._layers, [], produce)
            finally:
                feed.stop()

        making = in_own_thread(work)
        making.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to hear
        try:
            with suppress(Stopped):  # the thread has failed and says why
                async for chunk in source:
                    await feed.put(chunk)
                feed.end()
        except BaseException:
            feed.stop()
            with suppress(Exception):  # the source's own failure is what the caller hears of
                await asyncio.shield(making)
            raise
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            feed.stop()
            raise


def _document(platform: Platform, layer: Layer | None, comment: str) -> dict[str, object]:
    created = times.format_time(times.now())
    document: dict[str, object] = {
        "architecture": platform.architecture,
        "os": platform.os,
        "created": created,
        "comment": comment,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id] if layer else []},
        "history": [{"created": created, "comment": comment} | ({} if layer else {"empty_layer": True})],
    }
    if platform.variant:
        document["variant"] = platform.variant
    return document


def _url(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    if not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"cannot import from {text}: only http and https are known")
    return url


async def _download(url: str) -> AsyncIterator[bytes]:
    import aiohttp  # costs a quarter of a second: only where it is needed

    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_TIMEOUT, sock_read=_READ_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False, trust_env=True) as session,
            session.get(url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status >= 400:
                raise Unavailable(f"failed to GET {url} with status {response.status} {response.reason}")
            async for chunk in response.content.iter_chunked(_CHUNK):
                yield chunk
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(f"failed to GET {url}: {error or 'timeout'}") from error
