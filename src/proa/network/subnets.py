"""Which addresses a bridge gets: the configured one, or the first subnet that nothing on this host uses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv4Network, ip_network
from pathlib import Path
from typing import NamedTuple

from proa import wording
from proa.errors import InvalidArgument
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.addresses import Subnet


class Pool(NamedTuple):
    """Where subnets come from: cut out of `base`, each with this prefix length."""

    base: Subnet
    size: int

    def subnets(self) -> Iterator[Subnet]:
        return self.base.subnets(new_prefix=self.size)


# Of the default bridge: Docker's default address pools, in its order.
DEFAULT_POOLS = (
    *(Pool(IPv4Network((f"172.{second}.0.0", 16)), 16) for second in range(17, 32)),
    Pool(IPv4Network("192.168.0.0/16"), 20),
)
# Of the other networks: the same space in smaller pieces, 480 of them where Docker has 30; 4093 containers in each
# of the first 224.
USER_POOLS = (
    *(Pool(IPv4Network((f"172.{second}.0.0", 16)), 20) for second in range(18, 32)),
    Pool(IPv4Network("192.168.0.0/16"), 24),
    Pool(IPv4Network("172.17.0.0/16"), 20),
)
_RESOLV_CONF = Path("/etc/resolv.conf")


def parse_bridge_address(bip: str) -> IPv4Interface:
    """Return the address of dockerd's option --bip, "172.18.0.1/16"; `InvalidArgument` in Docker's words."""
    address, slash, prefix_length = bip.partition("/")
    try:
        if not slash or not prefix_length.isdecimal():
            raise ValueError(bip)
        found = ipaddress.ip_interface(f"{address}/{prefix_length}")
    except ValueError:
        raise wording.invalid_cidr(bip) from None
    if not isinstance(found, IPv4Interface):
        raise InvalidArgument(f"invalid bip {bip}: not an IPv4 address")
    if found.network.prefixlen > 30:
        raise InvalidArgument(f"invalid bip {bip}: no room for containers")
    if found.ip in (found.network.network_address, found.network.broadcast_address):
        raise wording.gateway_in_use(str(found.ip))
    return found


class Use(NamedTuple):
    """A subnet that somebody on this host uses."""

    network: Subnet
    owner: str  # an interface, or what it is
    connected: bool = False  # its hosts are the owner's neighbours, not behind a gateway


class Neighbourhood:
    """The subnets this host uses or reaches other than by its default routes, each with who uses it."""

    def __init__(self, uses: Iterable[Use]) -> None:
        self._uses = list(uses)
        self._found = len(self._uses)

    @classmethod
    def read(cls, route: Socket, *, without: str = "", resolv_conf: Path = _RESOLV_CONF) -> Neighbourhood:
        """Read routes (of all tables), addresses and name servers, leaving out the interface `without`."""
        names = {link.index: link.name for link in rtnetlink.links(route)}
        return cls(use for use in (*_routed(route, names), *_name_servers(resolv_conf)) if use.owner != without)

    def clash(self, subnet: Subnet, *, connected: bool = False) -> str:
        """Return what `subnet` overlaps with, as "192.0.2.0/24 (eth0)", or ""; only with neighbours' if asked."""
        for use in self._uses:
            if connected and not use.connected:
                continue
            if use.network.version == subnet.version and use.network.overlaps(subnet):
                return f"{use.network} ({use.owner})"
        return ""

    def free_subnet(self, pools: Iterable[Pool], preferred: Subnet | None = None) -> Subnet:
        """Return `preferred` or else the first subnet of the pools that clashes with nothing."""
        candidates = (subnet for pool in pools for subnet in pool.subnets())
        for subnet in (*([preferred] if preferred else []), *candidates):
            if not self.clash(subnet):
                return subnet
        raise wording.no_free_subnet()

    def networks(self) -> Neighbourhood:
        """Return what was added to it only."""
        return Neighbourhood(self._uses[self._found :])

    def add(self, use: Use) -> None:
        """Take one more into account."""
        self._uses.append(use)


def _routed(route: Socket, names: dict[int, str]) -> Iterator[Use]:
    families = (socket.AF_INET, socket.AF_INET6) if rtnetlink.has_ipv6() else (socket.AF_INET,)
    for family in families:
        # Addresses of interfaces that are down have no routes yet.
        for address in rtnetlink.addresses(route, family):
            network = ip_network((address.address, address.prefix_length), strict=False)
            if not (network.version == 6 and network.is_link_local):
                yield Use(network, names.get(address.index, "address"), connected=True)
        for found in rtnetlink.routes(route, family):
            if found.prefix_length and found.destination:
                network = ip_network((found.destination, found.prefix_length), strict=False)
                if not (network.version == 6 and (network.is_link_local or network.is_multicast)):
                    yield Use(network, names.get(found.index, "route"), connected=not found.gateway)


def _name_servers(path: Path) -> Iterator[Use]:
    try:
        content = path.read_text(errors="replace")
    except OSError:
        return  # a host without name servers
    for line in content.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                yield Use(IPv4Network(socket.inet_aton(words[1])), "name server")
            except OSError:
                continue  # an IPv6 address
