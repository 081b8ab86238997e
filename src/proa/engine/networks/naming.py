"""What a container is called on its networks, where names are resolved: on all but the predefined ones."""

from __future__ import annotations

from proa.engine.networks.records import PREDEFINED
from proa.engine.records import Container, EndpointRecord
from proa.ids import short


def names(record: Container, place: EndpointRecord) -> list[str]:
    """Return the names by which others on a place's network reach a container: Docker's DNSNames, in its order."""
    if not has_names(place):
        return []
    found = [record.name, *place.wishes.aliases, short(record.id), record.options.hostname]
    return list(dict.fromkeys(found))


def has_names(place: EndpointRecord) -> bool:
    """Whether containers are known by their names on a place's network."""
    return place.network not in PREDEFINED
