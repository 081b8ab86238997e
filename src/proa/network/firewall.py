"""The engine's one nf_tables table: what containers may reach and how their traffic leaves the host.

The rules never change; networks are elements of the sets they look into:

    bridges      every bridge of ours; traffic that touches none of them is none of our business
    neighbours   pairs of bridges between which containers may talk: (b, b) where a network allows it inside
    outgoing     bridges whose containers may leave the host (networks that are not internal)
    masqueraded  those of them whose containers do it under the host's address; masqueraded6 for IPv6
    routed       those that others may route to: to published ports, and to ask whether they are there; routed6
    unprotected  those that others outside may route to, whatever the port; unprotected6
    hairpins     (b, b) for every bridge b of ours

Published ports are destination NAT (`port_rules.py`), whose connections `forward` accepts by their state, or
elements of `routed_ports4` and `routed_ports6`. A network appears and goes by one transaction of a few elements
(15 microseconds), and no process is started.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proa.errors import KernelError
from proa.linux import nft_expressions as expression
from proa.linux.nftables import (
    IFNAME,
    NF_ACCEPT,
    NF_DROP,
    NF_INET_FORWARD,
    NF_INET_POST_ROUTING,
    NFPROTO_INET,
    PRIORITY_FILTER,
    PRIORITY_SRCNAT,
    Nftables,
    Transaction,
    interface,
)
from proa.network import port_rules
from proa.network.failures import kernel_errors
from proa.network.host import filtered_by_bridges
from proa.network.published import Mapping

_FROM = expression.meta(expression.META_IIFNAME)
_TO = expression.meta(expression.META_OIFNAME)
_TO_SECOND = expression.meta(expression.META_OIFNAME, 2)
_NOT_OURS = expression.lookup("bridges", invert=True)
_ACCEPT = expression.verdict(NF_ACCEPT)
_ESTABLISHED = expression.CT_STATE_ESTABLISHED | expression.CT_STATE_RELATED

_SETS = {
    "bridges": IFNAME,
    "neighbours": IFNAME + IFNAME,
    "outgoing": IFNAME,
    "masqueraded": IFNAME,
    "masqueraded6": IFNAME,
    "routed": IFNAME,
    "routed6": IFNAME,
    "unprotected": IFNAME,
    "unprotected6": IFNAME,
    "hairpins": IFNAME + IFNAME,
}

# Of packets from where packets may come from: what may be routed to. Docker's rules for its mode "routed".
_ROUTED_TO = (
    *((*rule, _ACCEPT) for rule in port_rules.ROUTED),
    *(
        (
            *(*family, expression.meta(expression.META_L4PROTO), expression.equal(bytes([protocol]))),
            *(_TO, expression.lookup(bridges), _ACCEPT),
        )
        for family, protocol, bridges in (
            (port_rules.IPV4, socket.IPPROTO_ICMP, "routed"),
            (port_rules.IPV6, socket.IPPROTO_ICMPV6, "routed6"),
        )
    ),
)
_FORWARD = (
    (_FROM, _NOT_OURS, _TO, _NOT_OURS, _ACCEPT),
    (expression.connection(expression.CT_STATE), *expression.any_bit(_ESTABLISHED), _ACCEPT),
    # Also what one bridge switches between its ports comes here where bridge-nf-call-iptables is on.
    (_FROM, _TO_SECOND, expression.lookup("neighbours"), _ACCEPT),
    (_FROM, expression.lookup("outgoing"), _TO, _NOT_OURS, _ACCEPT),
    (_FROM, _NOT_OURS, expression.jump("routed_to")),
    (_FROM, expression.lookup("outgoing"), expression.jump("routed_to")),
    *(
        (*family, _FROM, _NOT_OURS, _TO, expression.lookup(bridges), _ACCEPT)
        for family, bridges in (
            (port_rules.IPV4, "unprotected"),
            (port_rules.IPV6, "unprotected6"),
        )
    ),
    (expression.connection(expression.CT_STATUS), *expression.any_bit(expression.CT_STATUS_DNAT), _ACCEPT),
    (expression.counter(), expression.verdict(NF_DROP)),
)
# The interface of origin is known here since Linux 5.7.
_MASQUERADE = tuple(
    (
        *(*family, _FROM, expression.lookup(bridges), _TO, _NOT_OURS),
        expression.masquerade(),
    )
    for family, bridges in ((port_rules.IPV4, "masqueraded"), (port_rules.IPV6, "masqueraded6"))
)
_POSTROUTING = (*port_rules.POSTROUTING, *_MASQUERADE)


_CHAINS = (
    ("forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER, _FORWARD),
    ("postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT, _POSTROUTING),
)


# Gateway modes, Docker's words: others get to published ports by address translation; to these without it; by it,
# and to all ports without it; to nothing, and this host is not on the network either.
NAT, ROUTED, UNPROTECTED, ISOLATED = "nat", "routed", "nat-unprotected", "isolated"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the firewall knows of a network: its bridge and who may talk to whom."""

    bridge: str
    internal: bool = False  # its containers reach each other, and nothing outside
    isolated: bool = False  # its containers do not reach each other (Docker's icc=false)
    masquerade: bool = True  # outside they appear under the host's address
    masquerade6: bool = True  # the same of IPv6
    gateway: str = NAT  # how others outside get in
    gateway6: str = NAT

    def elements(self) -> Iterator[tuple[str, bytes]]:
        """Yield (set, key) for every place where the network appears."""
        name = interface(self.bridge)
        yield "bridges", name
        yield "hairpins", name + name
        if not self.isolated:
            yield "neighbours", name + name
        if not self.internal:
            yield "outgoing", name
            if self.masquerade and self.gateway != ROUTED:
                yield "masqueraded", name
            if self.masquerade6 and self.gateway6 != ROUTED:
                yield "masqueraded6", name
            for mode, suffix in ((self.gateway, ""), (self.gateway6, "6")):
                if mode == ROUTED:
                    yield f"routed{suffix}", name
                elif mode == UNPROTECTED:
                    yield f"unprotected{suffix}", name


