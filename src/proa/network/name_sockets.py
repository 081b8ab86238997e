"""The sockets of a container's name server: at 127.0.0.11 in its namespace, on ports that are in nobody's way.

A container may bind port 53 of all its addresses itself, so the server has ports of the kernel's choice, and a
table of the namespace's nf_tables writes them into the questions, instead of 53, and 53 into the answers. That
takes no connection tracking, and whatever the container has set up itself sees port 53 alone: answers are
changed before all else, questions as the last thing before the socket.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from proa.linux import nft_expressions as expression
from proa.linux.namespaces import CLONE_NEWNET, setns
from proa.linux.nftables import (
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NFPROTO_IPV4,
    PRIORITY_LAST,
    PRIORITY_RAW,
    Nftables,
    Transaction,
)

ADDRESS = "127.0.0.11"
PORT = 53
TABLE = "proa-dns"
_BACKLOG = 128
_WAITING = 1 << 20  # bytes of questions in the kernel, some 1300, while the server is busy or only about to start
_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>; needs CAP_NET_ADMIN
_THREAD_NAMESPACE = "/proc/thread-self/ns/net"
_PACKED = socket.inet_aton(ADDRESS)
_PORT = PORT.to_bytes(2, "big")
# Where things are in the headers of IP and of UDP and TCP.
_SOURCE, _DESTINATION, _SOURCE_PORT, _DESTINATION_PORT = 12, 16, 0, 2
_CHAINS = (("questions", NF_INET_LOCAL_IN, PRIORITY_LAST), ("answers", NF_INET_LOCAL_OUT, PRIORITY_RAW))
_CHECKSUMS = {socket.IPPROTO_UDP: 6, socket.IPPROTO_TCP: 16}


@dataclass(slots=True)
class NameSockets:
    """Descriptors of a UDP socket and of a listening TCP socket. Whoever holds them closes them."""

    udp: int
    tcp: int

    def close(self) -> None:
        """Close them; once more does nothing."""
        for descriptor in self.detach():
            if descriptor >= 0:
                os.close(descriptor)

    def detach(self) -> tuple[int, int]:
        """Return the descriptors, the caller's from now on."""
        udp, tcp, self.udp, self.tcp = self.udp, self.tcp, -1, -1
        return udp, tcp


def open_here() -> NameSockets:
    """Open the sockets in the calling thread's namespace, whose loopback is up, and lead port 53 to them (0.4 ms).

    Those that were there before are forgotten. Raises `OSError`.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WAITING)
        udp.bind((ADDRESS, 0))
        tcp.bind((ADDRESS, 0))
        tcp.listen(_BACKLOG)
        with Nftables() as nftables:
            nftables.commit(
                _table({
                    socket.IPPROTO_UDP: udp.getsockname()[1],
                    socket.IPPROTO_TCP: tcp.getsockname()[1],
                })
            )  # fmt: skip
        return NameSockets(udp.detach(), tcp.detach())


def open_in(namespace: int) -> NameSockets:
    """Open the sockets in a namespace given by its descriptor; the thread is back in its own at the end."""
    home = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(namespace, CLONE_NEWNET)
        try:
            return open_here()
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def _table(ports: dict[int, int]) -> Transaction:
    """Return what makes the table anew for these ports by protocol."""
    transaction = Transaction(NFPROTO_IPV4)
    transaction.table(TABLE)
    transaction.delete_table(TABLE)
    transaction.table(TABLE)
    for chain, hook, priority in _CHAINS:
        transaction.base_chain(TABLE, chain, kind="filter", hook=hook, priority=priority)
    for protocol, number in ports.items():
        port = number.to_bytes(2, "big")
        transaction.rule(
            TABLE,
            "answers",
            *_where(_SOURCE, protocol, _SOURCE_PORT, port),
            *_write(protocol, _SOURCE_PORT, _PORT),
        )
        transaction.rule(
            TABLE,
            "questions",
            *_where(_DESTINATION, protocol, _DESTINATION_PORT, _PORT),
            *_write(protocol, _DESTINATION_PORT, port),
        )
    return transaction


def _where(address: int, protocol: int, port: int, value: bytes) -> tuple[bytes, ...]:
    return (
        expression.payload(expression.PAYLOAD_NETWORK_HEADER, address, 4),
        expression.equal(_PACKED),
        expression.meta(expression.META_L4PROTO),
        expression.equal(bytes((protocol,))),
        expression.payload(expression.PAYLOAD_TRANSPORT_HEADER, port, 2),
        expression.equal(value),
    )


def _write(protocol: int, port: int, value: bytes) -> tuple[bytes, ...]:
    return (
        expression.load(value),
        expression.set_payload(expression.PAYLOAD_TRANSPORT_HEADER, port, 2, _CHECKSUMS[protocol]),
    )
