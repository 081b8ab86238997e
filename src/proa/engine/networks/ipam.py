"""The addresses of a new network: what is given, checked in Docker's words, and what is chosen for it."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Network, ip_address, ip_network

from proa import wording
from proa.engine.networks import drivers
from proa.engine.networks.records import Network, Subnet
from proa.errors import Forbidden, Internal, InvalidArgument
from proa.network.addresses import Addresses
from proa.network.addresses import Subnet as AddressRange
from proa.network.subnets import Neighbourhood, Pool, Use

_LOCAL_ADDRESSES = int(IPv6Network("fd00::/8").network_address)  # RFC 4193


def check(subnets: Sequence[Subnet], *, ipv6: bool) -> None:
    """Refuse subnets that make no sense; those of IPv6 where it is not wanted are not looked at."""
    problems: list[str] = []
    for each in subnets:
        network = _parse(each.subnet)
        if network is None:
            problems.append(f"invalid subnet {each.subnet}: invalid CIDR block notation")
        elif network.version == 4 or ipv6:
            problems += _problems(each, network)
    if problems:
        raise InvalidArgument("invalid network config:\n" + wording.joined(problems))


def _parse(text: str) -> AddressRange | None:
    """Read CIDR notation as Go does: an address, a slash, a number."""
    address, _, length = text.partition("/")
    if not (length.isascii() and length.isdecimal()) or "%" in address:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _problems(each: Subnet, network: AddressRange) -> Iterable[str]:
    if network.network_address != ip_address(each.subnet.partition("/")[0]):
        yield f"invalid subnet {each.subnet}: it should be {network}"
    if each.range:
        yield from _range_problems(each.range, network)
    if each.gateway:
        yield from _address_problems(f"gateway {each.gateway}", each.gateway, network)
    for name, text in each.auxiliary.items():
        yield from _address_problems(f"auxiliary address {name}", text, network)


def _range_problems(text: str, network: AddressRange) -> Iterable[str]:
    found = _parse(text)
    if found is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
        return
    if found.version != network.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{network.version} block"
        return
    if found.prefixlen < network.prefixlen:
        yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {network}"
        return
    if found.network_address != ip_address(text.partition("/")[0]):
        yield f"invalid ip-range {text}: it should be {found}"
    if found.network_address not in network:
        yield f"invalid ip-range {text}: parent subnet {network} doesn't contain ip-range"


def _address_problems(what: str, text: str, network: AddressRange) -> Iterable[str]:
    try:
        address = ip_address(text.replace("%", " "))  # an address with a zone is of no use here
    except ValueError:
        yield f"invalid {what}: invalid address"
        return
    if address.version != network.version:
        yield f"invalid {what}: parent subnet is an IPv{network.version} block"
    elif address not in network:
        yield f"invalid {what}: parent subnet {network} doesn't contain this address"


def complete(
    network: Network, others: Iterable[Network], neighbourhood: Neighbourhood, pools: Sequence[Pool], engine: str
) -> None:
    """Give a network the subnets and gateways that it lacks; refuse those that others have.

    `engine` tells this engine from all others: its IPv6 subnets are derived from it (RFC 4193, 3.2.2).
    """
    for other in others:
        if not other.config_only:
            for each in _used(other):
                neighbourhood.add(Use(ip_network(each.subnet), f"network {other.name}", connected=True))
    for version, wanted in ((4, network.enable_ipv4), (6, network.enable_ipv6)):
        if not wanted:
            continue
        given = [each for each in network.subnets if ip_network(each.subnet).version == version]
        if len(given) > 1 and network.driver == "bridge":
            raise Forbidden("bridge driver doesn't support multiple subnets")
        for each in given:
            _refuse_overlap(each, network, neighbourhood)
        if not given:
            chosen = [pool for pool in pools if pool.base.version == version]
            if version == 6 and not chosen:
                chosen = [local_pool(engine)]
            subnet = neighbourhood.free_subnet(chosen)
            network.subnets.append(Subnet(subnet=str(subnet), automatic=True))
    for each in _used(network):
        if each.gateway or drivers.has_gateway(network, ip_network(each.subnet).version):
            _choose_gateway(each)


def _used(network: Network) -> list[Subnet]:
    """Return the subnets of the families that are in use."""
    enabled = {4: network.enable_ipv4, 6: network.enable_ipv6}
    return [each for each in network.subnets if enabled[ip_network(each.subnet).version]]


def _refuse_overlap(each: Subnet, network: Network, neighbourhood: Neighbourhood) -> None:
    subnet = ip_network(each.subnet)
    # A network on a parent interface is a part of that one's network: it shares the host's own subnets.
    among = neighbourhood if network.driver == "bridge" else neighbourhood.networks()
    if clash := among.clash(subnet, connected=True):
        raise wording.pool_overlaps(each.subnet, clash)
    neighbourhood.add(Use(subnet, f"network {network.name}", connected=True))


def _choose_gateway(each: Subnet) -> None:
    subnet = ip_network(each.subnet)
    if each.gateway:
        alone = subnet.prefixlen >= subnet.max_prefixlen - 1
        ends = (subnet.network_address, subnet.broadcast_address) if subnet.version == 4 else (subnet[0],)
        if not alone and ip_address(each.gateway) in ends:
            raise Internal(f"failed to allocate gateway ({each.gateway}): Address already in use")
    else:
        each.gateway, each.implicit_gateway = str(_first(each)), not each.automatic
    for name, text in each.auxiliary.items():
        if ip_address(text) == ip_address(each.gateway):
            raise Forbidden(f"failed to allocate secondary ip address ({name}:{text}): Address already in use")


def _first(each: Subnet) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the first address that is given out: the gateway's, where none is named."""
    subnet = ip_network(each.subnet)
    nobody = ipaddress.ip_interface(f"{subnet.broadcast_address}/{subnet.prefixlen}")
    if subnet.num_addresses == 1:
        return subnet.network_address
    found = Addresses(nobody, within=ip_network(each.range) if each.range else None).allocate()
    assert found is not None
    return found


def local_pool(engine: str) -> Pool:
    """Return the /48 of unique local addresses that an engine has, in pieces of /64."""
    number = int.from_bytes(hashlib.sha256(engine.encode()).digest()[:5], "big")
    return Pool(IPv6Network((_LOCAL_ADDRESSES | number << 80, 48)), 64)
