"""What the firewall does about published ports: maps that packets are looked up in, a port an element.

    published4, published6          address . protocol . port of the host  →  address . port in the container
    published4_any, published6_any  protocol . port, of every address      →  the same
    routed_ports4, routed_ports6    address . protocol . port in the container, for who routes to it

A packet to an address of this host is turned there, whoever sent it: from outside (`prerouting`) or from the
host itself (`output`). What comes from the container's own bridge, or from 127.0.0.1, gets the bridge's address
as source, or the answer would not pass here. What can not be turned at all comes to `shim/relay.py`: so does what
containers send where bridges pass packets to the firewall (bridge-nf-call-iptables). There it would be turned
inside the bridge, and never come back out of the port that it came in by.

The host's 127.0.0.0/8 is routed to our bridges for that (route_localnet), so the kernel does not drop any more
what comes to these addresses, or from them, by a wire: `martians` does. CVE-2020-8558.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator

from proa.linux import nft_expressions as expression
from proa.linux.nftables import (
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    NF_DROP,
    NF_INET_LOCAL_OUT,
    NF_INET_PRE_ROUTING,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    PRIORITY_DSTNAT,
    PRIORITY_RAW,
    Type,
    interface,
)
from proa.network.published import ANY4, ANY6, PROTOCOLS, Mapping, Published

_PORT = INET_PROTO + INET_SERVICE
MAPS: dict[str, tuple[Type, Type]] = {
    "published4": (IPV4_ADDR + INET_PROTO + INET_SERVICE, IPV4_ADDR + INET_SERVICE),
    "published4_any": (_PORT, IPV4_ADDR + INET_SERVICE),
    "published6": (IPV6_ADDR + INET_PROTO + INET_SERVICE, IPV6_ADDR + INET_SERVICE),
    "published6_any": (_PORT, IPV6_ADDR + INET_SERVICE),
}
SETS: dict[str, Type] = {
    "routed_ports4": IPV4_ADDR + INET_PROTO + INET_SERVICE,
    "routed_ports6": IPV6_ADDR + INET_PROTO + INET_SERVICE,
}

# Registers of 4 bytes: an address in 8 or 8-11, what follows behind it.
_FIRST, _BEHIND4, _BEHIND6 = 8, 9, 12
_IP4_SOURCE, _IP4_DESTINATION, _IP6_SOURCE, _IP6_DESTINATION = (12, 4), (16, 4), (8, 16), (24, 16)
_LOOPBACK4 = b"\x7f"  # the first byte of 127.0.0.0/8
_LOOPBACK6 = socket.inet_pton(socket.AF_INET6, "::1")
_LINK_LOCAL, _LINK_LOCAL_MASK = b"\xfe\x80", b"\xff\xc0"  # fe80::/10: not forwarded, so not turned

IPV4 = (expression.meta(expression.META_NFPROTO), expression.equal(bytes([NFPROTO_IPV4])))
IPV6 = (expression.meta(expression.META_NFPROTO), expression.equal(bytes([NFPROTO_IPV6])))
_TO_THIS_HOST = (
    expression.fib_destination_type(),
    expression.equal(struct.pack("=I", expression.RTN_LOCAL)),
)
_DROP = expression.verdict(NF_DROP)


def _header(place: tuple[int, int], register: int = _FIRST, length: int = 0) -> bytes:
    offset, whole = place
    return expression.payload(expression.PAYLOAD_NETWORK_HEADER, offset, length or whole, register)


def _port_of_packet(register: int) -> tuple[bytes, bytes]:
    """Load protocol and destination port, which TCP, UDP and SCTP have in the same place."""
    return (
        expression.meta(expression.META_L4PROTO, register),
        expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 2, 2, register + 1),
    )


def _turns(
    family: int, packets: tuple[bytes, ...], destination: tuple[int, int], behind: int
) -> Iterator[tuple[bytes, ...]]:
    name = "published4" if family == NFPROTO_IPV4 else "published6"
    turn = expression.destination_nat(family, _FIRST, behind)
    yield (
        *(*packets, *_TO_THIS_HOST, _header(destination), *_port_of_packet(behind)),
        *(expression.lookup(name, _FIRST, result=_FIRST), turn),
    )
    yield (
        *(*packets, *_TO_THIS_HOST, *_port_of_packet(_FIRST)),
        *(expression.lookup(f"{name}_any", _FIRST, result=_FIRST), turn),
    )


_GLOBAL_IPV6 = (
    *(*IPV6, _header(_IP6_SOURCE, length=2)),
    *(expression.masked(_LINK_LOCAL_MASK, _FIRST), expression.unequal(_LINK_LOCAL, _FIRST)),
)
_NOT_TO_ITSELF6 = (*IPV6, _header(_IP6_DESTINATION), expression.unequal(_LOOPBACK6, _FIRST))
_TURNS4 = tuple(_turns(NFPROTO_IPV4, IPV4, _IP4_DESTINATION, _BEHIND4))
_PREROUTING = (*_TURNS4, *_turns(NFPROTO_IPV6, _GLOBAL_IPV6, _IP6_DESTINATION, _BEHIND6))
_OUTPUT = (*_TURNS4, *_turns(NFPROTO_IPV6, _NOT_TO_ITSELF6, _IP6_DESTINATION, _BEHIND6))

# The beginnings of rules for packets to ports of containers that are published without address translation.
ROUTED = (
    (*IPV4, _header(_IP4_DESTINATION), *_port_of_packet(_BEHIND4), expression.lookup("routed_ports4", _FIRST)),
    (*IPV6, _header(_IP6_DESTINATION), *_port_of_packet(_BEHIND6), expression.lookup("routed_ports6", _FIRST)),
)
_FROM_OURS = (expression.meta(expression.META_IIFNAME), expression.lookup("bridges"))
_MARTIANS = tuple(
    (
        *(expression.meta(expression.META_IIFNAME), expression.unequal(interface("lo"))),
        *(*IPV4, _header(place, 1, 1), expression.equal(_LOOPBACK4), _DROP),
    )
    for place in (_IP4_SOURCE, _IP4_DESTINATION)
)
_TO_RELAY = {
    NFPROTO_IPV4: (*_FROM_OURS, *IPV4, expression.leave()),
    NFPROTO_IPV6: (*_FROM_OURS, *IPV6, expression.leave()),
}


def chains(filtered: Iterable[int]) -> Iterator[tuple[str, str, int, int, tuple[tuple[bytes, ...], ...]]]:
    """Yield (name, kind, hook, priority, rules); of the families `filtered`, bridges pass packets here, too."""
    yield "martians", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW, _MARTIANS
    turns = (*(_TO_RELAY[family] for family in filtered), *_PREROUTING)
    yield "prerouting", "nat", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT, turns
    yield "output", "nat", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT, _OUTPUT


# Rules of the chain that gives packets their source, before those of other traffic. `hairpins` has each bridge
# of ours paired with itself.
POSTROUTING = (
    (
        expression.meta(expression.META_IIFNAME),
        *(expression.meta(expression.META_OIFNAME, 2), expression.lookup("hairpins")),
        *(expression.connection(expression.CT_STATUS), *expression.any_bit(expression.CT_STATUS_DNAT)),
        expression.masquerade(),
    ),
    (
        *(expression.meta(expression.META_OIFNAME), expression.lookup("bridges")),
        *(*IPV4, _header(_IP4_SOURCE, 1, 1), expression.equal(_LOOPBACK4)),
        expression.masquerade(),
    ),
)


Elements = dict[str, dict[bytes, bytes]]
"""Of maps and sets by their names: keys with values, b"" in a set."""


def elements(mappings: Iterable[Mapping]) -> Elements:
    """Return what goes into each map. A port that can not be turned, as ::1's, has no element."""
    found: Elements = {}
    for mapping in mappings:
        place = _place(mapping)
        if place is not None:
            name, prefix, target = place
            entries = _ports(mapping.published, prefix, target)
            found.setdefault(name, {}).update(entries if name in MAPS else dict.fromkeys(dict(entries), b""))
    return found


def _place(mapping: Mapping) -> tuple[str, bytes, bytes] | None:
    """Return the map of a mapping, and the constant parts of its keys and values."""
    host = mapping.published.host_address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    target = mapping.address6 if family == socket.AF_INET6 else mapping.address4
    if not target or host == "::1":
        return None
    name = "published6" if family == socket.AF_INET6 else "published4"
    address = socket.inet_pton(family, target)
    if mapping.published.is_routed:
        return f"routed_ports{name[-1]}", address, b""
    if host in (ANY4, ANY6):
        return f"{name}_any", b"", address
    return name, socket.inet_pton(family, host), address


def _ports(run: Published, prefix: bytes, target: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = prefix + bytes([PROTOCOLS[run.protocol], 0, 0, 0])
    for step in range(run.count):
        port = run.port + step
        yield start + _padded(port if run.is_routed else run.host_port + step), target + _padded(port)


_padded = struct.Struct(">Hxx").pack
