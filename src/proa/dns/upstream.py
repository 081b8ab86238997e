"""Another name server, and one question to it over UDP or TCP, from the host or from a container's namespace."""

from __future__ import annotations

import errno
import os
import socket
import time
from _socket import socket as Socket

from proa.linux.namespaces import CLONE_NEWNET, setns

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.linux.loop import Loop

PORT = 53
_INET, _INET6 = int(socket.AF_INET), int(socket.AF_INET6)
_DATAGRAM, _STREAM = int(socket.SOCK_DGRAM), int(socket.SOCK_STREAM)
_RECEIVE = 65535
_FORGED = 32  # packets of one wake-up that may belong to no question, as guesses at an answer do
_UNDER_WAY = (errno.EINPROGRESS, errno.EAGAIN)


class Upstream:
    """A server. `namespace` is a descriptor of the network namespace it is asked from, -1 for the host's."""

    __slots__ = ("_address", "_family", "_home", "_mark", "_namespace")

    def __init__(self, description: dict[str, Any], home: int, namespace: int, mark: int = 0) -> None:
        """`mark` is that of packets to it, which egress rules let pass. Raises `OSError` for no address."""
        text, _, zone = description["address"].partition("%")
        port = description.get("port", PORT)
        self._home, self._namespace, self._mark = home, namespace, mark
        if ":" in text:
            socket.inet_pton(_INET6, text)
            self._family = _INET6
            scope = 0 if not zone else int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
            self._address: tuple[Any, ...] = (text, port, 0, scope)
        else:
            socket.inet_pton(_INET, text)
            self._family, self._address = _INET, (text, port)

    def connect(self, kind: int) -> Socket:
        """Return a socket that is connected to the server, or about to be; raises OSError.

        Connected, it takes packets from nowhere else, and hears of ICMP errors.
        """
        made = self._socket(kind)
        made.setblocking(False)
        try:
            code = made.connect_ex(self._address)
            if code not in (0, *_UNDER_WAY):
                raise OSError(code, os.strerror(code))
        except BaseException:
            made.close()
            raise
        return made

    def _socket(self, kind: int) -> Socket:
        if self._namespace < 0:
            return Socket(self._family, kind)
        setns(self._namespace, CLONE_NEWNET)
        try:
            made = Socket(self._family, kind)
        finally:
            setns(self._home, CLONE_NEWNET)
        if self._mark:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
        return made


class Datagram:
    """A question over UDP. `answered` is called for what comes, `failed` once if the server is not there."""

    __slots__ = ("_answered", "_failed", "_loop", "_socket", "began", "identifier")

    def __init__(
        self, loop: Loop, server: Upstream, identifier: bytes, data: bytes,
        answered: Callable[[Any, bytes], None], failed: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self._loop, self._answered, self._failed = loop, answered, failed
        self.identifier = identifier
        self.began = time.monotonic()
        self._socket = server.connect(_DATAGRAM)
        try:
            self._socket.send(data)
        except BlockingIOError:
            pass  # as good as lost on the way
        except BaseException:
            self._socket.close()
            raise
        loop.on_read(self._socket.fileno(), self._receive)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()

    def _receive(self) -> None:
        try:
            for _ in range(_FORGED):
                data = self._socket.recv(_RECEIVE)
                self._answered(self, data)
                if self._socket.fileno() < 0:
                    return
        except BlockingIOError:
            pass
        except OSError:
            self._failed(self)


class Stream:
    """A question over TCP, on a connection of its own."""

    __slots__ = ("_answered", "_failed", "_loop", "_received", "_socket", "_unsent", "began", "identifier")

    def __init__(
        self, loop: Loop, server: Upstream, identifier: bytes, data: bytes,
        answered: Callable[[Any, bytes], None], failed: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self._loop, self._answered, self._failed = loop, answered, failed
        self.identifier = identifier
        self.began = time.monotonic()
        self._unsent = len(data).to_bytes(2, "big") + data
        self._received = b""
        self._socket = server.connect(_STREAM)
        loop.on_write(self._socket.fileno(), self._send)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._failed(self)
            return
        if not self._unsent:
            self._loop.on_write(self._socket.fileno(), None)
            self._loop.on_read(self._socket.fileno(), self._receive)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        size = int.from_bytes(self._received[:2], "big")
        if len(self._received) >= 2 and len(self._received) >= 2 + size:
            self._answered(self, self._received[2 : 2 + size])
        elif data:
            return
        if self._socket.fileno() >= 0:  # it was no answer to this question, or none came
            self._failed(self)
