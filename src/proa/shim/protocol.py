"""Messages between engine and shims: JSON objects with descriptors, one per SOCK_SEQPACKET packet.

    engine → shim       {"op", "id", …} (+ descriptor)       a request, answered by
    shim → engine       {"id", "result"} or {"id", "error": {"message", "errno"}}
    shim → engine       {"event": "exit" | "exec-exit" | "detach", …}

Specifications go through files of the runtime directory: a packet is limited to the socket's send buffer.
Requests of the shim are the methods of `shim.Shim.OPERATIONS`.
"""

from __future__ import annotations

from proa.linux import packets
from proa.linux.packets import Socket, accept, receive, send

SOCKET_NAME = "shim.sock"
SPEC_NAME = "config.json"
EXIT_NAME = "exit.json"
FROZEN = "the container is paused"  # answer to an exec, whose process would freeze half-made
FAR_BEHIND = "more of the log was written than a client can be sent at once"  # answer to an attach with logs


def listen(directory: str) -> Socket:
    """Listen on the shim's socket in `directory`."""
    return packets.listen(directory, SOCKET_NAME)


def connect(directory: str) -> Socket:
    """Connect to the shim of a runtime directory; raises OSError if none listens."""
    return packets.connect(directory, SOCKET_NAME)


__all__ = [
    "EXIT_NAME", "FAR_BEHIND", "FROZEN", "SOCKET_NAME", "SPEC_NAME", "Socket",
    "accept", "connect", "listen", "receive", "send",
]  # fmt: skip
