"""What the engine holds of a container that runs, or is about to: its shim, network namespace and waiting clients.

Nothing here is written down: after a restart of the engine `adopt.py` finds it out again.
"""

from __future__ import annotations

import asyncio
import os
import select
from typing import Any

import msgspec

from proa.engine.containers.shims import ShimConnection
from proa.engine.requests import AttachRequest


class Pending(msgspec.Struct):
    """A client that attached before the start; the descriptor is ours."""

    fd: int
    request: AttachRequest
    tty: bool
    place: list[int] | None = None  # inode and offset in the log: what was written behind it comes first

    def attach(self, connection: ShimConnection) -> asyncio.Future[Any]:
        """Hand the client to the shim; this process's descriptor is closed."""
        try:
            client = client_message(self.request, tty=self.tty) | {"logs": self.place}
            return connection.post("attach", descriptors=(self.fd,), client=client)
        finally:
            os.close(self.fd)


class Run:
    """One run of a container, from the preparation of its start to its end."""

    def __init__(self) -> None:
        self.connection: ShimConnection | None = None
        self.namespace = -1  # descriptor of the network namespace, until the container's processes have it
        self.memory = ""  # host path of an ephemeral container's tmpfs
        self.early_exit: dict[str, Any] | None = None  # an end that was told before the start was recorded
        self._pending: list[Pending] = []

    def hold(self, pending: Pending) -> None:
        """Keep a client for the start; those that have gone meanwhile are let go."""
        gone = select.poll()
        for each in self._pending:
            gone.register(each.fd, 0)  # POLLHUP always counts
        left = {fd for fd, _ in gone.poll(0)}
        for fd in left:
            os.close(fd)
        self._pending = [*(each for each in self._pending if each.fd not in left), pending]

    def take_pending(self) -> list[Pending]:
        """Return the clients that wait, once."""
        pending, self._pending = self._pending, []
        return pending

    def release_network_descriptor(self) -> None:
        """The container's processes keep the namespace from now on."""
        descriptor, self.namespace = self.namespace, -1
        if descriptor >= 0:
            os.close(descriptor)

    def close(self) -> None:
        """Close what this process holds; the shim goes on."""
        for pending in self.take_pending():
            os.close(pending.fd)
        if self.connection:
            self.connection.close()
            self.connection = None
        self.release_network_descriptor()


def client_message(request: AttachRequest, *, tty: bool) -> dict[str, Any]:
    """Return an attach request as the shim takes it."""
    return {
        "stdin": request.stdin,
        "stdout": request.stdout,
        "stderr": request.stderr,
        "multiplexed": request.multiplexed,
        "detach_keys": list(request.detach_keys) if tty else [],
        "buffered": request.buffered.decode("latin-1"),
        "drain": request.drain,
        "stream": request.stream,
    }
