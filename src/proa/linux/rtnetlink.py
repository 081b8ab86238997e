"""Links, addresses and routes through rtnetlink(7).

A function either makes a `Message` for `netlink.Socket.execute`, so that several travel in one system call,
or reads the kernel's tables. Addresses are packed (4 or 16 bytes), MAC addresses are 6 bytes.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys

from proa.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Message,
    Socket,
    attribute,
    attributes,
    decode_text,
    nested,
    text,
    u32,
)

# <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
_IFLA_OPERSTATE, _IFLA_IFALIAS = 16, 20
_IF_OPER_UP = 6
_IFLA_NET_NS_FD, _IFLA_AF_SPEC = 28, 26
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_BRPORT_ISOLATED = 33
_VETH_INFO_PEER = 1
_IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE = 8, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
_RTPROT_BOOT, _RTN_UNICAST = 3, 1
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 0, 253, 255

_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, changed flags
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
# struct rtmsg: family, destination and source length, tos, table, protocol, scope, type, flags
_ROUTE = struct.Struct("=BBBBBBBBI")

_FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}


class Link:
    """A network interface; `master` is the index of the bridge it is a port of, `parent` of what it is on."""

    __slots__ = ("alias", "index", "kind", "mac", "master", "mtu", "name", "operational", "parent", "up")

    def __init__(self, payload: bytes) -> None:
        _family, _type, index, flags, _change = _LINK.unpack_from(payload)
        found = attributes(payload, _LINK.size)
        self.index: int = index
        self.name = decode_text(found[_IFLA_IFNAME])
        self.up = bool(flags & IFF_UP)
        self.operational = found.get(_IFLA_OPERSTATE) == bytes([_IF_OPER_UP])  # packets pass
        self.alias = decode_text(found.get(_IFLA_IFALIAS, b""))
        self.mac = found.get(_IFLA_ADDRESS, b"")
        self.mtu = _number(found.get(_IFLA_MTU))
        self.parent = _number(found.get(_IFLA_LINK))  # of the namespace that it was made from
        self.master = _number(found.get(_IFLA_MASTER))
        information = attributes(found.get(_IFLA_LINKINFO, b""))
        self.kind = decode_text(information.get(_IFLA_INFO_KIND, b""))  # "bridge", "veth", "" for hardware


class Address:
    """An address of the interface `index`."""

    __slots__ = ("address", "index", "prefix_length")

    def __init__(self, payload: bytes) -> None:
        _family, prefix_length, _flags, _scope, index = _ADDRESS.unpack_from(payload)
        found = attributes(payload, _ADDRESS.size)
        self.index: int = index
        self.prefix_length: int = prefix_length
        # On point-to-point links IFA_ADDRESS is the other end.
        self.address = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]


class Route:
    """A route; `destination` is packed (b"", `prefix_length` 0: the default), `index` its interface or 0."""

    __slots__ = ("destination", "gateway", "index", "prefix_length", "priority", "table")

    def __init__(self, payload: bytes) -> None:
        _family, prefix_length, _source, _tos, table, _protocol, _scope, _type, _flags = _ROUTE.unpack_from(
            payload
        )
        found = attributes(payload, _ROUTE.size)
        self.destination = found.get(_RTA_DST, b"")
        self.prefix_length: int = prefix_length
        self.gateway = found.get(_RTA_GATEWAY, b"")
        self.index = _number(found.get(_RTA_OIF))
        self.priority = _number(found.get(_RTA_PRIORITY))
        self.table: int = _number(found.get(_RTA_TABLE)) or table


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(struct.unpack("=I", value)[0])


def has_ipv6() -> bool:
    """Whether this kernel has IPv6; without, asking for a setting of it is an error (EAFNOSUPPORT)."""
    return os.path.exists("/proc/sys/net/ipv6")


def loopback_up() -> None:
    """Bring the loopback interface of the calling thread's network namespace up."""
    with Socket() as route:
        route.execute(set_link(1, "lo", up=True))


def add_bridge(name: str, *, mac: bytes, mtu: int = 0) -> Message:
    """Make the bridge `name`. With its own MAC it keeps that, whatever ports come and go."""
    return Message(
        RTM_NEWLINK,
        _LINK.pack(0, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, name)
        + attribute(_IFLA_ADDRESS, mac)
        + (u32(_IFLA_MTU, mtu) if mtu else b"")
        + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "bridge")),
        f"add bridge {name}",
        NLM_F_CREATE | NLM_F_EXCL,
    )


def isolate_port(name: str) -> Message:
    """Let the port of a bridge reach the bridge itself, and no other port that is isolated."""
    slave = text(_IFLA_INFO_SLAVE_KIND, "bridge")
    slave += nested(_IFLA_INFO_SLAVE_DATA, attribute(_IFLA_BRPORT_ISOLATED, b"\x01"))
    payload = _LINK.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, name) + nested(_IFLA_LINKINFO, slave)
    return Message(RTM_NEWLINK, payload, f"isolate {name}")


