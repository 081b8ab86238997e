"""`network rm` and `network prune`: only of networks that no container is on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proa import times
from proa.engine import filtering, filters
from proa.engine.filtering import Filters
from proa.engine.networks.records import Network
from proa.errors import Forbidden, ProaError
from proa.ids import short

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


def users(containers: Containers, network: Network) -> list[tuple[str, str]]:
    """Return names and endpoint ids of the containers that are on a network, or just getting there."""
    found = [
        (record.name, place.endpoint_id)
        for record in containers.all()
        if (place := record.endpoints.get(network.name)) and place.attached and place.network_id == network.id
    ]
    return found or [("", "")] * containers.networks.arriving[network.id]


async def remove(containers: Containers, network: Network) -> None:
    """Remove a network; raises `Forbidden` for one that is predefined or in use."""
    networks = containers.networks
    if network.predefined:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
    async with networks.lock:
        if networks.named(network.name) is not network:
            return  # another was faster
        if network.config_only and any(other.config_from == network.name for other in networks.all()):
            raise _refused(f'configuration network "{network.name}" is in use')
        if present := users(containers, network):
            who = ", ".join(f'name:"{name}" id:"{short(identifier)}"' for name, identifier in present)
            raise _refused(f"network {network.name} has active endpoints ({who})")
        networks.forget(network)  # nobody finds it any more
        await asyncio.to_thread(networks.bring_down, network)
    networks.emit("destroy", network)


def _refused(reason: str) -> Forbidden:
    return Forbidden(f"error while removing network: {reason}")


async def prune(containers: Containers, wanted: Filters) -> list[str]:
    """Remove all networks that no container is on; return their names."""
    filtering.check(wanted, filters.PRUNE_FILTERS)
    now = times.now()
    limits = [times.parse_moment(text, now) for text in wanted.get("until", ())]
    removed = []
    for network in containers.networks.all():
        if network.predefined or network.config_only or users(containers, network):
            continue
        if not all(network.created < limit for limit in limits):
            continue
        if not filters.pruned_by_labels(wanted, network.labels):
            continue
        try:
            await remove(containers, network)
        except ProaError:
            continue  # used again meanwhile, or by other networks
        removed.append(network.name)
    containers.events.emit("network", "prune", "", {"reclaimed": "0"})
    return removed
