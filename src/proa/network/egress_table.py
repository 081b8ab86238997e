"""Egress rules as a table of a container's own network namespace.

    out, forward   what a program sends, or somebody else through the container ──▶ judge
    judge          accept what never leaves, what has begun already and what is allowed, else ──▶ refuse
    allowed        a rule for each thing that is allowed ──▶ grant
    grant          mark the connection as one that these rules have let begin, and accept
    refuse         count, tell, and refuse at once

It is in the container's namespace, which belongs to the first user namespace, so it is out of reach for the
container, covers every driver, neighbours and the host, and lives exactly as long as what it guards, whatever
becomes of the engine. A name is a set of addresses for each kind of ports, which the name server (`proa.dns.gate`)
fills before it answers.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence

from proa.errors import Conflict
from proa.linux import nft_expressions as expression
from proa.linux.nftables import (
    ICMPV6_TYPE,
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    NF_ACCEPT,
    NF_DROP,
    NF_INET_FORWARD,
    NF_INET_LOCAL_OUT,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    PRIORITY_FILTER,
    Element,
    Nftables,
    Transaction,
    interface,
    write_comment,
)
from proa.network.egress import PROTOCOLS, Rule, fits
from proa.network.endpoint import write_sysctl

TABLE = "proa-egress"
GROUP = 0x7072  # of NFLOG, in the container's namespace
MARK = 0x70726F61  # of what the name server asks others; nobody without CAP_NET_ADMIN can set one (socket(7))
REFUSED = {4: "refused4", 6: "refused6"}  # sets of address . protocol . port
REMEMBERED = 86400  # seconds that a refused destination is known after the last attempt
MOST_REFUSED = 256  # destinations of each family that are counted
MOST_ADDRESSES = 4096  # of all names with the same ports, at once
_PING_GROUPS = ("/proc/sys/net/ipv4/ping_group_range", b"0 2147483647")  # icmp(7): ping without CAP_NET_RAW

_FAMILIES = {4: (NFPROTO_IPV4, IPV4_ADDR, 16), 6: (NFPROTO_IPV6, IPV6_ADDR, 24)}  # and where the destination is
_FREE_REGISTERS = {4: (9, 10), 6: (12, 13)}  # behind an address in register 1
_ICMP, _ICMPV6 = socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6
_ROUTING_HEADER = 43  # IPv6's (RFC 8200, 4.4), which any program may ask for: the address is not where it ends
_WITHOUT_OPTIONS = b"\x45"  # of IPv4: LSRR and SSRR (RFC 791) are the same there
# What the kernel itself sends to find neighbours, routers and groups: MLD (RFC 2710, 3810) and ND (RFC 4861).
_NECESSARY = (131, 132, 133, 135, 136, 143)
_WITH_PORTS = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
_NAMES = "names-"  # how the names of sets begin that names fill
_DNS_PORT = (53).to_bytes(2, "big")
_LOGGED = (10, 5)  # times a second, and at once: it only wakes the name server, which reads the counters

_ACCEPT = expression.verdict(NF_ACCEPT)
_REFUSE = expression.go_to("refuse")
_GRANT = expression.go_to("grant")
_PROTOCOL = expression.meta(expression.META_L4PROTO)
_PORT = expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 2, 2)
_STATE = expression.connection(expression.CT_STATE)


def names(rules: Iterable[Rule]) -> dict[str, list[str]]:
    """Return the sets that each name, or pattern, fills: for IPv4 one that ends in 4, for IPv6 one in 6."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        if rule.name:
            found.setdefault(rule.name, []).append(_set_name(rule))
    return found


def install(rules: Sequence[Rule]) -> None:
    """Put the table into the namespace of the calling thread, unless it is there. Raises `OSError`."""
    with Nftables() as nftables:
        if TABLE in nftables.tables(NFPROTO_INET):
            return
        nftables.commit(_table(rules))
    write_sysctl(*_PING_GROUPS)


