"""The places of a starting container on its networks, and what becomes of them at its end.

The first network makes the container's network namespace, further ones plug their interfaces into it. After each
the companions do what goes with it (`companions.py`).
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from typing import TYPE_CHECKING

from proa.engine.networks import checks, orders, routes
from proa.engine.networks.records import Network
from proa.engine.options import ContainerOptions, EndpointOptions
from proa.engine.records import Container, EndpointRecord
from proa.errors import Forbidden, NotFound, ProaError
from proa.network.endpoint import Endpoint, Order
from proa.network.leases import Pair
from proa.network.live import LiveNetwork

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers
    from proa.engine.containers.run import Run
    from proa.engine.networks.networks import Networks

WITHOUT_INTERFACES = ("host", "null")  # drivers
_FAILED = "failed to set up container networking"


def planned(networks: Networks, options: ContainerOptions) -> dict[str, EndpointRecord]:
    """Return the places of a new container: those asked for, that of its network mode first, or that one alone.

    Networks that do not exist show at the start, as with Docker.
    """
    if options.network_mode.startswith("container:"):
        return {}
    wishes = {_name(networks, name): given for name, given in options.networks.items()}
    first = _name(networks, options.network_mode)
    if not wishes:
        wishes = {first: EndpointOptions(mac_address=options.mac_address)}
    elif first in wishes:
        wishes = {first: wishes[first], **wishes}
    for name, given in wishes.items():
        checks.check(name, given, networks.named(name), prefix=f"invalid config for network {name}: ")
    return {name: EndpointRecord(network=name, wishes=given) for name, given in wishes.items()}


def _name(networks: Networks, name: str) -> str:
    network = networks.find(name)
    return network.name if network else name


async def attach(containers: Containers, record: Container, run: Run) -> None:
    """Give a container all its places; `run` holds the namespace, unless it is the host's."""
    places = []
    for name, endpoint in record.endpoints.items():
        network = containers.networks.find(name)
        if network is None:
            raise NotFound(f"{_FAILED}: network {name} not found")
        if network.config_only:
            raise Forbidden(f"{_FAILED}: cannot create endpoint on configuration-only network")
        places.append((endpoint, network))
    leads = routes.choose(places)
    for endpoint, network in places:
        try:
            run.namespace = await take(containers, record, endpoint, network, run.namespace, leads)
        except ProaError as error:
            error.message = f"{_FAILED}: {error.message}"
            error.args = (error.message,)
            raise


async def take(
    containers: Containers,
    record: Container,
    endpoint: EndpointRecord,
    network: Network,
    namespace: int,
    leads: tuple[str, str],
) -> int:
    """Give a container one place, in `namespace` or a new one (-1); return the namespace's descriptor.

    A place that companions refuse stays to be let go. `leads` are the networks of the default routes.
    """
    networks = containers.networks
    endpoint.network_id = network.id
    networks.arriving[network.id] += 1
    try:
        if network.driver not in WITHOUT_INTERFACES:
            live = networks.live(network)
            order = orders.of(endpoint.wishes, network, live.device_prefix, namespace, _devices(record), leads)
            made = live.take() if order.plain else None
            if made is None:
                made = await _made(live, order)
            if namespace < 0:
                namespace, made.netns_fd = made.netns_fd, -1
                containers.resolution.offer(record, made.name_sockets)
            fill(endpoint, made)
        endpoint.endpoint_id = os.urandom(32).hex()
    finally:
        networks.arriving[network.id] -= 1
    _emit(containers, "connect", record, endpoint, network)
    for companion in networks.companions:
        await companion.begin(record, endpoint, network, f"/proc/{os.getpid()}/fd/{namespace}")
    return namespace


async def _made(live: LiveNetwork, order: Order) -> Endpoint:
    """Have an endpoint made; nothing stays of one that nobody waits for any more."""
    future = live.order(order)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda done: _give_back(live, done))
        raise


def _give_back(live: LiveNetwork, done: Future[Endpoint]) -> None:
    if not done.cancelled() and done.exception() is None:
        endpoint = done.result()
        endpoint.close()
        live.release(endpoint.pair)


def _devices(record: Container) -> frozenset[str]:
    return frozenset(each.device for each in record.endpoints.values() if each.device)


def fill(endpoint: EndpointRecord, made: Endpoint) -> None:
    """Note what a place turned out to be."""
    endpoint.address, endpoint.prefix_length, endpoint.gateway = made.address, made.prefix_length, made.gateway
    endpoint.address6, endpoint.prefix_length6 = made.address6, made.prefix_length6
    endpoint.gateway6 = made.gateway6
    endpoint.mac_address, endpoint.interface, endpoint.device = made.mac_address, made.interface, made.device


def release(containers: Containers, record: Container) -> None:
    """Give all places back when a container has ended; the record keeps what it wants."""
    for name, endpoint in list(record.endpoints.items()):
        if endpoint.attached or endpoint.address or endpoint.address6:
            let_go(containers, record, endpoint)
            record.endpoints[name] = endpoint.detached()


def let_go(containers: Containers, record: Container, endpoint: EndpointRecord) -> None:
    """Release one place, whose interface is gone or goes with the container's namespace."""
    network = containers.networks.of(endpoint)
    for companion in containers.networks.companions:
        companion.end(record, endpoint, network)
    if network is None:
        return
    pair = Pair.parse(endpoint.address, endpoint.address6)
    # Before the networks are set up, no address is taken.
    if pair.main and containers.networks.is_live(network.id):
        containers.networks.live(network).release(pair)
    if endpoint.attached:
        _emit(containers, "disconnect", record, endpoint, network)


def _emit(
    containers: Containers, action: str, record: Container, endpoint: EndpointRecord, network: Network
) -> None:
    """Tell that a container has, or no longer has, a place on a network."""
    attributes = {"container": record.id, "name": network.name, "type": network.driver}
    containers.events.emit("network", action, endpoint.network_id, attributes)


def resume(containers: Containers) -> None:
    """Tell the companions of the places that running containers have had since before this engine."""
    for record in containers.all():
        for endpoint in record.endpoints.values():
            network = containers.networks.of(endpoint)
            if record.running and endpoint.attached and network:
                for companion in containers.networks.companions:
                    companion.resume(record, endpoint, network)
