"""Legacy links (`--link` on the default bridge): others' names in /etc/hosts, and variables that tell of them.

A record has them as "container id:alias". On networks with names a link is an alias that the name server knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from proa.engine.networks.records import DEFAULT, PREDEFINED
from proa.engine.options import ContainerOptions
from proa.engine.records import Container
from proa.errors import Conflict, InvalidArgument, NotFound

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_OWN_VARIABLES = ("HOME", "PATH")  # which nobody is told of
_NO_NETWORK = {"host": "host type networking", "container": "container type network"}


def resolved(containers: Containers, options: ContainerOptions) -> ContainerOptions:
    """Return options whose links name containers by id.

    Raises `InvalidArgument` where links make no sense, or name an unknown container.
    """
    if not options.links:
        return options
    kind = options.network_mode.partition(":")[0]
    if what := _NO_NETWORK.get(kind):
        raise InvalidArgument(
            f"conflicting options: {what} can't be used with links. This would result in undefined behavior"
        )
    pairs = [_parse(text) for text in options.links]
    if kind not in PREDEFINED:
        # There the places' own links count, and these say nothing (dockerd's rule).
        return msgspec.structs.replace(options, links=[])
    return msgspec.structs.replace(
        options, links=[f"{_target(containers, name).id}:{alias}" for name, alias in pairs]
    )


def _parse(text: str) -> tuple[str, str]:
    name, colon, alias = text.partition(":")
    if not name or ":" in alias or (colon and not alias):
        raise InvalidArgument(f"bad format for links: {text}")
    # Tools copy what `inspect` shows: "/db:/web/alias".
    return name.removeprefix("/"), alias.rpartition("/")[2] or name.removeprefix("/")


def _target(containers: Containers, name: str) -> Container:
    try:
        return containers.get(name)
    except NotFound as error:
        raise InvalidArgument(f"could not get container for {name}: {error.message}") from error


def shown(containers: Iterable[Container], record: Container) -> list[str]:
    """Return `HostConfig.Links`: "/db:/web/alias", of containers that still exist."""
    if not record.options.links:
        return []
    names = {each.id: each.name for each in containers}
    return [
        f"/{names[identifier]}:/{record.name}/{alias}"
        for identifier, alias in _links(record)
        if identifier in names
    ]


def _links(record: Container) -> Iterator[tuple[str, str]]:
    for text in record.options.links:
        identifier, _, alias = text.partition(":")
        yield identifier, alias


def _linked(
    containers: Containers, record: Container, *, strict: bool = True
) -> Iterator[tuple[Container, str, str]]:
    """Yield the containers a starting one is linked to: each with alias and address.

    Raises `Conflict` for one that can not be reached, or leaves it out where that is not `strict`.
    """
    for identifier, alias in _links(record):
        if identifier not in containers.store:
            continue  # removed since
        other = containers.store.get(identifier)
        place = other.endpoints.get(DEFAULT)
        if not strict and not (other.running and place):
            continue
        if not other.running:
            raise Conflict(f"Cannot link to a non running container: /{other.name} AS /{record.name}/{alias}")
        if place is None:
            raise Conflict(f"container {other.id} not attached to default bridge network")
        yield other, alias, place.address


def hosts(containers: Containers, record: Container) -> list[str]:
    """Return the lines of a starting container's /etc/hosts that tell of its links."""
    return [_line(other, alias, address) for other, alias, address in _linked(containers, record)]


def _line(other: Container, alias: str, address: str) -> str:
    names = dict.fromkeys((alias, other.options.hostname, other.name))
    return f"{address}\t{' '.join(names)}\n"


def moved(containers: Containers, other: Container) -> Iterator[tuple[Container, str, str]]:
    """Yield who is linked to a container that has started, with the alias and the line that tells of it now."""
    place = other.endpoints.get(DEFAULT)
    if place is None or not place.address:
        return
    for record in containers.all():
        if record.running and record is not other:
            for identifier, alias in _links(record):
                if identifier == other.id:
                    yield record, alias, _line(other, alias, place.address)


def environment(containers: Containers, record: Container, *, strict: bool = True) -> list[str]:
    """Return the variables that tell a container's programs of its links, as Docker names them."""
    found: list[str] = []
    for other, alias, address in _linked(containers, record, strict=strict):
        prefix = alias.replace("-", "_").upper()
        found.append(f"{prefix}_NAME=/{record.name}/{alias}")
        found += _ports(prefix, address, other.options.exposed_ports)
        for variable in other.options.env:
            if variable.partition("=")[0] not in _OWN_VARIABLES:
                found.append(f"{prefix}_ENV_{variable}")
    return found


def _ports(prefix: str, address: str, exposed: list[str]) -> Iterator[str]:
    ports = sorted(_single(exposed), key=lambda port: (port[1] != "tcp", port[1], port[0]))
    if ports:
        number, protocol = ports[0]
        yield f"{prefix}_PORT={protocol}://{address}:{number}"
    for first, last, protocol in _runs(ports):
        name = f"{prefix}_PORT_{first}_{protocol.upper()}"
        if last > first:
            yield f"{name}_START={protocol}://{address}:{first}"
            yield f"{name}_PORT_START={first}"
            yield f"{name}_END={protocol}://{address}:{last}"
            yield f"{name}_PORT_END={last}"
    for number, protocol in ports:
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield f"{name}={protocol}://{address}:{number}"
        yield f"{name}_ADDR={address}"
        yield f"{name}_PORT={number}"
        yield f"{name}_PROTO={protocol}"


def _single(exposed: list[str]) -> Iterator[tuple[int, str]]:
    for text in exposed:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield number, protocol or "tcp"


def _runs(ports: list[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield ports that follow each other as (first, last, protocol)."""
    start = 0
    for index, (number, protocol) in enumerate(ports):
        if index + 1 == len(ports) or ports[index + 1] != (number + 1, protocol):
            yield ports[start][0], number, protocol
            start = index + 1


def remove(containers: Containers, name: str) -> tuple[Container, str]:
    """Forget the link "container/alias"; return the container and the alias. Raises `NotFound`."""
    owner, _, alias = name.strip("/").rpartition("/")
    record = containers.store.find(owner) if owner else None
    kept = [text for text in record.options.links if text.partition(":")[2] != alias] if record else []
    if record is None or len(kept) == len(record.options.links):
        raise NotFound(f"No such container: {name.strip('/')}")
    record.options = msgspec.structs.replace(record.options, links=kept)
    containers.store.save(record)
    return record, alias
