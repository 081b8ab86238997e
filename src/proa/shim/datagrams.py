"""Datagrams over a published port that the firewall does not lead to the container; see `relay.py`.

Each client has a socket of its own towards the container, by which answers find back to it. It goes when nothing
was said for a while, as connection tracking forgets it, too.
"""

from __future__ import annotations

import time
from _socket import AF_INET, AF_INET6, CMSG_SPACE, IPPROTO_IP, IPPROTO_IPV6, SO_DOMAIN, SOCK_DGRAM, SOL_SOCKET

from proa.linux import packets

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.linux.loop import Loop
    from proa.shim.relay import Places

_IDLE = 90.0  # seconds, Docker's
_MAX_CLIENTS = 512
_LARGEST = 1 << 16
_AT_ONCE = 32  # datagrams, before others have their turn
# A datagram's address on this host, so that the answer comes from there: ip(7), ipv6(7), <linux/in6.h>.
_IP_PKTINFO, _IPV6_PKTINFO, _IPV6_RECVPKTINFO = 8, 50, 49
_OPTIONS = {
    AF_INET: (IPPROTO_IP, _IP_PKTINFO, _IP_PKTINFO, 12),
    AF_INET6: (IPPROTO_IPV6, _IPV6_RECVPKTINFO, _IPV6_PKTINFO, 20),
}


class Flow:
    """A client's socket towards the container."""

    __slots__ = ("ancillary", "client", "last", "upstream")

    def __init__(self, client: Any, ancillary: list[tuple[int, int, bytes]], upstream: packets.Socket) -> None:
        self.client = client
        self.ancillary = ancillary
        self.upstream = upstream
        self.last = 0.0


class Datagrams:
    """One published port: the bound `socket`, and a flow for each client."""

    def __init__(self, loop: Loop, socket: packets.Socket, places: Places, port: int) -> None:
        self._loop = loop
        self.socket = socket
        self._places, self._port = places, port
        self._flows: dict[Any, Flow] = {}  # the one that was silent longest first
        self._sweeping = False
        self._level, option, self._kind, length = _OPTIONS[socket.getsockopt(SOL_SOCKET, SO_DOMAIN)]
        self._space = CMSG_SPACE(length)
        socket.setsockopt(self._level, option, 1)
        loop.on_read(socket.fileno(), self._receive)

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, client = self.socket.recvmsg(_LARGEST, self._space)
            except OSError:  # nothing more, or an error that an earlier datagram met
                return
            flow = self._flow(client, self._own_address(ancillary))
            if flow is None:
                continue
            try:
                flow.upstream.send(data)
            except OSError:
                continue  # full, or nobody listens: datagrams may be lost

    def _own_address(self, ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
        found = [content for level, kind, content in ancillary if (level, kind) == (self._level, self._kind)]
        if not found:
            return []
        if self._level == IPPROTO_IPV6:
            return [(self._level, self._kind, found[0])]
        # struct in_pktinfo: interface, address to answer from, address in the header
        return [(self._level, self._kind, bytes(4) + found[0][8:12] + bytes(4))]

    def _flow(self, client: Any, ancillary: list[tuple[int, int, bytes]]) -> Flow | None:
        key = (client, tuple(ancillary))
        flow = self._flows.pop(key, None)
        if flow is None:
            if len(self._flows) >= _MAX_CLIENTS:
                self._end(next(iter(self._flows)))
            upstream = self._connect(client[0])
            if upstream is None:
                return None
            flow = Flow(client, ancillary, upstream)
            self._loop.on_read(upstream.fileno(), lambda: self._answer(key))
        flow.last = time.monotonic()
        self._flows[key] = flow
        if not self._sweeping:
            self._sweeping = True
            self._loop.later(_IDLE, self._sweep)
        return flow

    def _connect(self, peer: str) -> packets.Socket | None:
        family, address = self._places.towards(peer)
        try:
            upstream = packets.Socket(family, SOCK_DGRAM)
        except OSError:
            return None  # no descriptor left
        try:
            upstream.setblocking(False)
            upstream.connect((address, self._port))
        except OSError:
            upstream.close()
            return None
        return upstream

    def _answer(self, key: Any) -> None:
        flow = self._flows[key]
        for _ in range(_AT_ONCE):
            try:
                data = flow.upstream.recv(_LARGEST)
            except OSError:
                return
            flow.last = time.monotonic()
            try:
                self.socket.sendmsg([data], flow.ancillary, 0, flow.client)
            except OSError:
                return

    def _sweep(self) -> None:
        limit = time.monotonic() - _IDLE
        for key in [key for key, flow in self._flows.items() if flow.last <= limit]:
            self._end(key)
        self._sweeping = bool(self._flows)
        if self._sweeping:
            self._loop.later(_IDLE / 3, self._sweep)

    def _end(self, key: Any) -> None:
        upstream = self._flows.pop(key).upstream
        self._loop.forget(upstream.fileno())
        upstream.close()

    def close(self) -> None:
        """Give the port back and forget all clients."""
        for key in list(self._flows):
            self._end(key)
        self._loop.forget(self.socket.fileno())
        self.socket.close()
