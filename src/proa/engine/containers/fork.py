"""`fork`: copies of a container that begin with what it has written. They share its layers, nothing is copied.

A copy has the options of the original, but nothing that only one container can have: name, host name, addresses
and published ports are its own, and so are anonymous volumes, which are made anew. It has no snapshots.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import msgspec

from proa import ids, times
from proa.engine.containers import mountpoints, sealing, view
from proa.engine.containers.sealing import Sealed
from proa.engine.names import random_name, validate_container_name
from proa.engine.options import ContainerOptions, EndpointOptions, PortBinding
from proa.engine.records import Container, EndpointRecord
from proa.errors import InvalidArgument, ProaError

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

MOST = 1000  # copies at once


class Forked(msgspec.Struct, kw_only=True, frozen=True):
    """A copy. `error` says why it could not be started."""

    id: str
    name: str
    error: str = ""


async def fork(
    containers: Containers, record: Container, count: int, *, prefix: str, snapshot: str, start: bool
) -> list[Forked]:
    """Make `count` copies, named `prefix`-1 and so on; all of them or none. With `start`, start them.

    Raises `Conflict` for a taken name, `InvalidArgument`, and what a snapshot raises.
    """
    if not 1 <= count <= MOST:
        raise InvalidArgument(f"invalid number of copies: {count}: it is from 1 to {MOST}")
    async with containers.lock(record):
        await sealing.ready(containers, record, "fork")
        if snapshot:
            sealed = Sealed(record.snapshot(snapshot).sealed, "", is_copy=False)
        else:
            sealed = await sealing.seal(containers, record)
        made: list[Container] = []
        try:
            for name in _names(containers, count, prefix):
                made.append(_copy(containers, record, name, sealed.layers))
                made[-1].mounts = mountpoints.resolve(containers, made[-1])
            await sealing.keep(containers, record, sealed, {}, made)
        except BaseException:
            for each in made:
                if each.id not in containers.store:
                    mountpoints.release(containers, each, anonymous=True)
            raise
    for each in made:
        containers.emit("create", each, forkedFrom=record.id)
    containers.emit("fork", record, copies=str(count))
    return list(await asyncio.gather(*(_completed(containers, each, start=start) for each in made)))


async def _completed(containers: Containers, record: Container, *, start: bool) -> Forked:
    error = ""
    try:
        await view.fill_volumes(containers, record)
        if start:
            await containers.start(record.id)
    except ProaError as failure:
        error = str(failure)
    return Forked(id=record.id, name=record.name, error=error)


def _names(containers: Containers, count: int, prefix: str) -> list[str]:
    if prefix:
        return [validate_container_name(f"{prefix}-{number}") for number in range(1, count + 1)]
    names: set[str] = set()
    while len(names) < count:
        names.add(random_name(lambda name: name in names or containers.store.name_taken(name)))
    return sorted(names)


def _copy(containers: Containers, record: Container, name: str, sealed: list[str]) -> Container:
    """Return the record of a copy that nobody has seen yet."""
    identifier = ids.new_id()
    options = _options(record, identifier)
    return Container(
        id=identifier,
        name=name,
        created=times.now(),
        image_id=record.image_id,
        layers=record.layers,
        options=options,
        path=record.path,
        args=record.args,
        endpoints={key: _place(place) for key, place in record.endpoints.items()},
        request=_request(record.request),
        warnings=record.warnings,
        sealed=sealed,
    )


def _options(record: Container, identifier: str) -> ContainerOptions:
    options = record.options
    changes: dict[str, Any] = {
        "mac_address": "",
        "networks": {name: _wishes(given) for name, given in options.networks.items()},
        "port_bindings": [each for binding in options.port_bindings for each in _any_port(binding)],
    }
    if options.hostname == ids.short(record.id):
        changes["hostname"] = ids.short(identifier)
    return msgspec.structs.replace(options, **changes)


def _wishes(given: EndpointOptions) -> EndpointOptions:
    return msgspec.structs.replace(given, address="", address6="", link_local_addresses=[], mac_address="")


def _place(place: EndpointRecord) -> EndpointRecord:
    return msgspec.structs.replace(place.detached(), wishes=_wishes(place.wishes))


def _any_port(binding: PortBinding) -> list[PortBinding]:
    """Return bindings of the same ports of the container to any of the host's."""
    if not binding.first:
        return [binding]
    return [
        msgspec.structs.replace(binding, port=port, count=1, first=0, last=0)
        for port in range(binding.port, binding.port + binding.count)
    ]


def _request(request: dict[str, Any]) -> dict[str, Any]:
    """Return the body that would have made the copy, for `inspect`."""
    changed = copy.deepcopy(request)
    for bindings in ((changed.get("HostConfig") or {}).get("PortBindings") or {}).values():
        for binding in bindings or ():
            if isinstance(binding, dict) and binding.get("HostPort"):
                binding["HostPort"] = ""
    return changed