def require() -> None:
    """Raise `Conflict` if the namespace of the calling thread has no table."""
    with Nftables() as nftables:
        if TABLE not in nftables.tables(NFPROTO_INET):
            raise Conflict("its egress rules are not in place, as it was started without a network: restart it")


def change(rules: Sequence[Rule]) -> None:
    """Let the table of the calling thread's namespace, if there is one, allow these things. Raises `OSError`.

    It is done in one moment. Names stay open that are still allowed, for what is left of their time. Connections
    that have begun are judged again with their next packet.
    """
    with Nftables() as nftables:
        if TABLE in nftables.tables(NFPROTO_INET) and not _is_current(nftables, rules):
            nftables.commit(_change(nftables, rules))


def _is_current(nftables: Nftables, rules: Sequence[Rule]) -> bool:
    found = [rule.userdata for rule in nftables.rules(NFPROTO_INET, TABLE, "allowed")]
    return found == [userdata for userdata, _expressions in _allowing(rules)]


def _change(nftables: Nftables, rules: Sequence[Rule]) -> Transaction:
    transaction = Transaction()
    opened: dict[str, list[Element]] = {"4": [], "6": []}
    for chain in ("allowed", "grant", "judge"):
        transaction.flush_chain(TABLE, chain)
    for name in nftables.sets(NFPROTO_INET, TABLE):
        if name.startswith(_NAMES):
            opened[name[-1]] += nftables.listed(NFPROTO_INET, TABLE, name)
            transaction.delete_set(TABLE, name)
    _decide(transaction, rules)
    for rule in rules:
        for version, elements in opened.items():
            for each in elements:
                if rule.name and fits(rule.name, each.comment):
                    left = {each.key: max(1, each.expires // 1000)}
                    transaction.timed_elements(TABLE, _set_name(rule) + version, left, each.comment)
    return transaction


def _table(rules: Sequence[Rule]) -> Transaction:
    transaction = Transaction()
    transaction.table(TABLE)
    for version, (_protocol, address, _offset) in _FAMILIES.items():
        key = address + INET_PROTO + INET_SERVICE
        transaction.set(TABLE, REFUSED[version], key, size=MOST_REFUSED, counted_for=REMEMBERED)
    for name, kind, values in (("necessary", ICMPV6_TYPE, _NECESSARY), ("ports", INET_PROTO, _WITH_PORTS)):
        transaction.set(TABLE, name, kind)
        transaction.elements(TABLE, name, [bytes((value,)) for value in values])
    for chain in ("refuse", "grant", "allowed", "judge"):
        transaction.chain(TABLE, chain)
    for rule in _refusing():
        transaction.rule(TABLE, "refuse", *rule)
    _decide(transaction, rules)
    for chain, hook in (("out", NF_INET_LOCAL_OUT), ("forward", NF_INET_FORWARD)):
        transaction.base_chain(TABLE, chain, kind="filter", hook=hook, priority=PRIORITY_FILTER, policy=NF_DROP)
        transaction.rule(TABLE, chain, expression.go_to("judge"))
    return transaction


def _decide(transaction: Transaction, rules: Sequence[Rule]) -> None:
    """Fill the chains that are empty: what may pass. Connections get a mark of these rules, which counts no longer
    when others take their place.
    """
    mark = os.urandom(4)
    for name in _sets(rules):
        key = IPV4_ADDR if name.endswith("4") else IPV6_ADDR
        transaction.set(TABLE, name, key, size=MOST_ADDRESSES, timed=True)
    transaction.rule(TABLE, "grant", expression.load(mark), expression.mark_connection())
    transaction.rule(TABLE, "grant", _ACCEPT)
    for userdata, allowing in _allowing(rules):
        transaction.rule(TABLE, "allowed", *allowing, _GRANT, userdata=userdata)
    for judging in _judging(mark):
        transaction.rule(TABLE, "judge", *judging)


def _judging(granted: bytes) -> Iterator[tuple[bytes, ...]]:
    yield expression.meta(expression.META_OIFNAME), expression.equal(interface("lo")), _ACCEPT
    yield (
        *_family(4),
        expression.payload(expression.PAYLOAD_NETWORK_HEADER, 0, 1),
        expression.unequal(_WITHOUT_OPTIONS),
        _REFUSE,
    )
    yield *_family(6), expression.extension_header(_ROUTING_HEADER), expression.equal(b"\1"), _REFUSE
    established = (_STATE, *expression.any_bit(expression.CT_STATE_ESTABLISHED))
    direction, mark = (expression.connection(key) for key in (expression.CT_DIRECTION, expression.CT_MARK))
    yield *established, direction, expression.equal(expression.CT_REPLY), _ACCEPT
    yield *established, mark, expression.equal(granted), _ACCEPT
    # Related connections are not accepted: conntrack's helpers read what a container writes.
    for protocol in (_ICMP, _ICMPV6):
        related = expression.any_bit(expression.CT_STATE_RELATED)
        yield _PROTOCOL, expression.equal(bytes((protocol,))), _STATE, *related, _ACCEPT
    kind = expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 0, 1)
    yield _PROTOCOL, expression.equal(bytes((_ICMPV6,))), kind, expression.lookup("necessary"), _ACCEPT
    marked = expression.meta(expression.META_MARK), expression.equal(MARK.to_bytes(4, sys.byteorder))
    for name in ("tcp", "udp"):
        yield *marked, *_protocol(name), _PORT, expression.equal(_DNS_PORT), _ACCEPT
    yield (expression.jump("allowed"),)
    yield (_REFUSE,)


def _refusing() -> Iterator[tuple[bytes, ...]]:
    for version in _FAMILIES:
        protocol, port = _FREE_REGISTERS[version]
        key = (*_family(version), _destination(version), expression.meta(expression.META_L4PROTO, protocol))
        with_port = expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, 2, 2, port)
        count = expression.update(REFUSED[version])
        yield _PROTOCOL, expression.lookup("ports"), *key, with_port, count
        yield _PROTOCOL, expression.lookup("ports", invert=True), *key, expression.load(bytes(2), port), count
    yield expression.limit(*_LOGGED), expression.log(GROUP)
    yield *_protocol("tcp"), expression.reset()
    yield (expression.prohibit(),)


