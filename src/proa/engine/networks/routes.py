"""Which of a container's networks the default routes lead to: one for each family."""

from __future__ import annotations

from collections.abc import Iterable

from proa.engine.networks.records import Network
from proa.engine.records import EndpointRecord

# Docker's driver names whose networks route nowhere by themselves.
_WITHOUT = ("host", "null")


def choose(places: Iterable[tuple[EndpointRecord, Network]]) -> tuple[str, str]:
    """Return the names of the networks that IPv4 and IPv6 leave a container by; "" where there is none.

    The highest priority wins, then a network of both families, then the name that sorts first: Docker's rule since
    28.0. Internal networks lead nowhere.
    """
    leading = [place for place in places if not place[1].internal and place[1].driver not in _WITHOUT]
    leading.sort(key=lambda place: (-place[0].wishes.gateway_priority, not _both(place[1]), place[1].name))
    v4 = next((network.name for _, network in leading if network.enable_ipv4), "")
    v6 = next((network.name for _, network in leading if network.enable_ipv6), "")
    return v4, v6


def _both(network: Network) -> bool:
    return network.enable_ipv4 and network.enable_ipv6
