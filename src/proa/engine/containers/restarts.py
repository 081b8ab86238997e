"""Restarts that a policy asks for: each is waited for by a timer, and survives an engine as a record's state.

While one is waited for the container is `restarting`: it has no process, but counts as running for users.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from proa.engine.containers import start
from proa.engine.containers.restart_policy import next_delay, wanted_with_engine
from proa.engine.records import Container, Status
from proa.errors import ProaError

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_log = logging.getLogger(__name__)
_AT_ONCE = 8  # restarts that an engine's start does side by side


class Restarts:
    """The restarts that are due. None happens before `begin` and after `close`."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._delays: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._open = False
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def begin(self) -> None:
        """Start what the policies want to run with the engine; the network is up."""
        self._open = True
        due = [record for record in self._containers.all() if _is_due(record)]
        for record in due:
            if record.state.status is Status.EXITED:
                record.state.transition(Status.RESTARTING)
        if due:
            self._containers.later(self._start_all(due))

    async def _start_all(self, due: Iterable[Container]) -> None:
        """Start containers, those that use another one's namespaces after all others."""
        for dependent in (False, True):
            chosen = [record for record in due if _depends(record) is dependent]
            await asyncio.gather(*map(self._start, chosen))

    def schedule(self, record: Container) -> None:
        """Start a container, whose state is `restarting`, when its time has come."""
        if not self._open:
            return  # `begin` will find it
        duration = record.state.finished_at - record.state.started_at
        delay = self._delays[record.id] = next_delay(self._delays.get(record.id, 0.0), duration)
        self._timers[record.id] = asyncio.get_running_loop().call_later(delay, self._due, record)

    def _due(self, record: Container) -> None:
        del self._timers[record.id]
        self._containers.later(self._start(record))

    async def _start(self, record: Container) -> None:
        async with self._turn, self._containers.lock(record):
            if not self._open or record.state.status is not Status.RESTARTING:
                return
            try:
                await start.start(self._containers, record, automatic=True)
            except ProaError as error:
                _log.warning("container %s can not be restarted: %s", record.id, error)
                self._containers.waiters.exited(record)

    async def give_up(self, record: Container) -> bool:
        """Let a container that waits for its restart stay ended; return False if it was not waiting."""
        async with self._containers.lock(record):
            if record.state.status is not Status.RESTARTING:
                return False
            self.forget(record)
            record.state.stopped_by_user = True
            record.state.transition(Status.EXITED)
            self._containers.store.save(record)
            self._containers.waiters.exited(record)
            return True

    def forget(self, record: Container) -> None:
        """Begin anew: somebody has started or removed the container."""
        self._delays.pop(record.id, None)
        if timer := self._timers.pop(record.id, None):
            timer.cancel()

    def close(self) -> None:
        """The next engine takes over what is due."""
        self._open = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


def _is_due(record: Container) -> bool:
    status = record.state.status
    return status is Status.RESTARTING or (status is Status.EXITED and wanted_with_engine(record))


def _depends(record: Container) -> bool:
    modes = (record.options.network_mode, record.options.ipc_mode, record.options.pid_mode)
    return any(mode.startswith("container:") for mode in modes)
