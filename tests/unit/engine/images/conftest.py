"""Images without files: a database, blobs in a dictionary, layers as a set of names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proa.engine.database import Database
from proa.engine.images.image import Layer
from proa.engine.images.store import ImageStore
from proa.oci import digest as digests
from proa.oci.image_config import ImageConfig, chain_ids
from proa.oci.reference import Reference


class MemoryBlobs:
    """Stands for the content store: what lies in it is all that matters here."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.data[digests.of(data)] = data
        return digests.of(data)

    def read(self, digest: str) -> bytes:
        return self.data[digest]

    def remove(self, digest: str) -> None:
        self.data.pop(digest, None)

    def collect(self, live: set[str]) -> None:
        self.data = {digest: data for digest, data in self.data.items() if digest in live}


class MemoryLayers:
    """Stands for the snapshots' layers: which ones exist."""

    def __init__(self) -> None:
        self.present: set[str] = set()

    def remove(self, chain_id: str) -> None:
        self.present.discard(chain_id)

    def sweep(self, live: set[str]) -> None:
        self.present &= live


@dataclass
class Rig:
    """A store, and how tests fill it."""

    database: Database
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    layers: MemoryLayers = field(default_factory=MemoryLayers)
    time: int = 1_700_000_000_000_000_000

    def __post_init__(self) -> None:
        self.store = ImageStore(self.database, self.blobs, clock=lambda: self.time)

    def config(self, *diffs: str, created: str = "2024-05-06T07:08:09Z", **fields: Any) -> ImageConfig:
        return ImageConfig(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": created,
                "rootfs": {"type": "layers", "diff_ids": [digests.of(diff.encode()) for diff in diffs]},
                **fields,
            }
        )

    def image(self, *diffs: str, names: tuple[str, ...] = (), parent: str = "", **fields: Any) -> str:
        """Record an image with a layer for each of `diffs`, ten bytes a letter; return its identifier."""
        config = self.config(*diffs, **fields)
        below = ""
        for diff, diff_id, chain_id in zip(diffs, config.diff_ids, chain_ids(config.diff_ids), strict=True):
            blob = self.blobs.put(f"blob of {diff}".encode())
            self.layers.present.add(chain_id)
            self.store.layers.register(
                Layer(chain_id=chain_id, diff_id=diff_id, parent=below, size=10 * len(diff), blob_digest=blob)
            )
            below = chain_id
        image_id = self.store.put(config, parent=parent)
        for name in names:
            reference = Reference.parse(name)
            if reference.digest:
                self.store.add_digest(reference, reference.digest, image_id)
            else:
                self.store.tag(reference, image_id)
        return image_id


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    database = Database(tmp_path / "proa.db")
    yield Rig(database)
    database.close()
