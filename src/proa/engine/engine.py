"""The engine: its parts put together, opened and closed in the right order.

    async with Engine.open(Settings(data_root=…)) as engine:
        created = await engine.containers.create(ContainerOptions(image="busybox", command=["true"]))

It runs in the event loop of the caller; `proad` serves one over HTTP. Containers do not depend on it: they
run on when it closes, or is killed, and the next one adopts them.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from proa import cgroups
from proa.content import ContentStore
from proa.engine.containers import adopt, mountpoints, sealing
from proa.engine.containers.containers import Containers
from proa.engine.containers.launching import Launcher
from proa.engine.containers.publishing import Publishing
from proa.engine.containers.snapshots import Snapshots
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images import verify
from proa.engine.images.commit import Committer
from proa.engine.images.images import Images
from proa.engine.images.import_ import Importer
from proa.engine.images.lists import Lists
from proa.engine.images.load import Loader
from proa.engine.images.pull import Puller
from proa.engine.images.push import Pusher
from proa.engine.images.save import Saver
from proa.engine.images.verify import Verifier
from proa.engine.name_service import NameService
from proa.engine.networks import attach, mending
from proa.engine.networks.egress import EgressRules
from proa.engine.networks.guard import Guard
from proa.engine.networks.networks import Networks
from proa.engine.networks.resolution import Resolution
from proa.engine.records import EndpointRecord
from proa.engine.runtimes import Runtimes
from proa.engine.settings import Settings
from proa.engine.volumes.copies import VolumeCopies
from proa.engine.volumes.volumes import Volumes
from proa.errors import Conflict, Forbidden
from proa.network.default_bridge import DefaultBridge
from proa.network.default_bridge import names as bridge_names
from proa.network.isolated import IsolatedPool
from proa.network.ports import Ports
from proa.network.subnets import DEFAULT_POOLS, USER_POOLS, Pool
from proa.registry import Registry
from proa.snapshots.layers import Layers
from proa.snapshots.trash import Trash

_log = logging.getLogger(__name__)


class Engine:
    """The parts of one engine. Make one with `open`, which also sets it going."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runtimes = Runtimes(settings.runtimes, settings.default_runtime)
        root = settings.data_root
        root.mkdir(mode=0o710, parents=True, exist_ok=True)
        self._lock = _lock(root)
        (settings.exec_root / "rootfs").mkdir(mode=0o711, parents=True, exist_ok=True)
        (settings.exec_root / "containers").mkdir(mode=0o700, exist_ok=True)
        self.database = Database(settings.database)
        self.events = Events()
        self.trash = Trash(root / "trash")
        self.content = ContentStore(root / "blobs")
        self.layers = Layers(root / "layers", self.trash)
        pools = [Pool(ip_network(pool.base), pool.size) for pool in settings.default_address_pools]
        self.networks = Networks(
            self.database, self.events, pools or USER_POOLS, settings.ip, settings.default_network_options
        )
        name, table = bridge_names(root)
        self.bridge = DefaultBridge(
            name=settings.bridge or name,
            table=table,
            state_file=root / "bridge.json",
            bip=settings.bip,
            mtu=settings.mtu,
            network_id=self.networks.get("bridge").id,
            pools=[pool for pool in pools if pool.base.version == 4] or DEFAULT_POOLS,
        )
        self.isolated = IsolatedPool()
        self.names = NameService(settings.exec_root)
        self.resolution = Resolution(self.names, self.networks, settings, lambda: self.containers.all())
        self.egress = EgressRules(lambda: self.containers)
        self.names.on_refused = self.egress.heard
        self.networks.companions += [self.egress, self.resolution]
        self.launcher = Launcher(settings.cgroup_parent)
        self.volumes = Volumes(
            root / "volumes", self.database, self.events, self.trash, lambda: self.containers.all()
        )
        self.volume_copies = VolumeCopies(self.volumes)
        self.containers = Containers(
            settings=settings,
            runtimes=self.runtimes,
            database=self.database,
            events=self.events,
            layers=self.layers,
            volumes=self.volumes,
            networks=self.networks,
            bridge=self.bridge,
            isolated=self.isolated,
            resolution=self.resolution,
            egress=self.egress,
            launcher=self.launcher,
            trash=self.trash,
        )
        self.ports = Ports(table)
        self.containers.publishing = Publishing(self.containers, self.ports)
        self.networks.companions.append(self.containers.publishing)
        self.guard = Guard(
            self.bridge.site, self.ports, self.bridge.name, warn=self._warn, restored=self._tell_of_restoring
        )
        self.registry = Registry(
            mirrors=settings.registry_mirrors,
            insecure=settings.insecure_registries,
            places=settings.registry_config_dirs,
        )
        self.images = Images(self.database, self.content, self.layers, self.events, lambda: self.containers.all())
        self.puller = Puller(
            images=self.images,
            database=self.database,
            events=self.events,
            content=self.content,
            layers=self.layers,
            registry=self.registry,
            max_concurrent_downloads=settings.max_concurrent_downloads,
        )
        self.verifier = Verifier(
            verify.Parts(
                images=self.images,
                content=self.content,
                layers=self.layers,
                layer_puller=self.puller.layer_puller,
                registry=self.registry,
                containers=lambda: self.containers.all(),
            )
        )
        self.importer = Importer(
            images=self.images, database=self.database, content=self.content, layers=self.layers
        )
        self.pusher = Pusher(
            images=self.images,
            events=self.events,
            content=self.content,
            registry=self.registry,
            max_concurrent_uploads=settings.max_concurrent_uploads,
        )
        self.lists = Lists(self.registry)
        self.saver = Saver(images=self.images, content=self.content)
        self.loader = Loader(images=self.images, database=self.database, content=self.content, layers=self.layers)
        self.containers.images = self.images
        self.containers.committer = Committer(
            images=self.images, database=self.database, content=self.content, layers=self.layers
        )
        self.execs = self.containers.execs
        self.snapshots = Snapshots(self.containers)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings | None = None) -> AsyncIterator[Engine]:
        """Open an engine: adopt running containers, sweep what a killed engine left, set up the network."""
        if os.geteuid() != 0:
            raise Forbidden("the engine needs root", hint="start proad as root")
        engine = cls(settings or Settings())
        try:
            await engine.start()
            yield engine
        finally:
            await engine.close()

    async def start(self) -> None:
        """Take up the state that the disk and the running shims have."""
        self.launcher.start()
        self.isolated.start()
        sealing.recover(self.containers)
        self.images.sweep()
        for warning in self.registry.warnings():
            _log.warning(warning)
        for chain_id in await self.puller.repair():
            _log.warning("layer %s was lost; pull its images again", chain_id)
        await adopt.adopt(self.containers)
        await mountpoints.recover(self.containers)
        await asyncio.to_thread(self.networks.setup, self.bridge, self._places())
        self.networks.describe_bridge(self.bridge)
        self._notices = self.settings.notices
        self._warn(self.bridge.warnings)
        self.guard.start(self.bridge.warnings)
        await mending.mend(self.containers)
        await self.containers.publishing.settle()
        attach.resume(self.containers)
        await self.egress.mend()
        await self.resolution.start()
        self.containers.restarts.begin()
        self.trash.empty()

    async def close(self) -> None:
        """Stop serving; containers run on."""
        await self.containers.close()
        await self.names.close()
        await self.launcher.close()
        await asyncio.to_thread(self.isolated.close)
        self.events.close()
        await self.puller.stop()
        await self.pusher.stop()
        self.puller.close()
        await self.registry.close()
        # Networks that nobody is on go with the engine; another start makes them anew in 20 ms.
        busy = frozenset(endpoint.network_id for endpoint in self._places())
        await self.guard.stop()
        await asyncio.to_thread(self.ports.close)
        await asyncio.to_thread(self.networks.close, busy)
        await asyncio.to_thread(self.bridge.close if busy else self.bridge.teardown)
        if not any(record.running for record in self.containers.all()):
            cgroups.remove_parent(f"/{self.settings.cgroup_parent.strip('/')}")
        self.layers.close()
        self.trash.close()
        self.database.close()
        os.close(self._lock)

    def _warn(self, warnings: list[str]) -> None:
        """Have `info` warn of what is in the way on this host."""
        self.settings.notices = list(dict.fromkeys([*self._notices, *(f"WARNING: {each}" for each in warnings)]))

    def _tell_of_restoring(self) -> None:
        self.networks.emit("restore", self.networks.get("bridge"))

    def _places(self) -> list[EndpointRecord]:
        """Return the endpoints of running containers."""
        return [
            endpoint
            for record in self.containers.all()
            if record.running
            for endpoint in record.endpoints.values()
            if endpoint.address or endpoint.address6
        ]


def _lock(root: Path) -> int:
    """Claim a data root for this process; raises `Conflict` if another engine has it."""
    fd = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Conflict(
            f"the data root {root} is in use by another engine", hint="stop it, or choose another --data-root"
        ) from None
    return fd
