"""Endpoints: a network namespace with an interface plugged into a bridge, with addresses and routes, ready.

A new namespace has no name and is mounted nowhere. It lives as long as the descriptor, or a process in it, and
takes its interfaces with it when it goes: a killed engine leaves none behind.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from proa.linux import rtnetlink
from proa.linux.namespaces import CLONE_NEWNET, new_network, setns
from proa.linux.netlink import Message, Socket
from proa.network.addresses import Address, Interface, format_mac, random_mac
from proa.network.leases import ANY, Pair
from proa.network.name_sockets import NameSockets, open_here

DEVICE_PREFIX = "eth"
# No engine that names its interfaces "veth" and hexadecimal digits makes names with a p; udev's and
# NetworkManager's rules for veth* apply.
_PREFIX = "vethp"
OURS = re.compile(_PREFIX + "[0-9a-f]{8}")
# The bridge lets a new port's packets through a moment after it came up; at most so many seconds.
_SETTLED = 0.1
_LINK_LOCAL_PREFIX = {4: 16, 6: 64}  # bits: 169.254.0.0/16 (RFC 3927), fe80::/64 (RFC 4291, 2.5.6)
_THREAD_NAMESPACE = "/proc/thread-self/ns/net"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the endpoints of a network have in common."""

    gateway: IPv4Interface | None  # with the subnet; None: no IPv4
    gateway6: IPv6Interface | None = None
    mtu: int = 0  # 0: the kernel's
    device_prefix: str = DEVICE_PREFIX
    routed: bool = True  # False: it leads nowhere, its containers get no default route
    isolated: bool = False  # its containers do not reach each other
    direct: bool = False  # the default route leads to the interface itself: everybody outside is reached by it
    named: bool = False  # containers have names on it: a new namespace is given the name server's sockets


@dataclass(frozen=True, slots=True)
class Order:
    """What one endpoint is to be like, where it is not like all others of its network."""

    addresses: Pair = ANY  # what is None in it is chosen
    mac: bytes = b""  # b"": the one that goes with the address
    device: str = ""  # the interface's name inside; "" is the first one's
    namespace: int = -1  # descriptor of one that exists, the caller's; -1 makes a new one
    routed: bool = True  # whether the default route leads here, if the network leads anywhere
    routed6: bool = True  # the same of IPv6
    sysctls: tuple[tuple[str, str], ...] = ()  # paths below /proc/sys and their values
    link_local: tuple[Address, ...] = ()  # addresses beside those of the network

    @property
    def plain(self) -> bool:
        """Whether any endpoint that is ready will do."""
        return self == PLAIN


PLAIN = Order()


@dataclass(slots=True)
class Endpoint:
    """A place on a network. Whoever holds it closes it; the processes in it keep the namespace."""

    netns_fd: int  # of a namespace made for it; -1 once closed, and for one that was there before
    address: str  # "172.17.0.2"; "" without IPv4
    prefix_length: int
    gateway: str  # "" where the network leads nowhere
    mac_address: str  # "02:42:ac:11:00:02"
    interface: str  # the host's side; "" without one
    index: int  # its number
    address6: str = ""
    prefix_length6: int = 0
    gateway6: str = ""
    device: str = f"{DEVICE_PREFIX}0"  # its name inside
    name_sockets: NameSockets | None = None  # of its namespace, where the network has names

    @property
    def pair(self) -> Pair:
        return Pair.parse(self.address, self.address6)

    def close(self) -> None:
        """Close the descriptors. Without a process in it, the namespace is gone within some 20 ms."""
        descriptor, self.netns_fd = self.netns_fd, -1
        if descriptor >= 0:
            os.close(descriptor)
        if self.name_sockets:
            self.name_sockets.close()


