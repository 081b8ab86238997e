"""Messages between engine, launcher and shims: JSON objects with descriptors, one per SOCK_SEQPACKET packet.

    engine → launcher   {"directory"} + control socket       fork a shim for this runtime directory
    engine → shim       {"op", "id", …} (+ descriptor)       a request, answered by
    shim → engine       {"id", "result"} or {"id", "error": {"message", "errno"}}
    shim → engine       {"event": "exit" | "exec-exit" | "detach", …}

Specifications go through files of the runtime directory: a packet is limited to the socket's send buffer.
Requests of the shim are the methods of `shim.Shim.OPERATIONS`.
"""

from __future__ import annotations

import array
import json
import os
import socket

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SOCKET_NAME = "shim.sock"
SPEC_NAME = "config.json"
EXIT_NAME = "exit.json"
_MAX_PACKET = 1 << 18
_MAX_DESCRIPTORS = 4


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


def listen(directory: str) -> socket.socket:
    """Listen on the shim's socket in `directory`, however long its path is (unix(7): 108 bytes)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    listener.bind(f"/proc/self/fd/{fd}/{SOCKET_NAME}")
    os.close(fd)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def connect(directory: str) -> socket.socket:
    """Connect to the shim of a runtime directory; raises OSError if none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{fd}/{SOCKET_NAME}")
        finally:
            os.close(fd)
    except BaseException:
        connection.close()
        raise
    return connection
