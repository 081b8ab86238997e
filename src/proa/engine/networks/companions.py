"""What follows a container's places on networks: published ports, names in the DNS.

A companion is told of each place when the interface is there and the container's program does not run yet (or,
with `network connect`, runs already), and again when the place goes. To hook one in, append it to
`Networks.companions` where `Engine` puts its parts together.
"""

from __future__ import annotations

from typing import Protocol

from proa.engine.networks.records import Network
from proa.engine.records import Container, EndpointRecord


class Companion(Protocol):
    """begin() ── end(), for each place; `resume` instead of `begin` for places that an earlier engine gave."""

    async def begin(self, record: Container, endpoint: EndpointRecord, network: Network, namespace: str) -> None:
        """Do what goes with a new place; raises `ProaError` to refuse it, and the start of the container.

        `endpoint` has its addresses and interfaces; `record.endpoints` is in the order of the interfaces and has
        all places given so far. `namespace` is a path of the container's network namespace, good until the
        method returns; a running container's is /proc/<record.state.pid>/ns/net.
        """

    def resume(self, record: Container, endpoint: EndpointRecord, network: Network) -> None:
        """Take up a place of a container that ran on while no engine did; networks are set up."""

    def end(self, record: Container, endpoint: EndpointRecord, network: Network | None) -> None:
        """Undo what `begin` or `resume` did; also called after a `begin` that failed. Must not raise.

        `network` is None if it is known no more.
        """
