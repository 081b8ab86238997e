"""From a network's record to what it is in the kernel, by its driver and the driver's options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from typing import NamedTuple

from proa.engine.networks.records import PREDEFINED, Network, Subnet
from proa.errors import Forbidden, InvalidArgument
from proa.linux import rtnetlink
from proa.network.bridge_network import BridgeNetwork, Range
from proa.network.endpoint import DEVICE_PREFIX
from proa.network.firewall import ISOLATED, NAT, ROUTED, UNPROTECTED, Rules
from proa.network.live import LiveNetwork
from proa.network.parent_network import Kind, ParentNetwork
from proa.network.site import Site

BRIDGE = "com.docker.network.bridge."
BRIDGE_NAME = f"{BRIDGE}name"
ICC = f"{BRIDGE}enable_icc"
MASQUERADE = f"{BRIDGE}enable_ip_masquerade"
HOST_BINDING = f"{BRIDGE}host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
INHIBIT = f"{BRIDGE}inhibit_ipv4"
GATEWAY_MODE, GATEWAY_MODE6 = f"{BRIDGE}gateway_mode_ipv4", f"{BRIDGE}gateway_mode_ipv6"
GATEWAY_MODES = (NAT, UNPROTECTED, ROUTED, ISOLATED)
DEVICE = "com.docker.network.container_iface_prefix"

DRIVERS = ("bridge", "macvlan", "ipvlan")  # whose networks users make
PARENT = "parent"
IPVLAN_FLAG = "ipvlan_flag"
SPARE_PARENTS = {"macvlan": "dm", "ipvlan": "di"}  # how the dummies of networks without a parent are called


class _Modes(NamedTuple):
    option: str
    known: Collection[str]
    default: str


MODES = {
    "macvlan": _Modes("macvlan_mode", rtnetlink.MACVLAN_MODES, "bridge"),
    "ipvlan": _Modes("ipvlan_mode", rtnetlink.IPVLAN_MODES, "l2"),
}

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
    masquerade = boolean(network.options, MASQUERADE, True)
    return Rules(
        bridge_name(network),
        internal=network.internal,
        isolated=not boolean(network.options, ICC, True),
        masquerade=masquerade,
        masquerade6=masquerade,
        gateway=gateway_mode(network, 4),
        gateway6=gateway_mode(network, 6),
    )


def gateway_mode(network: Network, version: int) -> str:
    """Return how those outside get into a network, by IPv4 or IPv6: one of `GATEWAY_MODES`."""
    return network.options.get(GATEWAY_MODE if version == 4 else GATEWAY_MODE6, NAT)


def has_gateway(network: Network, version: int) -> bool:
    """Whether the host is on a network."""
    return network.driver != "bridge" or gateway_mode(network, version) != ISOLATED


def _absent(network: Network) -> set[int]:
    """Return the IP versions that a bridge has no address of."""
    absent = {version for version in (4, 6) if not has_gateway(network, version)}
    return absent | ({4} if boolean(network.options, INHIBIT, False) else set())


def boolean(options: Mapping[str, str], name: str, default: bool) -> bool:
    """Return an option that was found good when the network was made; "" is true, as for a flag."""
    text = options.get(name)
    return default if text is None else _BOOLEANS.get(text, True)


def is_boolean(text: str) -> bool:
    return text in _BOOLEANS


def interface(network: Network) -> str:
    """Return the interface of the host that containers are behind: its bridge, or the parent of theirs."""
    if network.driver == "bridge":
        return bridge_name(network)
    return network.options.get(PARENT) or f"{SPARE_PARENTS[network.driver]}-{network.id[:12]}"


def live(network: Network, site: Site, default_mtu: int, has_parent: Callable[[str], bool]) -> LiveNetwork:
    """Return a network's life in the kernel, before its `setup`.

    `has_parent` tells whether another network is on an interface.
    """
    v4 = _range(network.subnets, 4) if network.enable_ipv4 else None
    v6 = _range(network.subnets, 6) if network.enable_ipv6 else None
    mtu = int(network.options.get(MTU) or 0)
    prefix = network.options.get(DEVICE) or DEVICE_PREFIX
    if network.driver == "bridge":
        return BridgeNetwork(
            site,
            rules(network),
            v4=v4,
            v6=v6,
            mtu=mtu or default_mtu,
            name=network.name,
            identifier=network.id,
            owner=site.table,
            device_prefix=prefix,
            pool_size=READY_ENDPOINTS,
            on_demand=True,
            absent=_absent(network),
            named=True,
        )
    parent = interface(network)
    spare = not network.options.get(PARENT)
    return ParentNetwork(
        _kind(network),
        parent,
        spare=spare,
        owner=site.table,
        shared=lambda: has_parent(parent),
        v4=v4,
        v6=v6,
        mtu=mtu,
        name=network.name,
        identifier=network.id,
        device_prefix=prefix,
        routed=not network.internal and not spare,
    )


def _kind(network: Network) -> Kind:
    mode = network.options.get(MODES[network.driver].option)
    if network.driver == "macvlan":
        return Kind("macvlan", rtnetlink.macvlan_data(mode or "bridge"))
    flag = network.options.get(IPVLAN_FLAG) or "bridge"
    data = rtnetlink.ipvlan_data(mode or "l2", flag)
    return Kind("ipvlan", data, has_mac=False, direct=(mode or "l2") != "l2")


def check_parent_options(driver: str, options: Mapping[str, str]) -> None:
    """Refuse bad values of the options of macvlan and ipvlan, in Docker's words."""
    mode, known, default = MODES[driver]
    if options.get(mode, default) not in ("", *known):
        raise InvalidArgument(
            f"requested {driver} mode '{options[mode]}' is not valid, "
            f"'{default}' mode is the {driver} driver default"
        )
    if driver == "ipvlan" and options.get(IPVLAN_FLAG, "") not in ("", *rtnetlink.IPVLAN_FLAGS):
        raise InvalidArgument(
            f"requested ipvlan flag '{options[IPVLAN_FLAG]}' is not valid, 'bridge' is the ipvlan driver default"
        )
    if options.get(PARENT) == "lo":
        raise InvalidArgument(f"loopback interface is not a valid {driver} parent link")


