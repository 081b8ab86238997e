"""The images, volumes and networks of the engine in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from proa import ids, wording
from proa.engine.events import Events
from proa.engine.images.history import HistoryItem
from proa.engine.images.image import Image, Layer
from proa.engine.images.progress import Progress, Report
from proa.engine.images.push import Pushed
from proa.engine.images.remove import Removed
from proa.engine.networks.options import NetworkOptions
from proa.engine.networks.records import Network, Subnet
from proa.errors import Conflict, Unavailable
from proa.oci.image_config import ImageConfig

DIFF_ID = "sha256:" + "d" * 64
BUSYBOX = ImageConfig(
    {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"vendor": "us"}},
        "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "ADD rootfs"}],
    }
)


class FakeImages:
    def __init__(self) -> None:
        self.images: list[Image]
        layers = [Layer(chain_id=DIFF_ID, diff_id=DIFF_ID, size=1000)]
        self.store: Any = SimpleNamespace(
            layers=SimpleNamespace(
                of_image=lambda image_id: layers,
                all=lambda: layers if self.images else [],
                sizes=lambda: {layer.chain_id: layer.size for layer in layers},
            ),
            sizes=lambda: {image.id: image.size for image in self.images},
        )
        self.images = [
            Image(
                id=BUSYBOX.digest,
                config=BUSYBOX,
                layers=[DIFF_ID],
                size=1000,
                names=["busybox:latest"],
                repo_digests=["busybox@sha256:" + "a" * 64],
            )
        ]
        self.steps: list[Progress] = []
        self.failure: Exception | None = None
        self.pulls: list[tuple[str, dict[str, Any]]] = []
        self.imported = b""
        self.loaded = b""
        self.options: dict[str, Any] = {}
        self.hold: asyncio.Event | None = None
        self.cancelled = False

    def get(self, name: str, platform: str = "") -> Image:
        for image in self.images:
            if name in (image.id, *image.names, *(each.removesuffix(":latest") for each in image.names)):
                return image
        raise wording.no_such_image(name)

    def list(self, filters: Mapping[str, Any] | None = None, all: bool = False) -> Sequence[Image]:
        return self.images

    def tag(self, source: str, target: str) -> None:
        self.get(source).names.append(target)

    def history(self, name: str) -> Sequence[HistoryItem]:
        return [HistoryItem(id=self.get(name).id, created=1, created_by="ADD rootfs", size=1000)]

    def remove(self, name: str, force: bool = False, noprune: bool = False) -> Sequence[Removed]:
        image = self.get(name)
        self.images.remove(image)
        return [Removed(untagged=name), Removed(deleted=image.id)]

    async def pull(self, name: str, *, progress: Report, **options: Any) -> None:
        self.pulls.append((name, options))
        for step in self.steps:
            progress(step)
            await asyncio.sleep(0)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if self.failure is not None:
            raise self.failure

    async def import_(self, source: Any, **options: Any) -> str:
        async for chunk in source:
            self.imported += chunk
        return "sha256:" + "b" * 64

    async def push(self, name: str, *, progress: Report, pushed: Callable[[Pushed], None], **options: Any) -> None:
        self.options = {"name": name, **options}
        for step in self.steps:
            progress(step)
        if self.failure is not None:
            raise self.failure
        pushed(Pushed(tag="1", digest="sha256:" + "a" * 64, size=527))

    @asynccontextmanager
    async def save(self, names: Sequence[str], platform: str = "") -> AsyncIterator[AsyncIterator[bytes]]:
        found = [self.get(name) for name in names]

        async def pieces() -> AsyncIterator[bytes]:
            for image in found:
                yield f"{image.id} {platform};".encode()

        yield pieces()

    async def load(
        self, source: Any, *, progress: Report, tell: Callable[[str], None], **options: Any
    ) -> Sequence[str]:
        self.loaded, self.options = b"".join([chunk async for chunk in source]), options
        for step in self.steps:
            progress(step)
        if self.failure is not None:
            raise self.failure
        tell("Loaded image: busybox:latest")
        return [BUSYBOX.digest]


class FakeVolumes:
    def __init__(self) -> None:
        self.volumes: dict[str, Any] = {}

    def create(self, name: str, driver: str, driver_options: dict[str, str], labels: dict[str, str]) -> Any:
        if driver != "local":
            raise Unavailable(f'plugin "{driver}" not found')
        volume = SimpleNamespace(
            name=name or ids.new_id(),
            driver=driver,
            options=driver_options,
            labels=labels,
            created=1_700_000_000_000_000_000,
            anonymous=not name,
        )
        return self.volumes.setdefault(volume.name, volume)

    def get(self, name: str) -> Any:
        if name not in self.volumes:
            raise wording.no_such_volume(name)
        return self.volumes[name]

    def list(self, filters: Any = None) -> Sequence[Any]:
        return list(self.volumes.values())

    def users(self, name: str) -> Sequence[str]:
        return []

    def remove(self, name: str, force: bool = False) -> None:
        if self.volumes.pop(name, None) is None and not force:
            raise wording.no_such_volume(name)

    def mountpoint(self, name: str) -> Path:
        return Path("/volumes") / name / "_data"


class FakeNetworks:
    """Records only; what the engine does with them is its own code."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._networks = [
            Network(id=character * 64, name=name, driver=driver, created=1, subnets=subnets)
            for character, name, driver, subnets in (
                ("1", "bridge", "bridge", [Subnet(subnet="172.17.0.0/16")]), ("2", "host", "host", []),
                ("3", "none", "null", []),
            )
        ]  # fmt: skip
        self.lock = asyncio.Lock()
        self.arriving: Counter[str] = Counter()

    def all(self) -> Sequence[Network]:
        return list(self._networks)

    def find(self, name: str) -> Network | None:
        return next((network for network in self._networks if name in (network.name, network.id)), None)

    named = find

    def get(self, name: str) -> Network:
        if network := self.find(name):
            return network
        raise wording.no_such_network(name)

    async def create(self, wanted: NetworkOptions) -> Network:
        if self.find(wanted.name):
            raise Conflict(f"network with name {wanted.name} already exists")
        network = Network(id=ids.new_id(), name=wanted.name, driver=wanted.driver or "bridge", created=2)
        network.labels = wanted.labels
        self._networks.append(network)
        return network

    def forget(self, network: Network) -> None:
        self._networks.remove(network)

    def bring_down(self, network: Network) -> None:
        """Nothing is up."""

    def emit(self, action: str, network: Network) -> None:
        self._events.emit("network", action, network.id, {"name": network.name, "type": network.driver})
