"""Waiting for containers: who waits for which condition, and telling them. Docker's `wait` endpoint."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from proa.engine.records import Container, Status
from proa.engine.requests import ExitStatus
from proa.errors import InvalidArgument

CONDITIONS = ("not-running", "next-exit", "removed")
_OVER = (Status.CREATED, Status.EXITED, Status.DEAD)


class Waiters:
    """Futures by container and condition. Cancelling a future is how a waiter that hung up is forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[str, asyncio.Future[ExitStatus]]]] = defaultdict(list)

    def add(self, record: Container, condition: str) -> asyncio.Future[ExitStatus]:
        """Return a future for `condition` (see CONDITIONS); it is done already where that holds now."""
        condition = condition or "not-running"
        if condition not in CONDITIONS:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        future: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        if condition == "not-running" and record.state.status in _OVER:
            future.set_result(status_of(record))
            return future
        entry = (condition, future)
        self._waiting[record.id].append(entry)
        future.add_done_callback(lambda _: self._forget(record.id, entry))
        return future

    def _forget(self, identifier: str, entry: tuple[str, asyncio.Future[ExitStatus]]) -> None:
        entries = self._waiting.get(identifier, [])
        if entry in entries:
            entries.remove(entry)
        if not entries:
            self._waiting.pop(identifier, None)

    def exited(self, record: Container) -> None:
        """Tell those who wait for an exit."""
        self._tell(record, ("not-running", "next-exit"), status_of(record))

    def removed(self, record: Container) -> None:
        """Tell everybody: nothing else will come of this container. Why a start failed, its client was told."""
        self._tell(record, CONDITIONS, ExitStatus(code=record.state.exit_code))

    def _tell(self, record: Container, conditions: tuple[str, ...], status: ExitStatus) -> None:
        for condition, future in list(self._waiting.get(record.id, ())):
            if condition in conditions and not future.done():
                future.set_result(status)


def status_of(record: Container) -> ExitStatus:
    """Return how a container ended last."""
    return ExitStatus(code=record.state.exit_code, error=record.state.error)
