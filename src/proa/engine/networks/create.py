"""`network create`: check what is asked for, choose addresses, make it in the kernel, record it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from proa import ids, times, wording
from proa.engine.networks import drivers, ipam, options
from proa.engine.networks.options import NetworkOptions
from proa.engine.networks.records import DEFAULT, PREDEFINED, Network
from proa.errors import Conflict, Forbidden, InvalidArgument, NotFound, Unsupported
from proa.linux.netlink import Socket
from proa.network.failures import kernel_errors
from proa.network.host import one_at_a_time
from proa.network.subnets import Neighbourhood

if TYPE_CHECKING:
    from proa.engine.networks.networks import Networks

_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)


async def create(networks: Networks, wanted: NetworkOptions) -> Network:
    """Make a network; raises `Conflict` for a name that is taken, `Forbidden` for addresses that are."""
    if not wanted.name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if wanted.name in (*PREDEFINED, "default"):
        raise Forbidden(f"operation is not permitted on predefined {wanted.name} network ")
    async with networks.lock:  # of two at once, the second sees the name and the addresses of the first
        if networks.named(wanted.name):
            raise Conflict(f"network with name {wanted.name} already exists")
        network = _described(networks, wanted)
        await asyncio.to_thread(_make, networks, network)
        try:
            networks.save(network)
        except BaseException:
            await asyncio.to_thread(networks.bring_down, network)
            raise
    networks.emit("create", network)
    return network


def _described(networks: Networks, wanted: NetworkOptions) -> Network:
    """Return the record of what is asked for, without addresses that have to be chosen."""
    if wanted.config_from:
        wanted = _from_template(networks, wanted)
    elif not wanted.config_only:
        defaults = networks.default_options.get(wanted.driver or "bridge", {})
        wanted = msgspec.structs.replace(wanted, options={**defaults, **wanted.options})
    _check(wanted)
    return Network(
        id=ids.new_id(),
        name=wanted.name,
        driver="null" if wanted.config_only else wanted.driver or "bridge",
        created=times.now(),
        scope=wanted.scope or "local",
        subnets=[msgspec.structs.replace(each) for each in wanted.subnets],
        ipam_driver=wanted.ipam_driver or "default",
        ipam_options=wanted.ipam_options,
        enable_ipv4=wanted.enable_ipv4,
        enable_ipv6=wanted.enable_ipv6,
        internal=wanted.internal,
        attachable=wanted.attachable,
        config_only=wanted.config_only,
        config_from=wanted.config_from,
        options=wanted.options,
        labels=wanted.labels,
    )


def _from_template(networks: Networks, wanted: NetworkOptions) -> NetworkOptions:
    """Complete what is asked for from a network that is only a configuration."""
    if wanted.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    template = networks.named(wanted.config_from) or networks.find(wanted.config_from)
    if template is None or not template.config_only:
        raise NotFound(f'configuration network "{wanted.config_from}" does not exist')
    if wanted.subnets or wanted.ipam_options or wanted.options or wanted.labels or wanted.enable_ipv6:
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    return msgspec.structs.replace(
        wanted,
        config_from=template.name,
        subnets=[msgspec.structs.replace(each) for each in template.subnets],
        ipam_driver=template.ipam_driver,
        ipam_options=template.ipam_options,
        enable_ipv4=template.enable_ipv4,
        enable_ipv6=template.enable_ipv6,
        options=template.options,
        labels=template.labels,
    )


def _check(wanted: NetworkOptions) -> None:
    if wanted.ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if wanted.scope == "swarm":
        raise Forbidden("cannot create a swarm scoped network when swarm is not active")
    if not (wanted.enable_ipv4 or wanted.enable_ipv6):
        raise InvalidArgument("IPv4 or IPv6 must be enabled")
    ipam.check(wanted.subnets, ipv6=wanted.enable_ipv6)
    if wanted.ipam_driver not in ("", "default"):
        if wanted.ipam_driver == "null":
            raise Unsupported("networks without addresses are not supported yet (the IPAM driver null)")
        raise wording.no_such_plugin(wanted.ipam_driver)
    if wanted.config_only:
        return
    driver = wanted.driver or "bridge"
    if driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver == "overlay":
        raise Forbidden(_NO_SWARM)
    if driver not in drivers.DRIVERS:
        raise wording.no_such_plugin(driver)
    options.check(driver, wanted.options, internal=wanted.internal)


def _make(networks: Networks, network: Network) -> None:
    """Choose addresses and make the network in the kernel; for a thread."""
    if network.config_only:
        return
    drivers.refuse_taken(network, networks.all())
    with kernel_errors(), Socket() as route, one_at_a_time():
        neighbourhood = Neighbourhood.read(route, without=drivers.bridge_name(network))
        identity = networks.get(DEFAULT).id
        ipam.complete(network, networks.all(), neighbourhood, networks.pools, identity)
        networks.bring_up(network)