def add_link(
    name: str, kind: str, *, parent: int = 0, netns: int = -1, mac: bytes = b"", mtu: int = 0, data: bytes = b""
) -> Message:
    """Make an interface of a kind ("macvlan", "vlan", "dummy") on the interface `parent`, in `netns` if given.

    `data` are the kind's own attributes, of `macvlan_data` and its like.
    """
    return Message(
        RTM_NEWLINK,
        _LINK.pack(0, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, name)
        + (u32(_IFLA_LINK, parent) if parent else b"")
        + (attribute(_IFLA_ADDRESS, mac) if mac else b"")
        + (u32(_IFLA_MTU, mtu) if mtu else b"")
        + (u32(_IFLA_NET_NS_FD, netns) if netns >= 0 else b"")
        + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind), *([nested(_IFLA_INFO_DATA, data)] if data else [])),
        f"add {kind} {name}",
        NLM_F_CREATE | NLM_F_EXCL,
    )


def has_kind(route: Socket, kind: str) -> bool:
    """Whether the kernel makes interfaces of a kind that need a parent; loads its module if there is one.

    Without a parent none is made: the kernel looks for the kind first (rtnl_newlink in net/core/rtnetlink.c).
    """
    try:
        route.execute(add_link(f"{kind[:8]}-probe", kind))
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True


# <linux/if_link.h>: enum macvlan_mode, IPVLAN_MODE_*, IPVLAN_F_*
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}


def macvlan_data(mode: str) -> bytes:
    """Return what is particular to a macvlan interface."""
    return u32(1, MACVLAN_MODES[mode])


def ipvlan_data(mode: str, flag: str) -> bytes:
    """Return what is particular to an ipvlan interface."""
    return _u16(1, IPVLAN_MODES[mode]) + _u16(2, IPVLAN_FLAGS[flag])


def vlan_data(identifier: int) -> bytes:
    """Return what is particular to an interface of one VLAN (802.1q)."""
    return _u16(1, identifier)


def _u16(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(2, sys.byteorder))


def add_veth(
    name: str,
    peer_name: str,
    *,
    mac: bytes,
    peer_mac: bytes,
    mtu: int = 0,
    master: int = 0,
    peer_netns: int = -1,
) -> Message:
    """Make a pair of interfaces: `name`, a port of the bridge `master`, and its peer in `peer_netns`.

    Both are down: a peer that is created up fails with ENOTCONN. With explicit MAC addresses
    udev's MACAddressPolicy=persistent leaves them alone.
    """
    size = u32(_IFLA_MTU, mtu) if mtu else b""
    peer = (
        _LINK.pack(0, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, peer_name)
        + attribute(_IFLA_ADDRESS, peer_mac)
        + size
        + (u32(_IFLA_NET_NS_FD, peer_netns) if peer_netns >= 0 else b"")
    )
    return Message(
        RTM_NEWLINK,
        _LINK.pack(0, 0, 0, 0, 0)
        + text(_IFLA_IFNAME, name)
        + attribute(_IFLA_ADDRESS, mac)
        + size
        + (u32(_IFLA_MASTER, master) if master else b"")
        + nested(
            _IFLA_LINKINFO,
            text(_IFLA_INFO_KIND, "veth"),
            nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer)),
        ),
        f"add veth {name}",
        NLM_F_CREATE | NLM_F_EXCL,
    )


def set_link(
    index: int,
    name: str,
    *,
    up: bool | None = None,
    mac: bytes = b"",
    mtu: int = 0,
    master: int | None = None,
    rename: str = "",
    alias: str = "",
    netns: int = -1,
    link_local: bool = True,
) -> Message:
    """Change the interface `index`, or with index 0 the one called `name`; what is not given stays.

    `link_local` False keeps IPv6 from giving it an address of its own; `master` 0 takes it off its bridge.
    """
    flags, changed = (IFF_UP if up else 0), (0 if up is None else IFF_UP)
    payload = _LINK.pack(0, 0, index, flags, changed)
    if not index:
        payload += text(_IFLA_IFNAME, name)
    elif rename:
        payload += text(_IFLA_IFNAME, rename)
    if mac:
        payload += attribute(_IFLA_ADDRESS, mac)
    if mtu:
        payload += u32(_IFLA_MTU, mtu)
    if master is not None:
        payload += u32(_IFLA_MASTER, master)
    if alias:
        payload += text(_IFLA_IFALIAS, alias)
    if netns >= 0:
        payload += u32(_IFLA_NET_NS_FD, netns)
    if not link_local:
        mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_IN6_ADDR_GEN_MODE_NONE]))
        payload += nested(_IFLA_AF_SPEC, nested(socket.AF_INET6, mode))
    return Message(RTM_NEWLINK, payload, f"set up link {name}")


