"""JSON objects with descriptors, one per SOCK_SEQPACKET packet: unix(7), SCM_RIGHTS in cmsg(3)."""

from __future__ import annotations

import array
import json
import os
import socket

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_MAX_PACKET = 1 << 18
_MAX_DESCRIPTORS = 4


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new connection, close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message; raises OSError if the peer is gone or does not read."""
    ancillary = []
    if descriptors:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    connection.sendmsg([json.dumps(message).encode()], ancillary)


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Receive one message and its descriptors (close-on-exec); None at the end of the connection."""
    size = socket.CMSG_SPACE(4 * _MAX_DESCRIPTORS)
    data, ancillary, _, _ = connection.recvmsg(_MAX_PACKET, size, socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received = array.array("i")
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
            descriptors += received
    return (json.loads(data) if data else None), descriptors


def has_ended(connection: socket.socket) -> bool:
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
