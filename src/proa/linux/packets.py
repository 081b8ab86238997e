"""JSON objects with descriptors, one per SOCK_SEQPACKET packet: unix(7), SCM_RIGHTS in cmsg(3).

The sockets are the C type below `socket.socket`, which turns each argument into an enum: what that touches
would be 200 KB more in every shim. For the same reason JSON goes straight to the scanner and the encoder.
"""

from __future__ import annotations

import _socket
import array
import json
import os
import socket

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

Socket = _socket.socket
_UNIX, _SEQPACKET = int(socket.AF_UNIX), int(socket.SOCK_SEQPACKET)
_SOL_SOCKET, _SCM_RIGHTS, _CLOEXEC = socket.SOL_SOCKET, socket.SCM_RIGHTS, int(socket.MSG_CMSG_CLOEXEC)
_MAX_PACKET = 1 << 18
MAX_DESCRIPTORS = 253  # the kernel's limit: <net/scm.h> SCM_MAX_FD
_ANCILLARY = socket.CMSG_SPACE(4 * MAX_DESCRIPTORS)
_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder().encode


def pair() -> tuple[Socket, Socket]:
    """Return the two ends of a new connection, close-on-exec."""
    return _socket.socketpair(_UNIX, _SEQPACKET)


def connection() -> Socket:
    """Return a new end that is not connected, close-on-exec."""
    return Socket(_UNIX, _SEQPACKET)


def adopt(fd: int) -> Socket:
    """Return the socket of a descriptor."""
    return Socket(-1, -1, -1, fd)


def listen(directory: str, name: str) -> Socket:
    """Return a listening, non-blocking socket `name` in a directory, however long its path is (unix(7): 108)."""
    listener = connection()
    try:
        fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{fd}/{name}")
        finally:
            os.close(fd)
        listener.listen(16)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(directory: str, name: str) -> Socket:
    """Return a connection to the socket `name` in a directory; raises OSError if nobody listens."""
    connected = connection()
    try:
        fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
        try:
            connected.connect(f"/proc/self/fd/{fd}/{name}")
        finally:
            os.close(fd)
    except BaseException:
        connected.close()
        raise
    return connected


def accept(listener: Socket) -> Socket:
    """Accept a connection; raises OSError as accept(2)."""
    full = socket.socket(fileno=listener.fileno())  # the C type has no public accept
    try:
        return adopt(full.accept()[0].detach())
    finally:
        full.detach()


def send(connection: Socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message; raises OSError if the peer is gone or does not read."""
    send_bytes(connection, _encode(message).encode(), descriptors)


def send_bytes(connection: Socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a packet that is no JSON."""
    ancillary = []
    if descriptors:
        ancillary = [(_SOL_SOCKET, _SCM_RIGHTS, array.array("i", descriptors))]
    connection.sendmsg([data], ancillary)


def receive(connection: Socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Receive one message and its descriptors (close-on-exec); None at the end of the connection."""
    data, ancillary, _, _ = connection.recvmsg(_MAX_PACKET, _ANCILLARY, _CLOEXEC)
    descriptors: list[int] = []
    for level, kind, content in ancillary:
        if level == _SOL_SOCKET and kind == _SCM_RIGHTS:
            received = array.array("i")
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
            descriptors += received
    return (_decode(data.decode())[0] if data else None), descriptors


def has_ended(connection: Socket) -> bool:
    """Whether the peer is gone, on a connection where it has nothing to say."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that a message brought."""
    for fd in descriptors:
        os.close(fd)