class Firewall:
    """The table `name` of the network namespace the calling thread is in. One thread at a time.

    Methods raise `KernelError`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        with kernel_errors():
            self._nftables = Nftables()

    def close(self) -> None:
        """Close the connection; the table stays."""
        self._nftables.close()

    def reset(self, networks: Iterable[Rules], ports: port_rules.Elements | None = None) -> None:
        """Replace the table, whatever it was, by one with these networks and ports.

        No packet sees it half-made.
        """
        transaction = Transaction()
        transaction.table(self.name)
        transaction.delete_table(self.name)
        transaction.table(self.name)
        for name, key in _SETS.items():
            transaction.set(self.name, name, key)
        for name, (key, value) in port_rules.MAPS.items():
            transaction.set(self.name, name, key, value)
        for name, key in port_rules.SETS.items():
            transaction.set(self.name, name, key)
        transaction.chain(self.name, "routed_to")
        for expressions in _ROUTED_TO:
            transaction.rule(self.name, "routed_to", *expressions)
        for name, kind, hook, priority, rules in _base_chains():
            transaction.base_chain(self.name, name, kind=kind, hook=hook, priority=priority)
            for rule in rules:
                transaction.rule(self.name, name, *rule)
        for network in networks:
            self._put(transaction, network)
        self._put_ports(transaction, ports or {})
        self._commit(transaction)

    def is_whole(self) -> bool:
        """Whether the table has all its chains where they belong, and as many rules in them as were made."""
        wanted = {name: (hook, len(rules)) for name, _kind, hook, _priority, rules in _base_chains()}
        wanted["routed_to"] = (-1, len(_ROUTED_TO))
        with kernel_errors():
            found = {
                chain.name: (chain.hook, len(self._nftables.rules(NFPROTO_INET, self.name, chain.name)))
                for chain in self._nftables.chains(NFPROTO_INET)
                if chain.table == self.name
            }
        return found == wanted

    def add(self, network: Rules) -> None:
        """Let the packets of a network through."""
        transaction = Transaction()
        self._put(transaction, network)
        self._commit(transaction)

    def remove(self, network: Rules) -> None:
        """Forget a network with these rules."""
        transaction = Transaction()
        self._put(transaction, network)  # makes deleting what is not there no error
        for name, key in network.elements():
            transaction.delete_elements(self.name, name, [key])
        self._commit(transaction)

    def publish(self, ports: Sequence[Mapping]) -> None:
        """Lead ports to a container, away from whatever container they led to."""
        wanted = port_rules.elements(ports)
        transaction = Transaction()
        self._put_ports(transaction, wanted, exclusive=True)
        try:
            self._commit(transaction)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            self.withdraw(ports)
            self._commit(transaction)

    def withdraw(self, ports: Sequence[Mapping]) -> None:
        """Lead ports nowhere; those that lead nowhere, or a table that others have deleted, are no error."""
        unwanted = {name: list(entries) for name, entries in port_rules.elements(ports).items()}
        try:
            self._delete(unwanted)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            with kernel_errors():
                present = {name: set(self._nftables.elements(NFPROTO_INET, self.name, name)) for name in unwanted}
            self._delete({name: [key for key in keys if key in present[name]] for name, keys in unwanted.items()})

    def _delete(self, elements: dict[str, list[bytes]]) -> None:
        transaction = Transaction()
        for name, keys in elements.items():
            transaction.delete_elements(self.name, name, keys)
        if transaction.messages:
            self._commit(transaction)

    def exists(self) -> bool:
        """Whether the kernel has the table."""
        with kernel_errors():
            return self.name in self._nftables.tables()

    def delete(self) -> None:
        """Delete the table, if there is one."""
        transaction = Transaction()
        transaction.table(self.name)  # makes deleting what is not there no error
        transaction.delete_table(self.name)
        self._commit(transaction)

    def _put(self, transaction: Transaction, network: Rules) -> None:
        for name, key in network.elements():
            transaction.elements(self.name, name, [key])

    def _put_ports(self, transaction: Transaction, ports: port_rules.Elements, *, exclusive: bool = False) -> None:
        for name, entries in ports.items():
            if name in port_rules.MAPS:
                transaction.mapping(self.name, name, entries, exclusive=exclusive)
            else:
                transaction.elements(self.name, name, entries, exclusive=exclusive)

    def _commit(self, transaction: Transaction) -> None:
        with kernel_errors():
            self._nftables.commit(transaction)


def _base_chains() -> tuple[tuple[str, str, int, int, tuple[tuple[bytes, ...], ...]], ...]:
    return (*_CHAINS, *port_rules.chains(filtered_by_bridges()))
