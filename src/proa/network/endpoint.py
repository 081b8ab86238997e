"""Endpoints: a network namespace whose eth0 is plugged into a bridge, with address and route, ready.

The namespace has no name and is mounted nowhere. It lives as long as the descriptor, or a process in it, and
takes its interfaces with it when it goes: a killed engine leaves none behind.
"""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from proa.linux import rtnetlink
from proa.linux.namespaces import CLONE_NEWNET, new_network, setns
from proa.linux.netlink import Socket
from proa.network.addresses import format_mac, mac_of, random_mac

INTERFACE = "eth0"
# No engine that names its interfaces "veth" and hexadecimal digits makes names with a p; udev's and
# NetworkManager's rules for veth* apply.
_PREFIX = "vethp"
OURS = re.compile(_PREFIX + "[0-9a-f]{8}")
# The bridge lets a new port's packets through a moment after it came up; at most so many seconds.
_SETTLED = 0.1
_THREAD_NAMESPACE = "/proc/thread-self/ns/net"

# Written in the new namespace while eth0 is down. Without IPv6 on the network there is none on the interface
# (Docker's rule; ::1 stays). With arp_notify a changed MAC address is announced to the neighbours.
_SYSCTLS = (
    (f"/proc/sys/net/ipv6/conf/{INTERFACE}/disable_ipv6", b"1"),
    (f"/proc/sys/net/ipv4/conf/{INTERFACE}/arp_notify", b"1"),
)


@dataclass(slots=True)
class Endpoint:
    """A place on a bridge. Whoever holds it closes it; the processes in it keep the namespace."""

    netns_fd: int  # -1 once closed
    address: str  # "172.17.0.2"
    prefix_length: int
    gateway: str
    mac_address: str  # "02:42:ac:11:00:02"
    interface: str  # the host's side
    index: int  # its number

    def close(self) -> None:
        """Close the descriptor. Without a process in it, the namespace is gone within some 20 ms."""
        descriptor, self.netns_fd = self.netns_fd, -1
        if descriptor >= 0:
            os.close(descriptor)


class Workshop:
    """Makes endpoints on the bridge with the index `bridge`, whose address is `gateway`.

    To be made and used by one thread of its own, since it wanders between namespaces; raises `OSError`.
    """

    def __init__(self, bridge: int, gateway: IPv4Interface, mtu: int) -> None:
        self._bridge = bridge
        self._gateway = gateway
        self._mtu = mtu
        self._home = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        self._host = Socket()
        self._ipv6 = rtnetlink.has_ipv6()

    def close(self) -> None:
        """Close what it holds. The endpoints stay."""
        self._host.close()
        os.close(self._home)

    def make(self, address: IPv4Address) -> Endpoint:
        """Make an endpoint (1.5 ms)."""
        mac = mac_of(address)
        name = _PREFIX + os.urandom(4).hex()
        descriptor = -1
        try:
            new_network()
            descriptor = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            with Socket() as inside:
                self._connect(inside, descriptor, name, address, mac)
            index = _index_of(self._host, name)
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            raise
        finally:
            setns(self._home, CLONE_NEWNET)
        return Endpoint(
            netns_fd=descriptor,
            address=str(address),
            prefix_length=self._gateway.network.prefixlen,
            gateway=str(self._gateway.ip),
            mac_address=format_mac(mac),
            interface=name,
            index=index,
        )

    def _connect(self, inside: Socket, namespace: int, name: str, address: IPv4Address, mac: bytes) -> None:
        self._host.execute(
            rtnetlink.add_veth(
                name,
                INTERFACE,
                mac=random_mac(),
                peer_mac=mac,
                mtu=self._mtu,
                master=self._bridge,
                peer_netns=namespace,
            ),
            rtnetlink.set_link(0, name, up=True, link_local=not self._ipv6),
        )
        for path, value in _SYSCTLS:
            write_sysctl(path, value)
        # Usually 2; with the modules of tunnels loaded, a new namespace is born with more than lo.
        index = _index_of(inside, INTERFACE)
        inside.execute(
            rtnetlink.set_link(1, "lo", up=True),
            rtnetlink.add_address(index, address.packed, self._gateway.network.prefixlen),
            rtnetlink.set_link(index, INTERFACE, up=True),
            rtnetlink.add_route(index, gateway=self._gateway.ip.packed),
        )

    def change_mac(self, endpoint: Endpoint, mac: bytes) -> None:
        """Give an endpoint another MAC address, or the same again, and tell its neighbours (gratuitous ARP)."""
        self._settle(endpoint)
        setns(endpoint.netns_fd, CLONE_NEWNET)
        try:
            with Socket() as inside:
                inside.execute(rtnetlink.set_link(0, INTERFACE, mac=mac))
        finally:
            setns(self._home, CLONE_NEWNET)
        endpoint.mac_address = format_mac(mac)

    def _settle(self, endpoint: Endpoint) -> None:
        deadline = time.monotonic() + _SETTLED
        while time.monotonic() < deadline:
            link = rtnetlink.link(self._host, index=endpoint.index)
            if link is None or link.operational:
                return
            time.sleep(_SETTLED / 200)

    def exists(self, index: int) -> bool:
        """Whether the host's side of an endpoint is still there."""
        return rtnetlink.link(self._host, index=index) is not None


def _index_of(route: Socket, name: str) -> int:
    link = rtnetlink.link(route, name)
    if link is None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), f"find link {name}")
    return link.index


def write_sysctl(path: str, value: bytes) -> None:
    """Set a kernel parameter of the calling thread's namespace; one that this kernel lacks is left out."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, value)
    finally:
        os.close(descriptor)
