"""A bridge of ours in the kernel: made, found again after a restart, removed."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface

from proa.errors import Conflict
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.addresses import random_mac
from proa.network.endpoint import OURS

# An interface's alias tells a bridge we made, and may remove, from one that was made for us.
_ALIAS = "proa"
_GONE_WITHIN, _POLL = 0.3, 0.005  # seconds that interfaces of closed namespaces are given to vanish


class Bridge:
    """The bridge `name`, through a route socket of its namespace. Methods raise `OSError`."""

    def __init__(self, route: Socket, name: str) -> None:
        self._route = route
        self.name = name

    def find(self) -> rtnetlink.Link | None:
        """Return the bridge if there is one; `Conflict` for another kind of interface with its name."""
        link = rtnetlink.link(self._route, self.name)
        if link is not None and link.kind != "bridge":
            raise Conflict(f"interface {self.name} exists and is not a bridge")
        return link

    def address(self) -> IPv4Interface | None:
        """Return the first IPv4 address it has."""
        link = self.find()
        return next(iter(self._addresses(link.index)), None) if link else None

    def ensure(self, address: IPv4Interface, mtu: int) -> rtnetlink.Link:
        """Make it, or find it, with this address, and return it; one that others made keeps all it has."""
        link = self.find()
        if link is None:
            # In one system call: no death of the engine leaves a bridge without the mark that it is ours.
            self._route.execute(
                rtnetlink.add_bridge(self.name, mac=random_mac()),
                rtnetlink.set_link(0, self.name, alias=_ALIAS, link_local=not rtnetlink.has_ipv6()),
            )
            link = self.find()
            if link is None:
                raise Conflict(f"bridge {self.name} was removed while it was set up")
        present = self._addresses(link.index)
        ours = link.alias == _ALIAS
        changes = [
            rtnetlink.delete_address(link.index, old.ip.packed, old.network.prefixlen)
            for old in present
            if ours and old != address
        ]
        if address not in present:
            changes.append(rtnetlink.add_address(link.index, address.ip.packed, address.network.prefixlen))
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

    def remove_endpoints(self, keep: Iterable[str] = ()) -> None:
        """See our endpoints go but those called `keep`: most do by themselves, with their last holder."""
        kept = frozenset(keep)
        deadline = time.monotonic() + _GONE_WITHIN
        while True:
            orphans = [port for name, port in self.endpoints().items() if name not in kept]
            if not orphans:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL)
        for orphan in orphans:
            try:
                self._route.execute(rtnetlink.delete_link(orphan.index, orphan.name))
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise

    def remove(self) -> None:
        """Remove it if it is there and was made by `ensure`."""
        link = self.find()
        if link is not None and link.alias == _ALIAS:
            self._route.execute(rtnetlink.delete_link(link.index, self.name))

    def _addresses(self, index: int) -> list[IPv4Interface]:
        return [
            IPv4Interface((IPv4Address(found.address), found.prefix_length))
            for found in rtnetlink.addresses(self._route)
            if found.index == index
        ]
