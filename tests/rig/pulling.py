"""The part of an engine that pulls, without the rest, and an image to pull with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.images import Images
from proa.engine.images.load import Loader
from proa.engine.images.progress import Progress
from proa.engine.images.pull import Puller
from proa.engine.images.push import Pushed, Pusher
from proa.engine.images.save import Saver
from proa.ids import short
from proa.registry import Registry
from proa.registry.requests import Patience
from proa.snapshots import Layers
from proa.snapshots.layers import NAME_LENGTH
from rig import images
from rig.images import Image
from rig.trees import Tree

QUICK = Patience(attempts=3, first_delay=0.01, longest_delay=0.05)
NOISE = os.urandom(600_000)


class Stage:
    """The part of an engine that pulls."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = Database(root / "proa.db")
        self.content = ContentStore(root / "blobs")
        self.layers = Layers(root / "layers")
        self.events = Events()
        self.images = Images(self.database, self.content, self.layers, self.events, tuple)
        self.places = root / "places"
        self.registry = Registry(
            patience=QUICK, stall_timeout=0.5, certificates=root / "certs.d", places=[self.places]
        )
        self.puller = Puller(
            images=self.images,
            database=self.database,
            events=self.events,
            content=self.content,
            layers=self.layers,
            registry=self.registry,
            max_concurrent_downloads=3,
        )
        parts: dict[str, Any] = {"images": self.images, "content": self.content}
        self.pusher = Pusher(events=self.events, registry=self.registry, max_concurrent_uploads=2, **parts)
        self.saver = Saver(**parts)
        self.loader = Loader(database=self.database, layers=self.layers, **parts)

    async def pull(self, name: str, **options: Any) -> list[Progress]:
        said: list[Progress] = []
        await self.puller.pull(name, progress=said.append, **options)
        return said

    async def push(self, name: str, **options: Any) -> tuple[list[Progress], list[Pushed]]:
        said: list[Progress] = []
        pushed: list[Pushed] = []
        await self.pusher.push(name, progress=said.append, pushed=pushed.append, **options)
        return said, pushed

    async def save(self, *names: str, platform: str = "") -> bytes:
        async with self.saver.save(names, platform) as pieces:
            return b"".join([piece async for piece in pieces])

    async def load(self, archive: bytes, **options: Any) -> list[str]:
        """What the load tells."""
        told: list[str] = []
        await self.loader.load(_pieces(archive), tell=told.append, **options)
        return told

    async def close(self) -> None:
        self.puller.close()
        await self.registry.close()
        self.layers.close()
        self.database.close()

    def trace(self) -> tuple[list[str], list[str], list[str]]:
        """What there is of images: their names and identifiers, blobs, and layers."""
        images = [text for image in self.images.store.all() for text in (image.id, *image.names)]
        blobs = sorted(digest for digest, _ in self.content.walk())
        layers = sorted(path.name for path in self.layers.root.iterdir() if len(path.name) == NAME_LENGTH)
        assert len(layers) == len(self.images.store.layers.all())
        return sorted(images), blobs, layers

    def unfinished(self) -> list[str]:
        """What a pull that has ended must not leave."""
        return sorted(path.name for path in (self.root / "layers/.new").iterdir())

    def partials(self) -> list[int]:
        sizes = []
        for path in (self.root / "blobs/ingest").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just become a blob
                sizes.append(path.stat().st_size)
        return sizes


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]


def three_layers(**options: Any) -> Image:
    return images.build(
        [
            images.layer(Tree().directory("etc").file("etc/a", "1").file("noise", NOISE)),
            images.layer(Tree().file("etc/a", "2").whiteout("noise"), "zstd"),
            images.layer(Tree().file("b", "3"), ""),
        ],
        {"Labels": {"kind": "test"}},
        **options,
    )


def words(said: list[Progress], identifier: str) -> list[str]:
    """The statuses of one layer without repetitions."""
    found: list[str] = []
    for progress in said:
        if progress.id == identifier and progress.status not in found[-1:]:
            found.append(progress.status)
    return found


def layer_ids(image: Image) -> list[str]:
    return [short(digest) for digest in image.blobs if digest != image.config_digest]


def big_blob(image: Image) -> str:
    """The digest of the blob that holds NOISE."""
    return max(image.blobs, key=lambda digest: len(image.blobs[digest]))
