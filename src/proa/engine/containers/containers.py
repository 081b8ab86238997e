"""All containers of an engine: the table of contents of this package, a verb a line.

Methods take a full id, a name or a unique prefix. Each verb's own module says what it does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from proa import cgroups, wording
from proa.archive.diff import Change
from proa.engine import names, resources
from proa.engine.containers import (
    archive,
    attach,
    batch,
    changes,
    commit,
    create,
    egress_update,
    ending,
    files,
    links,
    remove,
    rename,
    republish,
    start,
    stop,
    top,
    update,
)
from proa.engine.containers.archive import PathStat
from proa.engine.containers.batch import Completed
from proa.engine.containers.execs import Execs
from proa.engine.containers.holding import Holds
from proa.engine.containers.launching import Launcher
from proa.engine.containers.probing import Probing
from proa.engine.containers.publishing import Publishing
from proa.engine.containers.restarts import Restarts
from proa.engine.containers.run import Run
from proa.engine.containers.shims import ShimConnection, ShimError, ShimGone
from proa.engine.containers.stats import Sample, Sampling
from proa.engine.containers.steady import Steady
from proa.engine.containers.store import ContainerStore
from proa.engine.containers.streams import Streams
from proa.engine.containers.wait import Waiters
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.commit import Committer
from proa.engine.images.images import Images
from proa.engine.logs.destination import log_path
from proa.engine.logs.reading import LogLine, LogRequest, lines, pieces
from proa.engine.networks import connect
from proa.engine.networks import remove as remove_network
from proa.engine.networks.egress import EgressRules
from proa.engine.networks.networks import Networks
from proa.engine.networks.resolution import Resolution
from proa.engine.options import ContainerOptions, Egress, EndpointOptions, PortBinding, Resources, RestartPolicy
from proa.engine.records import Container, Status
from proa.engine.requests import AttachRequest, Created, ExitStatus
from proa.engine.runtimes import Runtimes
from proa.engine.security import Filters
from proa.engine.settings import Settings
from proa.engine.volumes.volumes import Volumes
from proa.network.default_bridge import DefaultBridge
from proa.network.isolated import IsolatedPool
from proa.snapshots.layers import Layers
from proa.snapshots.trash import Trash

_log = logging.getLogger(__name__)


class Containers:
    """The containers and what their verbs need of the rest of the engine."""

    def __init__(
        self,
        *,
        settings: Settings,
        runtimes: Runtimes,
        database: Database,
        events: Events,
        layers: Layers,
        volumes: Volumes,
        networks: Networks,
        bridge: DefaultBridge,
        isolated: IsolatedPool,
        resolution: Resolution,
        egress: EgressRules,
        launcher: Launcher,
        trash: Trash,
    ) -> None:
        self.settings = settings
        self.database = database
        self.store = ContainerStore(database)
        self.events = events
        self.layers = layers
        self.volumes = volumes
        self.networks = networks
        self.bridge = bridge
        self.isolated = isolated
        self.resolution = resolution
        self.egress = egress
        self.launcher = launcher
        self.trash = trash
        # Set by the engine: images ask back which containers there are.
        self.images: Images
        self.committer: Committer
        self.publishing: Publishing
        self.runtimes = runtimes
        self.filters = Filters(settings.exec_root / "seccomp")
        self.waiters = Waiters()
        self.runs: dict[str, Run] = {}
        self.holds = Holds(self)
        self.steady = Steady(self)
        self.execs = Execs(self)
        self.probing = Probing(self)
        self.restarts = Restarts(self)
        self.sampling = Sampling(self)
        self.cgroup_version = cgroups.detect()
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self.host = Path("/proc/sys/kernel/hostname")

    # --- verbs ------------------------------------------------------------------------------------------

    async def create(
        self, options: ContainerOptions, name: str = "", request: dict[str, Any] | None = None
    ) -> Created:
        return await create.create(self, options, name, request or {})

    def get(self, name: str) -> Container:
        return self.store.get(name)

    def all(self) -> Sequence[Container]:
        return list(self.store)

    async def start(self, name: str) -> None:
        record = self.get(name)
        async with self.lock(record):
            await start.start(self, record)

    async def stop(self, name: str, timeout: int | None = None, signal: str = "") -> None:
        await stop.stop(self, self.get(name), timeout, signal)

    async def restart(self, name: str, timeout: int | None = None, signal: str = "") -> None:
        record = self.get(name)
        if record.active:
            await stop.stop(self, record, timeout, signal)
        async with self.lock(record):
            await start.start(self, record)
        self.emit("restart", record)

    async def kill(self, name: str, signal: str = "") -> None:
        number = names.parse_signal(signal or "SIGKILL")  # before the container is looked for, as dockerd does
        await stop.kill(self, self.get(name), number)

    def wait(self, name: str, condition: str = "not-running") -> asyncio.Future[ExitStatus]:
        return self.waiters.add(self.get(name), condition)

    async def remove(self, name: str, force: bool = False, volumes: bool = False) -> None:
        await remove.remove(self, self.get(name), force=force, volumes=volumes)

    def rename(self, name: str, new_name: str) -> None:
        rename.rename(self, self.get(name), new_name)

    async def update(self, name: str, changes: Resources, policy: RestartPolicy | None = None) -> list[str]:
        """Change limits (what `changes` leaves at its default stays) and the restart policy; return warnings."""
        resources.validate_limits(changes)
        return await update.update(self, self.get(name), changes, policy)

    async def change_ports(self, name: str, add: list[PortBinding], remove: list[PortBinding]) -> None:
        await republish.change(self, self.get(name), add, remove)

    async def change_egress(self, name: str, wanted: Egress) -> None:
        await egress_update.change(self, self.get(name), wanted)

    async def pause(self, name: str) -> None:
        await stop.pause(self, self.get(name))

    async def unpause(self, name: str) -> None:
        await stop.unpause(self, self.get(name))

    async def resize(self, name: str, rows: int, columns: int) -> None:
        await attach.resize(self, self.get(name), rows, columns)

    async def top(self, name: str, ps_args: str) -> tuple[list[str], list[list[str]]]:
        record = self.get(name)
        found = await top.top(self, record, ps_args)
        self.emit("top", record)
        return found

    def stats(self, name: str) -> AsyncGenerator[Sample]:
        """Yield what a container uses, now and each second, until it is removed. Close the iteration."""
        return self.sampling.samples(self.get(name))

    async def attach(self, name: str, client: int, request: AttachRequest) -> None:
        await attach.attach(self, self.get(name), client, request)

    async def streams(self, name: str, *, stdin: bool = False) -> Streams:
        """Attach to a container, before its start or after it, as a caller in this process."""
        return await attach.streams(self, self.get(name), stdin=stdin)

    async def run(self, options: ContainerOptions, input: bytes | None = None) -> Completed:
        """Run a container to its end and remove it; see `batch.run`."""
        return await batch.run(self, options, input)

    async def path_status(self, name: str, path: str) -> PathStat:
        """Say what a path in a container is."""
        return await archive.status(self, self.get(name), path)

    def read_archive(
        self, name: str, path: str
    ) -> AbstractAsyncContextManager[tuple[PathStat, AsyncIterator[bytes]]]:
        """Give what a path is and the archive of it, as a context."""
        return archive.read(self, self.get(name), path)

    async def write_archive(
        self,
        name: str,
        path: str,
        chunks: AsyncIterable[bytes],
        *,
        keep_kinds: bool = False,
        as_user: bool = False,
    ) -> None:
        """Unpack an archive into a directory of a container; see `archive.write`."""
        await archive.write(self, self.get(name), path, chunks, keep_kinds=keep_kinds, as_user=as_user)

    def export(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Give a container's whole root as an archive, as a context."""
        return archive.export(self, self.get(name))

    def logs(self, name: str, request: LogRequest) -> AsyncGenerator[LogLine]:
        return lines(self.log_pieces(name, request))

    def log_pieces(self, name: str, request: LogRequest) -> AsyncGenerator[list[LogLine]]:
        record = self.get(name)
        path = log_path(self.directory(record), record.id, record.options)
        if path is None:
            raise wording.log_not_readable()
        return pieces(path, request, lambda: record.running)

    async def changes(self, name: str) -> Sequence[Change]:
        return await changes.of(self, self.get(name))

    async def size_rw(self, name: str) -> int:
        return (await self.sizes_rw([self.get(name)]))[0]

    async def sizes_rw(self, records: Sequence[Container]) -> list[int]:
        """Return what each container's own layer holds, in bytes."""
        return await changes.sizes_rw(self, records)

    async def commit(self, name: str, **options: Any) -> str:
        return await commit.commit(self, self.get(name), **options)

    def remove_link(self, name: str) -> None:
        """Forget a link, called "container/alias"."""
        record, alias = links.remove(self, name)
        if record.running:
            files.tell_of_link(self, record, alias)

    async def connect(self, network: str, name: str, wishes: EndpointOptions | None = None) -> None:
        """Give a container a place on one more network."""
        await connect.connect(self, self.networks.get(network), self.get(name), wishes)

    async def disconnect(self, network: str, name: str, *, force: bool = False) -> None:
        """Take a container from a network."""
        await connect.disconnect(self, connect.place_to_leave(self, network, name, force), name, force=force)

    async def remove_network(self, name: str) -> None:
        """Remove a network that no container is on."""
        await remove_network.remove(self, self.networks.get(name))

    async def prune_networks(self, filters: Mapping[str, Collection[str]]) -> list[str]:
        """Remove all networks that no container is on; return their names."""
        return await remove_network.prune(self, filters)

    # --- what verbs share -------------------------------------------------------------------------------

    def lock(self, record: Container) -> asyncio.Lock:
        """Held by verbs that must not run twice at once for one container."""
        return self._locks.setdefault(record.id, asyncio.Lock())

    def connection(self, record: Container) -> ShimConnection:
        """Return the shim of a container that runs; raises `Conflict` for one that does not."""
        if record.state.status is Status.RESTARTING:
            raise wording.restarting(record.id)
        self.deliver(record.id)  # it may have ended already
        run = self.runs.get(record.id)
        if not record.running or run is None or run.connection is None:
            raise wording.not_running(record.id)
        return run.connection

    async def ask(self, record: Container, operation: str, **arguments: Any) -> Any:
        """Let the shim of a container do something; raises `Conflict` if it does not run or ends meanwhile."""
        try:
            return await self.connection(record).request(operation, **arguments)
        except (ShimGone, ShimError):
            if not record.running:
                raise wording.not_running(record.id) from None
            raise

    def directory(self, record: Container) -> Path:
        """Where a container's files are: on disk, or in the memory of its shim if it is ephemeral."""
        run = self.runs.get(record.id)
        return Path(run.memory) if run and run.memory else self.settings.container_directory(record.id)

    def cgroup_path(self, record: Container) -> str:
        parent = record.options.cgroup_parent or self.settings.cgroup_parent
        return f"{os.path.normpath('/' + parent.lstrip('/')).rstrip('/')}/{record.id}"

    def emit(self, action: str, record: Container, **attributes: str) -> None:
        """Tell of a container, with the attributes that Docker gives every event of one."""
        own = {**record.options.labels, "image": record.options.image, "name": record.name}
        self.events.emit("container", action, record.id, {**own, **attributes})

    def deliver(self, identifier: str) -> None:
        """Handle what the shim has said meanwhile: a program may have ended before its start is recorded."""
        run = self.runs.get(identifier)
        if run and run.connection:
            run.connection.drain()

    def on_event(self, identifier: str, event: dict[str, Any]) -> None:
        ending.on_event(self, identifier, event)

    def on_lost(self, identifier: str) -> None:
        ending.on_lost(self, identifier)

    async def remove_now(self, record: Container, *, volumes: bool) -> None:
        await remove.remove_now(self, record, volumes=volumes)

    async def remove_ended(self, record: Container) -> None:
        await remove.remove_ended(self, record)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that nobody waits for, and see it through."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("background work failed", exc_info=error)

    async def close(self) -> None:
        """Leave all containers to their shims."""
        self.restarts.close()
        self.sampling.close()
        await self.probing.close()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.settle()
        for run in self.runs.values():
            run.close()
