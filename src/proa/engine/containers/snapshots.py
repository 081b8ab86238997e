"""Snapshots: what a container has written at one moment, kept to go back to (`rewind`) or to copy (`fork`).

They are the container's and go with it; their layers stay as long as a copy needs them. Volumes are no part of
them, nor are processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proa import ids, times
from proa.engine.containers import fork, sealing
from proa.engine.containers.fork import Forked
from proa.engine.names import is_name
from proa.engine.records import Container, Snapshot
from proa.errors import Conflict, InvalidArgument

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


_REMEMBERED = 10_000  # sizes of sealed layers, also of those that are gone


class Snapshots:
    """What is done with the writable layers of containers. Methods take a full id, a name or a unique prefix."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._sizes: dict[str, int] = {}  # bytes, of sealed layers: they never change

    def list(self, container: str) -> Sequence[Snapshot]:
        """Return the snapshots of a container, the oldest first."""
        return self._containers.get(container).snapshots

    async def take(self, container: str, name: str = "") -> Snapshot:
        """Keep what a container has written. Raises `Conflict` for a taken name and where nothing can be kept."""
        return await _take(self._containers, self._containers.get(container), name)

    async def remove(self, container: str, name: str) -> None:
        """Forget a snapshot; what only it needs goes. Raises `NotFound`."""
        await _remove(self._containers, self._containers.get(container), name)

    async def rewind(self, container: str, name: str) -> None:
        """Let a container that does not run have what it had at a snapshot; what it wrote since is lost."""
        await _rewind(self._containers, self._containers.get(container), name)

    async def fork(
        self, container: str, count: int = 1, prefix: str = "", snapshot: str = "", *, start: bool = False
    ) -> Sequence[Forked]:
        """Make copies of a container as it is now, or was at a snapshot; see `fork.py`."""
        record = self._containers.get(container)
        return await fork.fork(self._containers, record, count, prefix=prefix, snapshot=snapshot, start=start)

    async def size(self, layers: Sequence[str]) -> int:
        """Return the bytes in sealed layers, counted the first time."""
        if len(self._sizes) > _REMEMBERED:
            self._sizes.clear()
        for layer in layers:
            if layer not in self._sizes:
                self._sizes[layer] = await asyncio.to_thread(self._containers.layers.size, layer)
        return sum(self._sizes[layer] for layer in layers)


async def _take(containers: Containers, record: Container, name: str) -> Snapshot:
    async with containers.lock(record):
        await sealing.ready(containers, record, "snapshot")
        name = _name(record, name)
        sealed = await sealing.seal(containers, record)
        snapshot = Snapshot(id=ids.new_id(), name=name, created=times.now(), sealed=sealed.layers)
        await sealing.keep(containers, record, sealed, {"snapshots": [*record.snapshots, snapshot]})
    containers.emit("snapshot", record, snapshot=snapshot.id, snapshotName=name)
    return snapshot


async def _remove(containers: Containers, record: Container, name: str) -> None:
    async with containers.lock(record):
        containers.get(record.id)
        snapshot = record.snapshot(name)
        left = [each for each in record.snapshots if each is not snapshot]
        containers.store.change(record, {"snapshots": left})
        sealing.release(containers, snapshot.sealed)
    containers.emit("snapshot-remove", record, snapshot=snapshot.id, snapshotName=snapshot.name)


async def _rewind(containers: Containers, record: Container, name: str) -> None:
    async with containers.lock(record):
        await sealing.ready(containers, record, "rewind")
        snapshot = record.snapshot(name)
        if record.active:
            raise Conflict(
                f"cannot rewind container {record.name}: it is {record.state.status}", hint="stop it first"
            )
        before = record.sealed
        containers.store.change(record, {"sealed": snapshot.sealed, "unfinished": "drop"})
        await sealing.finish(containers, record)
        sealing.release(containers, before)
    containers.emit("rewind", record, snapshot=snapshot.id, snapshotName=snapshot.name)


def _name(record: Container, name: str) -> str:
    taken = {each.name for each in record.snapshots}
    if not name:
        return next(text for number in range(1, len(taken) + 2) if (text := f"snapshot-{number}") not in taken)
    if not is_name(name):
        raise InvalidArgument(f'"{name}" is no name for a snapshot: only [a-zA-Z0-9][a-zA-Z0-9_.-]+ are')
    if name in taken:
        raise Conflict(f'the name "{name}" is in use by a snapshot of container {record.name}')
    return name
