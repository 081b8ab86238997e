"""The ways out of a running container: the places that its default routes lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proa.engine.networks import routes
from proa.engine.records import Container
from proa.network.default_route import Way

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


def leads(containers: Containers, record: Container) -> tuple[str, str]:
    """Return the networks that IPv4 and IPv6 leave a container by, "" for none."""
    return routes.choose(
        (endpoint, network)
        for endpoint in record.endpoints.values()
        if (network := containers.networks.of(endpoint))
    )


def ways(record: Container, names: tuple[str, str]) -> tuple[Way, Way]:
    """Return how those networks are reached."""
    return _way(record, names[0], 4), _way(record, names[1], 6)


def _way(record: Container, name: str, version: int) -> Way:
    if not name:
        return Way()
    endpoint = record.endpoints[name]
    gateway = endpoint.gateway if version == 4 else endpoint.gateway6
    return Way(endpoint.device, gateway) if gateway else Way()
