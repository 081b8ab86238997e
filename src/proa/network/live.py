"""The life of a network in the kernel, whatever makes it: the drivers' common face."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Protocol

from proa.network.endpoint import Endpoint, Order
from proa.network.leases import Pair


class InUse(Protocol):
    """What is remembered of an endpoint of a running container; `Endpoint` has it all."""

    @property
    def address(self) -> str: ...
    @property
    def address6(self) -> str: ...
    @property
    def interface(self) -> str: ...
    @property
    def mac_address(self) -> str: ...


class LiveNetwork(Protocol):
    """setup() ── take() or order(), release() or unplug() ── close() or teardown().

    `close` leaves everything to running containers and the next engine, `teardown` leaves nothing. `setup`,
    `close` and `teardown` are for one thread at a time, the others for any. Errors are `ProaError`s.
    """

    def setup(self, running: Iterable[InUse] = ()) -> object:
        """Make the network, or find it as an earlier engine left it.

        `running` are the endpoints of containers that are still running: their addresses stay theirs.
        """

    @property
    def disturbed(self) -> bool:
        """Whether `setup` has taken interfaces from containers, which nobody remembers."""

    @property
    def device_prefix(self) -> str:
        """What its interfaces are called inside, before the number."""

    def take(self) -> Endpoint | None:
        """Return a ready endpoint in microseconds, None when an order would have to be waited for."""

    def order(self, order: Order) -> Future[Endpoint]:
        """Have an endpoint made as ordered (some 2 ms).

        Whoever gets it closes it when the container has it, and calls `release` at the container's end.
        """

    def release(self, pair: Pair) -> None:
        """Take the addresses back of a container that has ended; twice is no error."""

    def unplug(self, interface: str, device: str, namespace: int, pair: Pair) -> Future[None]:
        """Take an endpoint from a container that goes on: by the host's side of it, or what it is inside."""

    def close(self) -> None:
        """Let go of the endpoints nobody uses; containers keep running on what stays."""

    def teardown(self) -> None:
        """Close, and remove all that was made for the network."""