class Workshop:
    """Makes endpoints on the bridge with the index `bridge`.

    Subclasses make other kinds of interfaces. To be made in the host's namespace and used by one thread at a
    time, which wanders between namespaces; raises `OSError`.
    """

    _has_mac = True  # whether its interfaces have MAC addresses of their own

    def __init__(self, bridge: int, plan: Plan) -> None:
        self._bridge = bridge
        self.plan = plan
        self._home = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        self._host = Socket()
        self._ipv6 = rtnetlink.has_ipv6()

    def close(self) -> None:
        """Close what it holds. The endpoints stay."""
        self._host.close()
        os.close(self._home)

    def make(self, pair: Pair, order: Order = PLAIN) -> Endpoint:
        """Make an endpoint with these addresses (2 ms). Another MAC address than theirs is `change_mac`'s."""
        mac = pair.mac
        device = order.device or f"{self.plan.device_prefix}0"
        descriptor, interface, sockets = -1, None, None
        try:
            if order.namespace >= 0:
                setns(order.namespace, CLONE_NEWNET)
            else:
                new_network()
                descriptor = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            with Socket() as inside:
                namespace = order.namespace if descriptor < 0 else descriptor
                interface = self._plug(namespace, device, mac)
                configure(inside, device, pair, self.plan, order)
            index = index_of(self._host, interface) if interface else 0
            if self.plan.named and descriptor >= 0:
                sockets = open_here()
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            elif interface is not None:  # a namespace that is not ours keeps what was plugged in
                self.unplug(interface, device, order.namespace)
            raise
        finally:
            setns(self._home, CLONE_NEWNET)
        mac = mac if self._has_mac else b""
        made = endpoint_of(pair, self.plan, descriptor, mac=mac, device=device, interface=interface, index=index)
        made.name_sockets = sockets
        return made

    def _plug(self, namespace: int, device: str, mac: bytes) -> str:
        """Make the interface in its namespace; return the name of the host's side, if there is one."""
        name = _PREFIX + os.urandom(4).hex()
        self._host.execute(
            rtnetlink.add_veth(
                name,
                device,
                mac=random_mac(),
                peer_mac=mac,
                mtu=self.plan.mtu,
                master=self._bridge,
                peer_netns=namespace,
            ),
            *([rtnetlink.isolate_port(name)] if self.plan.isolated else []),
            rtnetlink.set_link(0, name, up=True, link_local=not self._ipv6),
        )
        return name

    def unplug(self, interface: str, device: str, namespace: int) -> None:
        """Take an endpoint from its container by the host's side of it; one that is gone is no error."""
        remove_link(self._host, interface)

    def change_mac(self, endpoint: Endpoint, mac: bytes, namespace: int = -1) -> None:
        """Give an endpoint another MAC address, or the same again, and tell its neighbours (gratuitous ARP).

        `namespace` is where it is, if that was not made for it.
        """
        self._settle(endpoint)
        inside_of = namespace if endpoint.netns_fd < 0 else endpoint.netns_fd
        with self._within(inside_of), Socket() as inside:
            inside.execute(rtnetlink.set_link(0, endpoint.device, mac=mac))
        endpoint.mac_address = format_mac(mac)

    @contextmanager
    def _within(self, namespace: int) -> Iterator[None]:
        setns(namespace, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(self._home, CLONE_NEWNET)

    def _settle(self, endpoint: Endpoint) -> None:
        deadline = time.monotonic() + (_SETTLED if endpoint.index else 0)
        while time.monotonic() < deadline:
            link = rtnetlink.link(self._host, index=endpoint.index)
            if link is None or link.operational:
                return
            time.sleep(_SETTLED / 200)

    def exists(self, index: int) -> bool:
        """Whether the host's side of an endpoint is still there."""
        return rtnetlink.link(self._host, index=index) is not None


def configure(inside: Socket, device: str, pair: Pair, plan: Plan, order: Order) -> None:
    """Give the interface of an endpoint, in whose namespace the thread is, its settings, and bring it up."""
    for path, value in _sysctls(device, ipv6=pair.v6 is not None):
        write_sysctl(path, value)
    # Usually 2; with the modules of tunnels loaded, a new namespace is born with more than lo.
    index = index_of(inside, device)
    changes: list[Message] = [] if order.namespace >= 0 else [rtnetlink.set_link(1, "lo", up=True)]
    both = ((pair.v4, plan.gateway), (pair.v6, plan.gateway6))
    known: list[tuple[Address, Interface]] = [(own, gateway) for own, gateway in both if own and gateway]
    for own, gateway in known:
        changes.append(rtnetlink.add_address(index, own.packed, gateway.network.prefixlen))
    for own in order.link_local:
        changes.append(rtnetlink.add_address(index, own.packed, _LINK_LOCAL_PREFIX[own.version]))
    changes.append(rtnetlink.set_link(index, device, up=True))
    if plan.routed and plan.direct:
        changes += [rtnetlink.add_direct_route(index, gateway.ip.packed) for _own, gateway in known]
    elif plan.routed:
        ways = [gateway.ip for _own, gateway in known if (order.routed if gateway.version == 4 else order.routed6)]
        changes += [rtnetlink.add_route(index, gateway=way.packed) for way in ways]
    inside.execute(*changes)
    for name, text in order.sysctls:
        write_sysctl(f"/proc/sys/{name}", text.encode())


def _sysctls(device: str, *, ipv6: bool) -> tuple[tuple[str, bytes], ...]:
    """What is written while the interface is down. With *_notify a changed MAC address is announced."""
    v4, v6 = f"/proc/sys/net/ipv4/conf/{device}", f"/proc/sys/net/ipv6/conf/{device}"
    announce = (f"{v4}/arp_notify", b"1")
    if not ipv6:
        # Without IPv6 on the network there is none on the interface (Docker's rule; ::1 stays).
        return announce, (f"{v6}/disable_ipv6", b"1")
    return (
        announce,
        (f"{v6}/disable_ipv6", b"0"),
        (f"{v6}/ndisc_notify", b"1"),
        # Addresses are the engine's to give: none from routers, and nobody else can have them already.
        (f"{v6}/accept_ra", b"0"),
        (f"{v6}/autoconf", b"0"),
        (f"{v6}/dad_transmits", b"0"),
    )


def endpoint_of(
    pair: Pair, plan: Plan, netns_fd: int, *, mac: bytes, device: str, interface: str, index: int
) -> Endpoint:
    """Return the description of an endpoint that was made."""
    v4, v6 = plan.gateway if pair.v4 else None, plan.gateway6 if pair.v6 else None
    return Endpoint(
        netns_fd=netns_fd,
        address=str(pair.v4 or ""),
        prefix_length=v4.network.prefixlen if v4 else 0,
        gateway=str(v4.ip) if v4 and plan.routed and not plan.direct else "",
        address6=str(pair.v6 or ""),
        prefix_length6=v6.network.prefixlen if v6 else 0,
        gateway6=str(v6.ip) if v6 and plan.routed and not plan.direct else "",
        mac_address=format_mac(mac),
        device=device,
        interface=interface,
        index=index,
    )


def index_of(route: Socket, name: str) -> int:
    """Return the number of an interface that was there a moment ago."""
    link = rtnetlink.link(route, name)
    if link is None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), f"find link {name}")
    return link.index


def remove_link(route: Socket, name: str) -> None:
    """Remove an interface; one that is gone is no error."""
    try:
        route.execute(rtnetlink.delete_link(0, name))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


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
