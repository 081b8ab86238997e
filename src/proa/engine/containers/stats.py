"""What containers use: samples of their control groups and networks, taken once a second while anybody looks.

All readers of a container share its sampler; one that is slow misses samples and holds up nobody.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proa import cgroups, times
from proa.engine.records import Container

if TYPE_CHECKING:
    from proa.cgroups.interface import Stats
    from proa.engine.containers.containers import Containers

INTERVAL = 1.0  # seconds
_TICK = times.SECOND // os.sysconf("SC_CLK_TCK")  # nanoseconds
_COUNTED = 8  # of /proc/stat's fields: what follows, guests' time, is in `user` and `nice` already (proc(5))
# The columns of /proc/net/dev that are reported: name and place (Documentation/networking/statistics.rst).
_COLUMNS = (
    ("rx_bytes", 0), ("rx_packets", 1), ("rx_errors", 2), ("rx_dropped", 3),
    ("tx_bytes", 8), ("tx_packets", 9), ("tx_errors", 10), ("tx_dropped", 11),
)  # fmt: skip


class Sample(msgspec.Struct, kw_only=True, frozen=True):
    """One look at a container. Without a running process there is nothing but zeros: `usage` is None."""

    time: int = 0  # nanoseconds since the epoch
    usage: Stats | None = None
    system: int = 0  # nanoseconds that all processors of the host have worked or idled
    processors: int = 0
    networks: dict[str, dict[str, int]] = {}  # by interface; without any the container has none of its own


class Sampling:
    """The samplers of all containers."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._watches: dict[str, _Watch] = {}

    async def samples(self, record: Container) -> AsyncGenerator[Sample]:
        """Yield a sample at once and another each second, until the container is removed."""
        watch = self._watches.get(record.id)
        if watch is None:
            watch = self._watches[record.id] = _Watch(self._containers, record)
        watch.readers += 1
        try:
            sample: Sample | None = None
            while (sample := await watch.after(sample)) is not None:
                yield sample
        finally:
            watch.readers -= 1
            if not watch.readers:
                self._watches.pop(record.id, None)
                watch.close()

    def close(self) -> None:
        """End all iterations."""
        for watch in self._watches.values():
            watch.end()


class _Watch:
    """The sampler of one container, and its last sample."""

    def __init__(self, containers: Containers, record: Container) -> None:
        self.readers = 0
        self._containers = containers
        self._record = record
        self._latest: Sample | None = None
        self._ended = False
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def after(self, seen: Sample | None) -> Sample | None:
        """Return a sample newer than `seen`; None when there will be no more."""
        while not self._ended and self._latest is seen:
            await self._changed.wait()
        return None if self._ended else self._latest

    async def _run(self) -> None:
        try:
            while self._record.id in self._containers.store:
                self._latest = await self._look()
                self._tell()
                await asyncio.sleep(INTERVAL)
        finally:
            self.end()

    async def _look(self) -> Sample:
        record = self._record
        if not record.running:
            return Sample()
        path = self._containers.cgroup_path(record)
        own_network = record.options.network_mode not in ("host", "none")
        return await asyncio.to_thread(take, path, record.state.pid if own_network else 0)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """No more samples."""
        self._ended = True
        self._tell()

    def close(self) -> None:
        """Nobody looks any more."""
        self._task.cancel()


def take(cgroup_path: str, pid: int) -> Sample:
    """Look at a cgroup and at the network of `pid` (0: none); one that has just ended gives zeros."""
    cgroup = cgroups.open(cgroup_path)
    try:
        usage = cgroup.stats()
        networks = _networks(pid) if pid else {}
    except OSError:
        return Sample()
    finally:
        cgroup.close()
    system, processors = _system()
    return Sample(time=times.now(), usage=usage, system=system, processors=processors, networks=networks)


def _system() -> tuple[int, int]:
    """Return the time that all processors have counted, in nanoseconds, and how many there are."""
    lines = Path("/proc/stat").read_text().splitlines()
    total = sum(int(word) for word in lines[0].split()[1 : 1 + _COUNTED])
    return total * _TICK, sum(line.startswith("cpu") for line in lines) - 1


def _networks(pid: int) -> dict[str, dict[str, int]]:
    found = {}
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, _, counters = line.partition(":")
        if name.strip() != "lo":
            values = counters.split()
            found[name.strip()] = {column: int(values[place]) for column, place in _COLUMNS}
    return found
