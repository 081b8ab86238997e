"""Published ports where the firewall can not lead them: the sockets that hold them, and connections over them.

Packets to a published port are turned to the container by the firewall (network/port_rules.py), long before they
would reach a socket. The sockets here keep the ports from the host's other programs, and take what can not be
turned that way: from ::1, from link-local addresses, and from IPv6 to a container that has only IPv4.
"""

from __future__ import annotations

import errno
import os
import struct
from _socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SHUT_WR,
    SO_ERROR,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_PROTOCOL,
    SO_TYPE,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
)

from proa.linux import limits, packets
from proa.shim.datagrams import Datagrams

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.linux.loop import Loop

_CHUNK = 1 << 19  # more than sockets hold by themselves
_PAUSE = 0.1  # seconds without new connections when there are no descriptors for them
_RESET = struct.pack("ii", 1, 0)  # struct linger: closing resets the connection
_SPARE = 256  # descriptors for everything else that this process does
_PROTOCOLS = {IPPROTO_TCP: "tcp", IPPROTO_UDP: "udp", IPPROTO_SCTP: "sctp"}
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Places:
    """Where the container is: its addresses, "" where it has none of the family."""

    __slots__ = ("address4", "address6")

    def __init__(self) -> None:
        self.address4 = self.address6 = ""

    def towards(self, peer: str) -> tuple[int, str]:
        """Return the family and the address for a client: its own family's, else the other one."""
        ipv6 = ":" in peer and not peer.startswith("::ffff:")
        if (ipv6 and self.address6) or not self.address4:
            return AF_INET6, self.address6
        return AF_INET, self.address4


class Relay:
    """All ports of one container."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._places = Places()
        self._held: list[packets.Socket] = []
        self._datagrams: list[Datagrams] = []
        self._pairs: set[Pair] = set()

    def serve(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Hold bound sockets; `ports` of the message is where each leads in the container.

        `addresses` are the container's, for what is held already as well; without them all is given back, or
        what `drop` says: [protocol, address, port] of this host. With `keep`, all but these are given back.
        """
        if "keep" in message:
            kept = {tuple(each) for each in message["keep"]}
            self._drop({held for held in self._held_ports() if held not in kept})
        if "drop" in message:
            self._drop({tuple(each) for each in message["drop"]})
            return
        if "addresses" not in message:
            self.close()
            return
        self.move(*message["addresses"])
        for port in message["ports"]:
            self.add(descriptors.pop(0), port)

    def move(self, address4: str, address6: str) -> None:
        """Lead new connections to other addresses."""
        self._places.address4, self._places.address6 = address4, address6

    def add(self, fd: int, port: int) -> None:
        """Hold a bound socket, which is this object's from now on; a stream socket listens already."""
        socket = packets.adopt(fd)
        socket.setblocking(False)
        limits.allow_files(len(self._held) + len(self._datagrams) + _SPARE)
        if socket.getsockopt(SOL_SOCKET, SO_TYPE) != SOCK_STREAM:
            self._datagrams.append(Datagrams(self._loop, socket, self._places, port))
            return
        self._held.append(socket)
        if socket.getsockopt(SOL_SOCKET, SO_PROTOCOL) != IPPROTO_SCTP:  # which is messages, not a stream
            self._loop.on_read(fd, lambda: self._accept(socket, port))

    def _held_ports(self) -> list[tuple[str, str, int]]:
        return [_held_as(each) for each in (*self._held, *(one.socket for one in self._datagrams))]

    def _drop(self, unwanted: set[tuple[str, str, int]]) -> None:
        """Give some ports back; their connections go on."""
        for socket in [each for each in self._held if _held_as(each) in unwanted]:
            self._held.remove(socket)
            self._loop.forget(socket.fileno())
            socket.close()
        for datagrams in [each for each in self._datagrams if _held_as(each.socket) in unwanted]:
            self._datagrams.remove(datagrams)
            datagrams.close()

    def _accept(self, listener: packets.Socket, port: int) -> None:
        limits.allow_files(len(self._held) + len(self._datagrams) + 2 * len(self._pairs) + _SPARE)
        try:
            client = packets.accept(listener)
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            if error.errno in _EXHAUSTED:
                fd = listener.fileno()
                self._loop.on_read(fd, None)
                self._loop.later(_PAUSE, lambda: self._resume(listener, port))
            return
        try:
            pair = Pair(self._loop, client, (self._places, port), self._pairs.discard)
        except OSError:
            _reset(client)
            return
        self._pairs.add(pair)

    def _resume(self, listener: packets.Socket, port: int) -> None:
        if listener in self._held:
            self._loop.on_read(listener.fileno(), lambda: self._accept(listener, port))

    def close(self) -> None:
        """Give the ports back and end all connections."""
        for socket in self._held:
            self._loop.forget(socket.fileno())
            socket.close()
        self._held.clear()
        for datagrams in self._datagrams:
            datagrams.close()
        self._datagrams.clear()
        for pair in list(self._pairs):
            pair.close()


