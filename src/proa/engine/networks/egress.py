"""Egress rules of containers: in place before the program runs, changed while it does, and what they refuse.

A companion of containers' places. The rules are a table of the container's own network namespace
(`network/egress_table.py`), so they need no engine once they are there. What they refuse is told by the name
server (`dns/gate.py`); the record keeps it, for `inspect`, and events tell of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from proa import times
from proa.engine.networks.records import Network
from proa.engine.options import Egress
from proa.engine.records import Container, EndpointRecord, Refusal
from proa.errors import KernelError
from proa.network import egress_table
from proa.network.egress import Rule, allowed
from proa.network.visit import visit

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

EVENT = "egress_refused"
_AT_ONCE, _PER_SECOND = 20.0, 2.0  # events of one container
_MOST_RUNS = 1000  # that are remembered before those of removed containers are forgotten
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


def rules(options: Egress) -> list[Rule]:
    """Return what is allowed."""
    return [allowed(text) for text in options.allow]


def described(record: Container, places: Iterable[EndpointRecord]) -> dict[str, Any]:
    """Return what the name server has to know of a container's rules, as `proa.dns.gate` has it."""
    assert record.options.egress is not None
    own = (
        (address, length)
        for place in places
        for address, length in ((place.address, place.prefix_length), (place.address6, place.prefix_length6))
    )
    return {
        "table": egress_table.TABLE,
        "group": egress_table.GROUP,
        "mark": egress_table.MARK,
        "refused": {4: egress_table.REFUSED[4], 16: egress_table.REFUSED[6]},
        "remembered": egress_table.REMEMBERED,
        "names": egress_table.names(rules(record.options.egress)),
        "own": [str(ipaddress.ip_interface(f"{address}/{length}").network) for address, length in own if address],
    }


class EgressRules:
    """The rules of the containers of one engine."""

    def __init__(self, containers: Callable[[], Containers]) -> None:
        self._containers = containers
        self._runs: dict[str, tuple[int, Container]] = {}  # the inode of the namespace that is told of
        self._budgets: dict[str, tuple[float, float]] = {}  # events that a container has left, and since when

    # --- the life of a place ----------------------------------------------------------------------------

    async def begin(self, record: Container, endpoint: EndpointRecord, network: Network, namespace: str) -> None:
        """Put the rules in place, before the container's program runs."""
        options = record.options.egress
        if options is None or not endpoint.device:
            return
        found = rules(options)
        await self._within(record, namespace, lambda: egress_table.install(found))
        if len(self._runs) >= _MOST_RUNS:  # a name server that was killed has told no end of some
            store = self._containers().store
            self._runs = {identifier: run for identifier, run in self._runs.items() if identifier in store}
        inode = os.stat(namespace).st_ino
        if self._runs.get(record.id, (0, record))[0] != inode:
            self._runs[record.id] = inode, record
            record.refused = []

    def resume(self, record: Container, endpoint: EndpointRecord, network: Network) -> None:
        """The rules have been there all the time."""
        if record.options.egress is not None and record.id not in self._runs:
            try:
                self._runs[record.id] = os.stat(f"/proc/{record.state.pid}/ns/net").st_ino, record
            except OSError:
                return  # it has just ended

    def end(self, record: Container, endpoint: EndpointRecord, network: Network | None) -> None:
        """The rules go with the namespace; the name server still has to tell the last of it."""

    async def require(self, record: Container, namespace: str) -> None:
        """Raise `Conflict` if a running container has no rules in its namespace, as it had no network so far."""
        if record.options.egress is not None:
            await self._within(record, namespace, egress_table.require)

    async def apply(self, record: Container) -> None:
        """Let the rules of a running container's record hold; raises `KernelError`, and others go on to hold."""
        assert record.options.egress is not None
        found = rules(record.options.egress)
        namespace = f"/proc/{record.state.pid}/ns/net"
        await self._within(record, namespace, lambda: egress_table.change(found))

    async def mend(self) -> None:
        """Finish changes that an earlier engine was killed in."""
        for record in self._containers().all():
            if record.running and record.options.egress is not None:
                try:
                    await self.apply(record)
                except KernelError as error:
                    _log.warning("container %s: %s", record.id, error)

    async def _within(self, record: Container, namespace: str, work: Callable[[], _Result]) -> _Result:
        try:
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return await asyncio.shield(asyncio.wrap_future(visit(descriptor, work)))
            finally:
                os.close(descriptor)
        except OSError as error:
            operation = error.filename or "enter the network namespace"
            raise KernelError(f"set up egress rules: {operation}", error.errno or 0) from error

    # --- what is refused --------------------------------------------------------------------------------

    def heard(self, message: dict[str, Any]) -> None:
        """Take what the name server tells: all that a container was refused in one run."""
        identifier = message["id"]
        inode, record = self._runs.get(identifier, (0, None))
        if record is None or inode != message["run"]:
            return  # of an earlier run
        if message["final"]:
            del self._runs[identifier]
        found = msgspec.convert(message["refused"], list[Refusal])
        before = {_key(each): each.count for each in record.refused}
        news = [each for each in found if each.count != before.get(_key(each))]
        record.refused = found
        containers = self._containers()
        if news and identifier in containers.store:
            containers.store.save(record)
        for each in reversed(news):  # the oldest first
            if self._may_tell(identifier):
                _tell(containers, record, each, each.count - before.get(_key(each), 0))
        if message["final"]:
            self._budgets.pop(identifier, None)

    def _may_tell(self, identifier: str) -> bool:
        """Whether there may be one more event: a container that tries a lot does not drown those of others."""
        now = time.monotonic()
        left, since = self._budgets.get(identifier, (_AT_ONCE, now))
        left = min(_AT_ONCE, left + (now - since) * _PER_SECOND)
        self._budgets[identifier] = (left - 1 if left >= 1 else left), now
        return left >= 1


def _key(refusal: Refusal) -> tuple[str, str, int, str]:
    return refusal.protocol, refusal.address, refusal.port, refusal.name if refusal.protocol == "dns" else ""


def _tell(containers: Containers, record: Container, refusal: Refusal, count: int) -> None:
    attributes = {
        "protocol": refusal.protocol,
        "address": refusal.address,
        "port": str(refusal.port or ""),
        "host": refusal.name,
        "count": str(count),
        "at": times.format_time(refusal.time),
    }
    containers.emit(EVENT, record, **{key: value for key, value in attributes.items() if value})
