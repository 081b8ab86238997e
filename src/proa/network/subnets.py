"""Which addresses a bridge gets: the configured one, or the first subnet that nothing on this host uses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from proa import wording
from proa.errors import InvalidArgument
from proa.linux import rtnetlink
from proa.linux.netlink import Socket

# Docker's default address pools, in its order: (where from, prefix length of each subnet).
DEFAULT_POOLS = (
    *((IPv4Network((f"172.{second}.0.0", 16)), 16) for second in range(17, 32)),
    (IPv4Network("192.168.0.0/16"), 20),
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


class Neighbourhood:
    """The subnets this host uses or reaches other than by its default routes, each with who uses it."""

    def __init__(self, uses: Iterable[tuple[IPv4Network, str]]) -> None:
        self._uses = list(uses)

    @classmethod
    def read(cls, route: Socket, *, without: str = "", resolv_conf: Path = _RESOLV_CONF) -> Neighbourhood:
        """Read routes (of all tables), addresses and name servers, leaving out the interface `without`."""
        names = {link.index: link.name for link in rtnetlink.links(route)}
        return cls(
            (network, owner)
            for network, owner in (*_routed(route, names), *_name_servers(resolv_conf))
            if owner != without
        )

    def clash(self, subnet: IPv4Network) -> str:
        """Return what `subnet` overlaps with, as "192.0.2.0/24 (eth0)", or ""."""
        for network, owner in self._uses:
            if network.overlaps(subnet):
                return f"{network} ({owner})"
        return ""

    def free_subnet(self, preferred: IPv4Network | None = None) -> IPv4Network:
        """Return `preferred` or else the first subnet of the default pools that clashes with nothing."""
        candidates = (subnet for pool, length in DEFAULT_POOLS for subnet in pool.subnets(new_prefix=length))
        for subnet in (*([preferred] if preferred else []), *candidates):
            if not self.clash(subnet):
                return subnet
        raise wording.no_free_subnet()


def _routed(route: Socket, names: dict[int, str]) -> Iterator[tuple[IPv4Network, str]]:
    # Addresses of interfaces that are down have no routes yet.
    for address in rtnetlink.addresses(route):
        network = IPv4Network((address.address, address.prefix_length), strict=False)
        yield network, names.get(address.index, "address")
    for found in rtnetlink.routes(route):
        if found.prefix_length and len(found.destination) == 4:
            network = IPv4Network((found.destination, found.prefix_length), strict=False)
            yield network, names.get(found.index, "route")


def _name_servers(path: Path) -> Iterator[tuple[IPv4Network, str]]:
    try:
        content = path.read_text(errors="replace")
    except OSError:
        return  # a host without name servers
    for line in content.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                yield IPv4Network(socket.inet_aton(words[1])), "name server"
            except OSError:
                continue  # an IPv6 address
