"""Who works with the writable directory of a container that does not run: nobody may take it away meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from proa.engine.containers import sealing
from proa.engine.records import Container

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


class Steady:
    """Counts the users of each container's writable directory. Belongs to the event loop."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def use(self, record: Container) -> AsyncIterator[None]:
        """Keep the directory where it is; waits for one that is just being taken away."""
        if record.unfinished:
            async with self._containers.lock(record):
                self._containers.get(record.id)  # it may have been removed while we waited
                await sealing.finish(self._containers, record)
        self._users[record.id] += 1
        try:
            yield
        finally:
            self._users[record.id] -= 1
            if not self._users[record.id]:
                del self._users[record.id]

    def is_used(self, record: Container) -> bool:
        return self._users[record.id] > 0
