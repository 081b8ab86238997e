"""A bridge of ours in the kernel: made, found again after a restart, removed."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from proa.errors import Conflict
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.addresses import Interface, random_mac
from proa.network.endpoint import OURS, remove_link, write_sysctl
from proa.network.failures import kernel_errors

_log = logging.getLogger(__name__)

# An interface's alias tells a bridge we made, and may remove, from one that was made for us.
_ALIAS = "proa"
# Neighbours are asked for from a link-local address (RFC 4861, 7.2.2), which a bridge only has for certain when
# it is given one; Docker's choice, too.
_LINK_LOCAL = IPv6Interface("fe80::1/64")
_GONE_WITHIN, _POLL = 0.3, 0.005  # seconds that interfaces of closed namespaces are given to vanish


class Bridge:
    """The bridge `name`, through a route socket of its namespace. Methods raise `OSError`.

    `owner` tells the bridges of one engine's networks from all others; its default bridge is nobody's.
    """

    def __init__(self, route: Socket, name: str, owner: str = "") -> None:
        self._route = route
        self.name = name
        self._alias = mark(owner)

    def find(self) -> rtnetlink.Link | None:
        """Return the bridge if there is one; `Conflict` for another kind of interface with its name."""
        link = rtnetlink.link(self._route, self.name)
        if link is not None and link.kind != "bridge":
            raise Conflict(f"interface {self.name} exists and is not a bridge")
        return link

    def address(self) -> IPv4Interface | None:
        """Return the first IPv4 address it has."""
        link = self.find()
        found = self._addresses(link.index) if link else []
        return next((each for each in found if isinstance(each, IPv4Interface)), None)

    def ensure(self, addresses: Iterable[Interface], mtu: int) -> rtnetlink.Link:
        """Make it, or find it, with these addresses, and return it; one that others made keeps all it has."""
        link = self.find()
        if link is None:
            # In one system call: no death of the engine leaves a bridge without the mark that it is ours.
            self._route.execute(
                rtnetlink.add_bridge(self.name, mac=random_mac()),
                rtnetlink.set_link(0, self.name, alias=self._alias, link_local=not rtnetlink.has_ipv6()),
            )
            link = self.find()
            if link is None:
                raise Conflict(f"bridge {self.name} was removed while it was set up")
        wanted = list(addresses)
        if any(each.version == 6 for each in wanted):
            wanted.append(_LINK_LOCAL)
            write_sysctl(f"/proc/sys/net/ipv6/conf/{self.name}/disable_ipv6", b"0")
            write_sysctl(f"/proc/sys/net/ipv6/conf/{self.name}/accept_ra", b"0")
        present = self._addresses(link.index)
        ours = link.alias == self._alias
        changes = [
            rtnetlink.delete_address(link.index, old.ip.packed, old.network.prefixlen)
            for old in present
            if ours and old not in wanted and not _is_automatic(old)
        ]
        changes += [
            rtnetlink.add_address(link.index, new.ip.packed, new.network.prefixlen)
            for new in wanted
            if new not in present
        ]
        # An MTU that is changed, unlike one that a bridge is made with, does not follow that of its ports.
        self._route.execute(*changes, rtnetlink.set_link(link.index, self.name, up=True, mtu=mtu if ours else 0))
        return self.find() or link

    def endpoints(self) -> dict[str, rtnetlink.Link]:
        """Return the host's sides of our endpoints on it, by name; ports others plugged in are left out."""
        link = self.find()
        if link is None:
            return {}
        return {
            port.name: port
            for port in rtnetlink.links(self._route)
            if port.master == link.index and port.kind == "veth" and OURS.fullmatch(port.name)
        }

    def remove_endpoints(self, keep: Iterable[str] = ()) -> bool:
        """See our endpoints go but those called `keep`: most do by themselves, with their last holder.

        Returns whether some had to be taken from somebody.
        """
        kept = frozenset(keep)
        deadline = time.monotonic() + _GONE_WITHIN
        while True:
            orphans = [port for name, port in self.endpoints().items() if name not in kept]
            if not orphans:
                return False
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL)
        for orphan in orphans:
            try:
                self._route.execute(rtnetlink.delete_link(orphan.index, orphan.name))
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
        return True

    def remove(self) -> None:
        """Remove it if it is there and was made by `ensure`."""
        link = self.find()
        if link is not None and link.alias == self._alias:
            self._route.execute(rtnetlink.delete_link(link.index, self.name))

    def _addresses(self, index: int) -> list[Interface]:
        families = (socket.AF_INET, socket.AF_INET6) if rtnetlink.has_ipv6() else (socket.AF_INET,)
        return [
            ip_interface((ip_address(found.address), found.prefix_length))
            for family in families
            for found in rtnetlink.addresses(self._route, family)
            if found.index == index
        ]


def _is_automatic(address: Interface) -> bool:
    """Whether the kernel gave an interface the address."""
    return isinstance(address.ip, IPv6Address) and address.ip.is_link_local


def mark(owner: str) -> str:
    """Return the alias of what an owner's networks are made of: bridges, and parents of macvlan and ipvlan."""
    return f"{_ALIAS} {owner}" if owner else _ALIAS


def remove_strangers(route: Socket, owner: str, known: Iterable[str]) -> list[str]:
    """Remove the interfaces of an owner that are not `known`, with all that is plugged in; return their names."""
    names = frozenset(known)
    strangers = [link for link in rtnetlink.links(route) if link.alias == mark(owner) and link.name not in names]
    for link in strangers:
        if link.kind == "bridge":
            bridge = Bridge(route, link.name, owner)
            bridge.remove_endpoints()
            bridge.remove()
        else:
            remove_link(route, link.name)
    return [link.name for link in strangers]


def sweep(owner: str, known: Iterable[str]) -> None:
    """Remove an owner's interfaces that nobody knows any more; raises `KernelError`."""
    with kernel_errors(), Socket() as route:
        for name in remove_strangers(route, owner, known):
            _log.info("removed the interface %s, which an interrupted engine left", name)
