"""From a network's record to what it is in the kernel, by its driver and the driver's options."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface, ip_network

from proa.engine.networks.records import PREDEFINED, Network, Subnet
from proa.network.bridge_network import BridgeNetwork, Range
from proa.network.endpoint import DEVICE_PREFIX
from proa.network.firewall import Rules
from proa.network.live import LiveNetwork
from proa.network.site import Site

BRIDGE = "com.docker.network.bridge."
BRIDGE_NAME = f"{BRIDGE}name"
ICC = f"{BRIDGE}enable_icc"
MASQUERADE = f"{BRIDGE}enable_ip_masquerade"
HOST_BINDING = f"{BRIDGE}host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
DEVICE = "com.docker.network.container_iface_prefix"

READY_ENDPOINTS = 4  # of a network in use; its pool is empty otherwise
# Go's strconv.ParseBool.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def has_kernel_part(network: Network) -> bool:
    """Whether users' containers get interfaces from it."""
    return network.name not in PREDEFINED and not network.config_only


def bridge_name(network: Network) -> str:
    return network.options.get(BRIDGE_NAME) or f"br-{network.id[:12]}"


def rules(network: Network) -> Rules:
    """Return what the firewall has to know of a network with a bridge."""
    return Rules(
        bridge_name(network),
        internal=network.internal,
        isolated=not boolean(network.options, ICC, True),
        masquerade=boolean(network.options, MASQUERADE, True),
    )


def boolean(options: Mapping[str, str], name: str, default: bool) -> bool:
    """Return an option that was found good when the network was made; "" is true, as for a flag."""
    text = options.get(name)
    return default if text is None else _BOOLEANS.get(text, True)


def is_boolean(text: str) -> bool:
    return text in _BOOLEANS


def live(network: Network, site: Site, default_mtu: int) -> LiveNetwork:
    """Return a network's life in the kernel, before its `setup`."""
    return BridgeNetwork(
        site,
        rules(network),
        v4=_range(network.subnets, 4) if network.enable_ipv4 else None,
        v6=_range(network.subnets, 6) if network.enable_ipv6 else None,
        mtu=int(network.options.get(MTU) or default_mtu),
        name=network.name,
        identifier=network.id,
        owner=site.table,
        device_prefix=network.options.get(DEVICE) or DEVICE_PREFIX,
        pool_size=READY_ENDPOINTS,
        on_demand=True,
    )


def _range(subnets: list[Subnet], version: int) -> Range | None:
    for each in subnets:
        network = ip_network(each.subnet)
        if network.version == version:
            return Range(
                ip_interface(f"{each.gateway}/{network.prefixlen}"),
                within=ip_network(each.range) if each.range else None,
                taken=[ip_address(address) for address in each.auxiliary.values()],
            )
    return None
