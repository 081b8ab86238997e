"""Work that several pulls wait for is done once: the same layer, asked for twice at a time.

A transfer runs as long as anybody waits for it. Who joins later hears its latest progress first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from proa.engine.images.progress import Progress, Report

Work = Callable[[Report], Coroutine[None, None, None]]


class Transfer:
    """One piece of work and those who watch it."""

    def __init__(self, work: Work) -> None:
        self._last: Progress | None = None
        self.watchers: list[Report] = []
        self.task = asyncio.create_task(work(self._report))
        self.task.add_done_callback(_look_at_error)

    def watch(self, report: Report) -> None:
        self.watchers.append(report)
        if self._last is not None:
            report(self._last)

    async def finished(self) -> None:
        """Wait for the end without being able to cancel it; raise what it raised."""
        await asyncio.wait({self.task})
        self.task.result()

    def _report(self, progress: Progress) -> None:
        self._last = progress
        for watcher in tuple(self.watchers):
            watcher(progress)


class Transfers:
    """All that run. Belongs to one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, Transfer] = {}

    def join(self, key: str, work: Work, report: Report) -> Transfer:
        """Watch the transfer `key`, which begins now unless it runs. Every `join` needs a `leave`."""
        transfer = self._running.get(key)
        if transfer is None or transfer.task.done():
            transfer = self._running[key] = Transfer(work)
            transfer.task.add_done_callback(lambda task: self._forget(key, task))
        transfer.watch(report)
        return transfer

    async def leave(self, transfer: Transfer, report: Report) -> None:
        """Stop watching. Work that nobody wants any more is cancelled, and its cleaning up waited for."""
        transfer.watchers.remove(report)
        if transfer.watchers or transfer.task.done():
            return
        for key, running in list(self._running.items()):
            if running is transfer:
                del self._running[key]
        transfer.task.cancel()
        await asyncio.wait({transfer.task})

    async def cancel(self) -> None:
        """Cancel everything, and wait until it has cleaned up."""
        tasks = [transfer.task for transfer in self._running.values()]
        for task in reversed(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        running = self._running.get(key)
        if running is not None and running.task is task:
            del self._running[key]


def _look_at_error(task: asyncio.Task[None]) -> None:
    """Mark the error as seen: whoever waits raises it, and perhaps nobody does any more."""
    if not task.cancelled():
        task.exception()
