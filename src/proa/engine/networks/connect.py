"""`network connect` and `disconnect`: at once for containers that run, at the next start for others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from proa.engine.containers import files
from proa.engine.networks import attach, checks, naming, ways
from proa.engine.networks.records import Network
from proa.engine.options import EndpointOptions
from proa.engine.records import Container, EndpointRecord, Status
from proa.errors import Conflict, Forbidden, Internal, InvalidArgument, NotFound
from proa.network.default_route import lead
from proa.network.leases import Pair
from proa.network.visit import visit

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_Result = TypeVar("_Result")
_TO_HOST = "cannot connect container to host network - container must be created in host network mode"
_FROM_HOST = "cannot disconnect container from host network - container was created in host network mode"
_SHARING = (
    "container sharing network namespace with another container or host cannot be connected to any other network"
)
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


async def connect(
    containers: Containers, network: Network, record: Container, wishes: EndpointOptions | None
) -> None:
    """Give a container a place on one more network. Without `wishes` those it has for it stay."""
    async with containers.lock(record):
        _check(record, network, wishes or EndpointOptions())
        known = record.endpoints.get(network.name)
        if not record.running:
            if known is None or wishes is not None:
                _plan(record, network, wishes)
        elif known is not None:
            raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
        else:
            await _plug(containers, record, network, wishes or EndpointOptions())
        containers.store.save(record)


def _check(record: Container, network: Network, wishes: EndpointOptions) -> None:
    if record.state.status in (Status.REMOVING, Status.DEAD):
        raise Conflict(
            f"container {record.id} is marked for removal and cannot be connected or disconnected to the network"
        )
    if network.driver == "host":
        raise InvalidArgument(_TO_HOST)
    if record.options.network_mode.startswith("container:") or "host" in record.endpoints:
        raise InvalidArgument(_SHARING)
    if "none" in record.endpoints or (network.driver == "null" and not network.config_only and record.endpoints):
        raise InvalidArgument(_PRIVATE)
    if network.config_only:
        raise Forbidden("cannot create endpoint on configuration-only network")
    checks.check(network.name, wishes, network, prefix="")


def _plan(record: Container, network: Network, wishes: EndpointOptions | None) -> None:
    record.endpoints[network.name] = EndpointRecord(network=network.name, wishes=wishes or EndpointOptions())


async def _plug(containers: Containers, record: Container, network: Network, wishes: EndpointOptions) -> None:
    """Give a running container the place; nothing is left of one that it can not have."""
    before = ways.leads(containers, record)
    await containers.egress.require(record, _namespace(record))
    endpoint = EndpointRecord(network=network.name, network_id=network.id, wishes=wishes)
    record.endpoints[network.name] = endpoint
    namespace = os.open(_namespace(record), os.O_RDONLY | os.O_CLOEXEC)
    try:
        # The default routes are led when all else has succeeded.
        await attach.take(containers, record, endpoint, network, namespace, before)
        await _lead(containers, record, namespace, before)
        files.add_addresses(containers, record, endpoint)
        if naming.has_names(endpoint):
            files.ask_name_server(containers, record)
    except BaseException:
        await asyncio.shield(_unplug(containers, record, endpoint, namespace))
        raise
    finally:
        os.close(namespace)


def place_to_leave(containers: Containers, name: str, container: str, force: bool) -> Network:
    """Return the network; where there is none, the error is Docker's, which may ask the container instead."""
    record = containers.store.find(container)
    if record and (force or not record.running) and containers.networks.find(name) is None:
        raise Internal(f"container {record.id} is not connected to the network {name}")
    return containers.networks.get(name)


async def disconnect(containers: Containers, network: Network, name: str, *, force: bool) -> None:
    """Take a container from a network; raises `Internal`, as Docker does, if it is not there."""
    if force and (record := containers.store.find(name)) is None:
        raise NotFound(f"endpoint {name} not found")
    record = containers.get(name)
    async with containers.lock(record):
        if network.driver == "host" and "host" in record.endpoints:
            raise InvalidArgument(_FROM_HOST)
        endpoint = record.endpoints.get(network.name)
        if endpoint is None or (endpoint.network_id and endpoint.network_id != network.id):
            which = "network" if record.running else "the network"
            raise Internal(f"container {record.id} is not connected to {which} {network.name}")
        if endpoint.attached and record.running:
            await _disconnect(containers, record, endpoint)
        else:
            del record.endpoints[network.name]
        containers.store.save(record)


async def _disconnect(containers: Containers, record: Container, endpoint: EndpointRecord) -> None:
    before = ways.leads(containers, record)
    namespace = os.open(_namespace(record), os.O_RDONLY | os.O_CLOEXEC)
    try:
        await asyncio.shield(_unplug(containers, record, endpoint, namespace))
        await _lead(containers, record, namespace, before)
    finally:
        os.close(namespace)
    files.remove_addresses(containers, record, endpoint)


async def _unplug(containers: Containers, record: Container, endpoint: EndpointRecord, namespace: int) -> None:
    network = containers.networks.of(endpoint)
    if network and endpoint.device and containers.networks.is_live(network.id):
        pair = Pair.parse(endpoint.address, endpoint.address6)
        live = containers.networks.live(network)
        await asyncio.wrap_future(live.unplug(endpoint.interface, endpoint.device, namespace, pair))
    record.endpoints.pop(endpoint.network, None)
    attach.let_go(containers, record, endpoint)


def _namespace(record: Container) -> str:
    return f"/proc/{record.state.pid}/ns/net"


async def _lead(containers: Containers, record: Container, namespace: int, before: tuple[str, str]) -> None:
    """Lead the default routes where they belong now, if that has changed: what users have set stays else."""
    after = ways.leads(containers, record)
    if after == before:
        return
    v4, v6 = (
        way if name != old else None
        for way, name, old in zip(ways.ways(record, after), after, before, strict=True)
    )
    await _visit(namespace, lambda: lead(v4, v6))


async def _visit(namespace: int, work: Callable[[], _Result]) -> _Result:
    return await asyncio.wrap_future(visit(namespace, work))