def _allowing(rules: Sequence[Rule]) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """Yield what the chain of allowed things compares, with a comment that tells it from others."""
    done: set[str] = set()
    for rule in rules:
        if rule.subnet is not None:
            version = rule.subnet.version
            within = (
                expression.masked(rule.subnet.netmask.packed),
                expression.equal(rule.subnet.network_address.packed),
            )
            yield write_comment(str(rule)), (*_family(version), *_ports(rule), _destination(version), *within)
        elif (name := _set_name(rule)) not in done:
            done.add(name)
            for of in _FAMILIES:
                known = _destination(of), expression.lookup(f"{name}{of}")
                yield write_comment(f"{name}{of}"), (*_family(of), *_ports(rule), *known)


def _sets(rules: Iterable[Rule]) -> list[str]:
    stems = dict.fromkeys(_set_name(rule) for rule in rules if rule.name)
    return [f"{stem}{version}" for stem in stems for version in _FAMILIES]


def _set_name(rule: Rule) -> str:
    return f"{_NAMES}{rule.protocol or 'all'}-{rule.first}-{rule.last}-"


def _ports(rule: Rule) -> tuple[bytes, ...]:
    if not rule.protocol:
        return ()
    if not rule.first:
        return _protocol(rule.protocol)
    first, last = (port.to_bytes(2, "big") for port in (rule.first, rule.last))
    return *_protocol(rule.protocol), _PORT, expression.between(first, last)


def _protocol(name: str) -> tuple[bytes, bytes]:
    return _PROTOCOL, expression.equal(bytes((PROTOCOLS[name],)))


def _family(version: int) -> tuple[bytes, bytes]:
    return expression.meta(expression.META_NFPROTO), expression.equal(bytes((_FAMILIES[version][0],)))


def _destination(version: int) -> bytes:
    _family_number, address, offset = _FAMILIES[version]
    return expression.payload(expression.PAYLOAD_NETWORK_HEADER, offset, address.length)
