"""`rmi` on real stores, killed at every file it takes away: the next start leaves an image whole or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proa.archive.unpack import Unpacked
from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.image import Layer
from proa.engine.images.images import Images
from proa.oci import digest as digests
from proa.oci.image_config import ImageConfig, chain_ids
from proa.oci.reference import Reference
from proa.snapshots.layers import Layers

pytestmark = pytest.mark.root

KILLED = """
import os, signal, sys
from pathlib import Path
from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.images import Images
from proa.snapshots.layers import Layers

root, deadly, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
armed = False

def trace(event, arguments):
    global count
    if event == deadly and armed:
        count -= 1
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(trace)
images = Images(
    Database(root / "proa.db"), ContentStore(root / "blobs"), Layers(root / "layers"), Events(), tuple
)
armed = True
images.remove("app")
"""


def _unpacked(diff_id: str, blob: str) -> Unpacked:
    return Unpacked(digest=blob, diff_id=diff_id, blob_size=1, size=1, entries=1, implied=(), warnings=())


class Stores:
    """The stores of an engine, opened as it does at its start."""

    def __init__(self, root: Path) -> None:
        self.database = Database(root / "proa.db")
        self.content = ContentStore(root / "blobs")
        self.layers = Layers(root / "layers")
        self.images = Images(self.database, self.content, self.layers, Events(), tuple)

    def close(self) -> None:
        self.layers.trash.flush()
        self.layers.close()
        self.database.close()

    def make(self, name: str, *words: str) -> str:
        """Record an image with a layer for each word, the blob of which has the word as well."""
        diff_ids = [digests.of(word.encode()) for word in words]
        parent = ""
        for word, diff_id, chain_id in zip(words, diff_ids, chain_ids(diff_ids), strict=True):
            blob = self.content.put(f"blob of {word}".encode())
            if not self.layers.has(chain_id):
                directory = self.layers.prepare(chain_id)
                (directory / word).write_text(word)
                self.layers.commit(directory, chain_id, parent, _unpacked(diff_id, blob))
            layer = Layer(chain_id=chain_id, diff_id=diff_id, parent=parent, size=1, blob_digest=blob)
            self.images.store.layers.register(layer)
            parent = chain_id
        config = ImageConfig({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, "author": name})
        image_id = self.images.store.put(config)
        self.images.store.tag(Reference.parse(name), image_id)
        return image_id

    def check(self) -> list[str]:
        """Assert that records and files agree; return the names of the images there are."""
        live = [layer.chain_id for layer in self.images.store.layers.all()]
        assert self.layers.sweep(live) == []
        assert {digest for digest, _ in self.content.walk()} == self.images.store.blobs()
        needed = {chain_id for image in self.images.list() for chain_id in image.layers}
        assert needed == set(live)
        for chain_id in needed:
            assert any(self.layers.directory(chain_id).iterdir())
        return sorted(name for image in self.images.list() for name in image.names)


@pytest.mark.parametrize("deadly", ["os.rename", "os.remove"])
def test_killed_at_any_file(tmp_path: Path, deadly: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    kills = 0
    for count in range(12):
        stores = Stores(tmp_path)
        stores.make("kept", "base", "other")
        stores.make("app", "base", "middle", "top")
        stores.close()
        arguments = [sys.executable, "-c", KILLED, str(tmp_path), deadly, str(count)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        stores = Stores(tmp_path)
        for digest, _ in stores.content.walk():  # young ones are left to pulls that may be taken up
            os.utime(stores.content.path(digest), (0, 0))
        stores.images.sweep()
        assert stores.check() == ["kept:latest"]  # its records went before the first of its files
        stores.close()
        if done.returncode == 0:
            break
        kills += 1
    assert kills >= 2, "two layers and three blobs are there to be removed"
