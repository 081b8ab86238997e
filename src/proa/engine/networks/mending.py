"""After a start of the engine: connections and disconnections that an earlier one was killed in.

What was plugged in and not recorded is gone by now, as an orphan on its bridge; interfaces of macvlan and ipvlan,
of which the host has no part, are looked for in the containers. What is recorded and not plugged in any more was
being disconnected: that is finished here. Either may have cost a container its default route.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from proa.engine.containers import files
from proa.engine.networks import attach, drivers, ways
from proa.engine.records import Container, EndpointRecord
from proa.errors import ProaError
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.addresses import Address, Subnet
from proa.network.default_route import mend as mend_route
from proa.network.endpoint import remove_link
from proa.network.visit import visit

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


async def mend(containers: Containers) -> None:
    """Make records, interfaces and default routes of running containers agree; networks are set up."""
    running = [record for record in containers.all() if record.running and _has_network(record)]
    if not running:
        return
    present = await asyncio.to_thread(_interfaces)
    parents = _parents(containers, present)
    for record in running:
        try:
            inside = await _visit(record, _survey) if parents else []
            strangers = _strangers(record, inside, parents)
            if strangers:
                await _visit(record, lambda names=strangers: _remove(names))  # type: ignore[misc]
            lost = _finish_disconnecting(containers, record, present, inside)
            if lost or strangers or containers.networks.disturbed:
                v4, v6 = ways.ways(record, ways.leads(containers, record))
                await _visit(record, lambda v4=v4, v6=v6: mend_route(v4, v6))  # type: ignore[misc]
        except (ProaError, OSError) as error:
            _log.warning("container %s: its interfaces can not be mended: %s", record.id, error)


class _Inside(NamedTuple):
    """An interface in a container."""

    name: str
    kind: str
    parent: int  # index of the interface of the host that it is on, for macvlan and ipvlan
    addresses: list[Address]


def _has_network(record: Container) -> bool:
    """Whether a container has a network namespace of its own, for interfaces."""
    return not record.options.network_mode.startswith("container:") and "host" not in record.endpoints


def _interfaces() -> dict[str, int]:
    """Return the interfaces of this namespace: their indexes by name."""
    with Socket() as route:
        return {link.name: link.index for link in rtnetlink.links(route)}


def _parents(containers: Containers, present: dict[str, int]) -> dict[int, list[Subnet]]:
    """Return the interfaces of the host that containers' own are on, and the subnets they are in there."""
    found: dict[int, list[Subnet]] = {}
    for network in containers.networks.all():
        if network.driver in drivers.MODES and (index := present.get(drivers.interface(network))):
            found.setdefault(index, []).extend(ip_network(each.subnet) for each in network.subnets)
    return found


def _survey() -> list[_Inside]:
    with Socket() as route:
        addresses = [each for family in (AF_INET, AF_INET6) for each in rtnetlink.addresses(route, family)]
        return [
            _Inside(
                link.name,
                link.kind,
                link.parent,
                [ip_address(each.address) for each in addresses if each.index == link.index],
            )
            for link in rtnetlink.links(route)
        ]


def _strangers(record: Container, inside: list[_Inside], parents: dict[int, list[Subnet]]) -> list[str]:
    """Return what was plugged in for a network, but not recorded any more; not what others have put there."""
    known = {place.device for place in record.endpoints.values()}
    return [
        link.name
        for link in inside
        if link.kind in drivers.MODES
        and link.name not in known
        and link.parent in parents
        and all(_is_of(address, parents[link.parent]) for address in link.addresses)
    ]


def _is_of(address: Address, subnets: list[Subnet]) -> bool:
    return address.is_link_local or any(address in subnet for subnet in subnets)


def _remove(names: list[str]) -> None:
    with Socket() as route:
        for name in names:
            remove_link(route, name)


def _finish_disconnecting(
    containers: Containers, record: Container, present: dict[str, int], inside: list[_Inside]
) -> bool:
    lost = [place for place in record.endpoints.values() if _is_lost(containers, place, present, inside)]
    for place in lost:
        _log.warning("container %s is on network %s no more", record.id, place.network)
        del record.endpoints[place.network]
        files.remove_addresses(containers, record, place)
        attach.let_go(containers, record, place)
    if lost:
        containers.store.save(record)
    return bool(lost)


def _is_lost(
    containers: Containers, place: EndpointRecord, present: dict[str, int], inside: list[_Inside]
) -> bool:
    """Whether a recorded place has no interface any more: on the host, or in the container where there is none."""
    if place.interface:
        return place.interface not in present
    network = containers.networks.of(place)
    if network is None or network.driver not in drivers.MODES or not place.attached:
        return False
    address = place.address or place.address6
    return not any(link.name == place.device or ip_address(address) in link.addresses for link in inside)


async def _visit(record: Container, work: Callable[[], _Result]) -> _Result:
    namespace = os.open(f"/proc/{record.state.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await asyncio.wrap_future(visit(namespace, work))
    finally:
        os.close(namespace)
