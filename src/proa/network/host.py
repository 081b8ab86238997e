"""What matters of the host: its uplink, other users of bridges, other engines."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proa.errors import Unavailable
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.linux.nftables import NFPROTO_IPV4, NFPROTO_IPV6

DEFAULT_MTU = 1500
_BRIDGE_FILTERS = {
    NFPROTO_IPV4: "/proc/sys/net/bridge/bridge-nf-call-iptables",
    NFPROTO_IPV6: "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
}
_LOCKED_AT_MOST = 10.0  # seconds
_POLL = 0.005


def uplink_mtu(route: Socket, bridge: str) -> int:
    """Return the MTU of the default route's interface, where larger packets of containers would be lost."""
    links = {link.index: link for link in rtnetlink.links(route)}
    defaults = [
        found
        for found in rtnetlink.routes(route)
        if not found.prefix_length and found.table == rtnetlink.RT_TABLE_MAIN and found.index in links
    ]
    for found in sorted(defaults, key=lambda found: found.priority):
        if links[found.index].name != bridge:
            return links[found.index].mtu
    return DEFAULT_MTU


def has_bridges(route: Socket) -> bool:
    """Whether somebody else on this host may need forwarding by now."""
    return any(link.kind == "bridge" for link in rtnetlink.links(route))


def filtered_by_bridges() -> list[int]:
    """Return the families whose packets pass the firewall when bridges switch them, as well (br_netfilter).

    Of the calling thread's namespace.
    """
    switches = ((family, Path(path)) for family, path in _BRIDGE_FILTERS.items())
    return [family for family, path in switches if path.exists() and path.read_bytes().strip() != b"0"]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep engines from choosing the same subnet: abstract names are unique in a network namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        deadline = time.monotonic() + _LOCKED_AT_MOST
        while True:
            try:
                lock.bind("\0proa-network-setup")
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                if time.monotonic() > deadline:
                    raise Unavailable("another engine is setting up its network") from error
                time.sleep(_POLL)
        yield