def refuse_taken(network: Network, others: Iterable[Network]) -> None:
    """Refuse an interface that another network has for itself. Raises `Forbidden` in Docker's words."""
    name = interface(network)
    for other in others:
        if other.driver not in DRIVERS or other.config_only or interface(other) != name:
            continue
        if network.driver == other.driver == "bridge":
            raise Forbidden(
                f"cannot create network {network.id} ({name}): conflicts with network {other.id} ({name}): "
                "networks have same bridge name"
            )
        if network.driver == other.driver == "ipvlan":
            spare = f"{SPARE_PARENTS['ipvlan']}-{other.id[:12]}"
            raise Forbidden(f"network {spare} is already using parent interface {name}")
        if network.driver == other.driver == "macvlan":
            using = f"macvlan network {other.id} is already using parent interface {name}"
            if _is_passthru(network):
                raise Forbidden(f"cannot use mode passthru, {using}")
            if _is_passthru(other):
                raise Forbidden(f"{using} in mode passthru")


def _is_passthru(network: Network) -> bool:
    return network.options.get(MODES["macvlan"].option) == "passthru"


def _range(subnets: list[Subnet], version: int) -> Range | None:
    for each in subnets:
        network = ip_network(each.subnet)
        if network.version == version:
            # Without a gateway, an address that nobody is given.
            gateway = each.gateway or network.broadcast_address
            return Range(
                ip_interface(f"{gateway}/{network.prefixlen}"),
                within=ip_network(each.range) if each.range else None,
                taken=[ip_address(address) for address in each.auxiliary.values()],
            )
    return None
