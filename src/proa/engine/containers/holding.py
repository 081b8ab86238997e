"""Freezing a container for a moment, for a commit. Its record does not say so.

frozen: no program of it runs, no exec can start; an exec waits for the end, a kill brings it about;
an engine that is killed meanwhile thaws it when it starts again
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from proa.engine.records import Container, Status
from proa.errors import Conflict

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


class Holds:
    """The containers that are held, by identifier, with what tells of the end."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._ends: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def hold(self, record: Container) -> AsyncIterator[None]:
        """Keep a running container frozen in the block; another block for the same one comes after it."""
        await self.passed(record)
        if record.state.status is not Status.RUNNING:
            yield
            return
        end = self._ends[record.id] = asyncio.Event()
        try:
            frozen = await self._freeze(record)
            try:
                yield
            finally:
                if frozen:
                    await self._let_go(record)
        finally:
            del self._ends[record.id]
            end.set()

    async def passed(self, record: Container) -> None:
        """Wait until a container is not held."""
        while end := self._ends.get(record.id):
            await end.wait()

    async def cut_short(self, record: Container) -> None:
        """Let a held container act on a signal: it is to end, whatever that means for who holds it."""
        if record.id in self._ends:
            await self._let_go(record)

    async def _freeze(self, record: Container) -> bool:
        """Freeze a container; return whether it still ran."""
        try:
            await self._containers.ask(record, "pause")
        except Conflict:
            if record.running:
                raise
            return False
        self._containers.emit("pause", record)
        return True

    async def _let_go(self, record: Container) -> None:
        if record.state.status is Status.RUNNING:  # it may have been killed or paused meanwhile
            with suppress(Conflict):  # or end at this moment
                await self._containers.ask(record, "resume")
                self._containers.emit("unpause", record)