def delete_link(index: int, name: str) -> Message:
    """Delete an interface; with index 0 the one called `name`. Waits for an RCU grace period (10-30 ms)."""
    payload = _LINK.pack(0, 0, index, 0, 0) + (b"" if index else text(_IFLA_IFNAME, name))
    return Message(RTM_DELLINK, payload, f"delete link {name}")


def add_address(index: int, address: bytes, prefix_length: int) -> Message:
    """Give the interface an address (EEXIST when it has it)."""
    return _address(RTM_NEWADDR, index, address, prefix_length, "add address", NLM_F_CREATE | NLM_F_EXCL)


def delete_address(index: int, address: bytes, prefix_length: int) -> Message:
    """Take an address from the interface."""
    return _address(RTM_DELADDR, index, address, prefix_length, "delete address")


def _address(kind: int, index: int, address: bytes, prefix_length: int, verb: str, flags: int = 0) -> Message:
    # Nobody else has an address that the engine gives: it is not asked around for before it works (RFC 4862, 5.4).
    own = _IFA_F_NODAD if len(address) == 16 else 0
    payload = _ADDRESS.pack(_FAMILIES[len(address)], prefix_length, own, _RT_SCOPE_UNIVERSE, index)
    payload += attribute(_IFA_LOCAL, address) + attribute(_IFA_ADDRESS, address)
    if len(address) == 4 and prefix_length < 31:
        hosts = (1 << (32 - prefix_length)) - 1
        payload += attribute(_IFA_BROADCAST, (int.from_bytes(address, "big") | hosts).to_bytes(4, "big"))
    printed = socket.inet_ntop(_FAMILIES[len(address)], address)
    return Message(kind, payload, f"{verb} {printed}/{prefix_length}", flags)


def add_route(index: int, *, gateway: bytes = b"", destination: bytes = b"", prefix_length: int = 0) -> Message:
    """Add a route through the interface; without `destination` the default route."""
    family = _FAMILIES[len(gateway or destination)]
    scope = _RT_SCOPE_UNIVERSE if gateway else _RT_SCOPE_LINK
    payload = _ROUTE.pack(family, prefix_length, 0, 0, RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0)
    payload += attribute(_RTA_DST, destination) if destination else b""
    payload += attribute(_RTA_GATEWAY, gateway) if gateway else b""
    payload += u32(_RTA_OIF, index)
    where = socket.inet_ntop(family, destination) if destination else "default"
    return Message(RTM_NEWROUTE, payload, f"add route {where}", NLM_F_CREATE | NLM_F_EXCL)


def add_direct_route(index: int, like: bytes) -> Message:
    """Add a default route that leads to the interface itself, of the family of the address `like`."""
    family = _FAMILIES[len(like)]
    payload = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_LINK, _RTN_UNICAST, 0)
    return Message(
        RTM_NEWROUTE, payload + u32(_RTA_OIF, index), "add the default route", NLM_F_CREATE | NLM_F_EXCL
    )


def delete_default_route(family: int, index: int, gateway: bytes) -> Message:
    """Delete a default route of the main table, by its interface and gateway (ESRCH when there is none)."""
    payload = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, _RT_SCOPE_NOWHERE, 0, 0)
    payload += u32(_RTA_OIF, index)
    payload += attribute(_RTA_GATEWAY, gateway) if gateway else b""
    return Message(RTM_DELROUTE, payload, "delete the default route")


def links(route: Socket) -> list[Link]:
    """Return the interfaces of the socket's namespace."""
    message = Message(RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0), "list links", NLM_F_DUMP)
    return [Link(payload) for _kind, payload in route.request(message)]


def link(route: Socket, name: str = "", *, index: int = 0) -> Link | None:
    """Return one interface by its name or index, None when there is none."""
    payload = _LINK.pack(0, 0, index, 0, 0) + (b"" if index else text(_IFLA_IFNAME, name))
    try:
        answers = route.request(Message(RTM_GETLINK, payload, f"look up link {name or index}"))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return Link(answers[0][1])


def addresses(route: Socket, family: int = socket.AF_INET) -> list[Address]:
    """Return the addresses of the socket's namespace."""
    message = Message(RTM_GETADDR, _ADDRESS.pack(family, 0, 0, 0, 0), "list addresses", NLM_F_DUMP)
    return [Address(payload) for _kind, payload in route.request(message)]


def routes(route: Socket, family: int = socket.AF_INET) -> list[Route]:
    """Return the routes of every table of the socket's namespace, those of local addresses included."""
    message = Message(RTM_GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0), "list routes", NLM_F_DUMP)
    return [Route(payload) for _kind, payload in route.request(message)]
