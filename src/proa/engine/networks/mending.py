"""After a start of the engine: connections and disconnections that an earlier one was killed in.

What was plugged in and not recorded is gone by now, as an orphan on its bridge. What is recorded and not plugged
in any more was being disconnected: that is finished here. Either may have cost a container its default route.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from proa.engine.containers import files
from proa.engine.networks import attach, ways
from proa.engine.records import Container
from proa.errors import ProaError
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.default_route import mend as mend_route
from proa.network.visit import visit

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_log = logging.getLogger(__name__)


async def mend(containers: Containers) -> None:
    """Make records, interfaces and default routes of running containers agree; networks are set up."""
    running = [record for record in containers.all() if record.running and record.endpoints]
    if not any(place.interface for record in running for place in record.endpoints.values()):
        return
    present = await asyncio.to_thread(_interfaces)
    for record in running:
        lost = _finish_disconnecting(containers, record, present)
        if lost or containers.networks.disturbed:
            try:
                await _mend_routes(containers, record)
            except (ProaError, OSError) as error:
                _log.warning("container %s: its default route can not be mended: %s", record.id, error)


def _interfaces() -> frozenset[str]:
    with Socket() as route:
        return frozenset(link.name for link in rtnetlink.links(route))


def _finish_disconnecting(containers: Containers, record: Container, present: frozenset[str]) -> bool:
    lost = [place for place in record.endpoints.values() if place.interface and place.interface not in present]
    for place in lost:
        _log.warning("container %s is on network %s no more", record.id, place.network)
        del record.endpoints[place.network]
        files.remove_addresses(containers, record, place)
        attach.let_go(containers, record, place)
    if lost:
        containers.store.save(record)
    return bool(lost)


async def _mend_routes(containers: Containers, record: Container) -> None:
    v4, v6 = ways.ways(record, ways.leads(containers, record))
    namespace = os.open(f"/proc/{record.state.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        await asyncio.wrap_future(visit(namespace, lambda: mend_route(v4, v6)))
    finally:
        os.close(namespace)
