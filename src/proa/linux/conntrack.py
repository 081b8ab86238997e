"""What connection tracking remembers of datagrams, through nfnetlink: listed, and forgotten one by one.

A flow of datagrams keeps the way that its first one went for as long as it goes on: rules of address translation
that come or go meanwhile mean nothing to it. Constants from <linux/netfilter/nfnetlink_conntrack.h>.
"""

from __future__ import annotations

import errno
import struct

from proa.linux.netlink import (
    NETLINK_NETFILTER,
    NLM_F_DUMP,
    Message,
    Socket,
    attribute,
    attributes,
    nested,
)

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

_SUBSYSTEM = 1
_GET, _DELETE = (_SUBSYSTEM << 8 | number for number in (1, 2))
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ID, _FILTER = 1, 2, 12, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP4_SOURCE, _IP4_DESTINATION, _IP6_SOURCE, _IP6_DESTINATION = 1, 2, 3, 4
_PROTO_NUMBER, _PROTO_DESTINATION_PORT = 1, 3
_FILTER_ORIGINAL_FLAGS = 1
_FILTER_BY_PROTOCOL = 1 << 3
_GENERIC = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource
_FAMILIES = (2, 10)  # NFPROTO_IPV4, NFPROTO_IPV6


class Flow:
    """One direction's destination as it was asked for, and who answers: another address after translation."""

    __slots__ = ("answerer", "destination", "port", "protocol")

    def __init__(self, original: dict[int, bytes], reply: dict[int, bytes]) -> None:
        addresses = attributes(original[_TUPLE_IP])
        answering = attributes(reply[_TUPLE_IP])
        ports = attributes(original[_TUPLE_PROTO])
        self.protocol = ports[_PROTO_NUMBER][0]
        self.port = int.from_bytes(ports.get(_PROTO_DESTINATION_PORT, b""), "big")
        # As bytes: socket.inet_pton's.
        self.destination = addresses.get(_IP4_DESTINATION) or addresses.get(_IP6_DESTINATION, b"")
        self.answerer = answering.get(_IP4_SOURCE) or answering.get(_IP6_SOURCE, b"")

    @property
    def translated(self) -> bool:
        """Whether somebody else answers than was asked."""
        return self.destination != self.answerer


def forget(protocol: int, unwanted: Callable[[Flow], bool]) -> int:
    """Forget the flows of an IP protocol that are `unwanted`; return how many. Raises `OSError`.

    Of the network namespace of the calling thread. Without connection tracking there is nothing to forget.
    """
    gone = 0
    with Socket(NETLINK_NETFILTER) as netlink:
        for family in _FAMILIES:
            for payload in _list(netlink, family, protocol):
                found = attributes(payload, _GENERIC.size)
                flow = Flow(attributes(found[_TUPLE_ORIGINAL]), attributes(found[_TUPLE_REPLY]))
                if flow.protocol == protocol and unwanted(flow):
                    gone += _delete(netlink, family, found)
    return gone


def _list(netlink: Socket, family: int, protocol: int) -> list[bytes]:
    # Kernels before 5.9 know no filter and list everything.
    wanted = nested(_TUPLE_ORIGINAL, nested(_TUPLE_PROTO, attribute(_PROTO_NUMBER, bytes([protocol]))))
    flags = nested(_FILTER, attribute(_FILTER_ORIGINAL_FLAGS, struct.pack("=I", _FILTER_BY_PROTOCOL)))
    payload = _GENERIC.pack(family, 0, 0) + wanted + flags
    try:
        answers = netlink.request(Message(_GET, payload, "list connections", NLM_F_DUMP))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # no such module, nothing is tracked
            return []
        raise
    return [answer for _kind, answer in answers]


def _delete(netlink: Socket, family: int, found: dict[int, bytes]) -> bool:
    parts = [nested(_TUPLE_ORIGINAL, found[_TUPLE_ORIGINAL])]
    if _ID in found:
        parts.append(attribute(_ID, found[_ID]))
    try:
        netlink.execute(Message(_DELETE, _GENERIC.pack(family, 0, 0) + b"".join(parts), "forget connection"))
    except FileNotFoundError:
        return False  # it has ended meanwhile
    return True