class Pair:
    """A client's connection and the one to the container, each fed with what the other brings."""

    __slots__ = ("_ended", "_loop", "_on_close", "_pending", "_sockets")

    def __init__(
        self,
        loop: Loop,
        client: packets.Socket,
        target: tuple[Places, int],
        on_close: Callable[[Pair], object],
    ) -> None:
        self._loop = loop
        self._on_close = on_close
        places, port = target
        family, address = places.towards(client.getpeername()[0])
        upstream = packets.Socket(family, SOCK_STREAM)
        self._sockets = (client, upstream)
        self._pending = [b"", b""]  # what each socket could not take yet
        self._ended = [False, False]  # whether each socket has brought its end
        try:
            for socket in self._sockets:
                socket.setblocking(False)
                socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
                socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
            result = upstream.connect_ex((address, port))
            if result not in (0, errno.EINPROGRESS):
                raise OSError(result, os.strerror(result))
        except OSError:
            upstream.close()
            raise
        loop.on_write(upstream.fileno(), self._connected)

    def _connected(self) -> None:
        client, upstream = self._sockets
        if upstream.getsockopt(SOL_SOCKET, SO_ERROR):
            self._loop.forget(client.fileno())
            _reset(client)
            self.close()
            return
        self._loop.on_write(upstream.fileno(), None)
        for source in (0, 1):
            self._read(source)

    def _read(self, source: int) -> None:
        """Watch for what a socket brings."""
        self._loop.on_read(self._sockets[source].fileno(), lambda: self._pass_on(source))

    def _pass_on(self, source: int) -> None:
        buffer = _shared_buffer()
        try:
            count = self._sockets[source].recv_into(buffer)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not count:
            self._ended[source] = True
            self._loop.on_read(self._sockets[source].fileno(), None)
        self._send(1 - source, buffer[:count])

    def _send(self, sink: int, data: bytes | memoryview) -> None:
        """Send to a socket; while it is full, its source is not read."""
        source = 1 - sink
        reader, writer = self._sockets[source].fileno(), self._sockets[sink].fileno()
        try:
            sent = self._sockets[sink].send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        waited, self._pending[sink] = self._pending[sink], bytes(data[sent:])
        if self._pending[sink]:
            if not waited:
                self._loop.on_read(reader, None)
                self._loop.on_write(writer, lambda: self._send(sink, self._pending[sink]))
            return
        if waited:
            self._loop.on_write(writer, None)
            if not self._ended[source]:
                self._read(source)
        if self._ended[source]:
            self._half_close(sink)

    def _half_close(self, sink: int) -> None:
        try:
            self._sockets[sink].shutdown(SHUT_WR)
        except OSError:
            self.close()
            return
        if all(self._ended) and not any(self._pending):
            self.close()

    def close(self) -> None:
        """End both connections at once."""
        for socket in self._sockets:
            if socket.fileno() >= 0:
                self._loop.forget(socket.fileno())
                socket.close()
        self._on_close(self)


def _held_as(socket: packets.Socket) -> tuple[str, str, int]:
    """Return the protocol, the address and the port of a bound socket."""
    address, port = socket.getsockname()[:2]
    return _PROTOCOLS.get(socket.getsockopt(SOL_SOCKET, SO_PROTOCOL), ""), address, port


def _shared_buffer() -> memoryview:
    """Return what everything passes through, one piece after the other; made for the first."""
    if not _buffers:
        _buffers.append(memoryview(bytearray(_CHUNK)))
    return _buffers[0]


_buffers: list[memoryview] = []


def _reset(client: packets.Socket) -> None:
    """Close a client's connection so that it learns that nobody is there."""
    client.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
    client.close()
