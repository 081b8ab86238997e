"""Other published ports for a container, at once if it runs: `update --publish-add` and `--publish-rm`.

All of it or nothing. What is added comes before what is taken away: a connection never finds neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proa.engine.containers import publishing
from proa.engine.options import PortBinding
from proa.engine.records import Container, Status
from proa.errors import Conflict, InvalidArgument, NotFound
from proa.network.published import Published

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_WITHOUT_PORTS = ("host", "none")  # network modes


async def change(
    containers: Containers, record: Container, add: list[PortBinding], remove: list[PortBinding]
) -> None:
    """Publish what `add` says, and no more what `remove` says: 0 for any port, "" for any address of the host."""
    mode = record.options.network_mode
    if mode in _WITHOUT_PORTS or mode.startswith("container:"):
        raise InvalidArgument(f"conflicting options: port publishing and the network mode {mode}")
    async with containers.lock(record):
        if record.state.status in (Status.REMOVING, Status.DEAD):
            raise Conflict("container is marked for removal and can not get other ports")
        options = record.options
        had = list(_single(options.port_bindings))
        gone = [each for wish in _single(remove) for each in _found(record, had, wish)]
        kept = [each for each in had if each not in gone]
        changed = msgspec.structs.replace(options, port_bindings=joined([*kept, *add]))
        removed: list[Published] = []
        if record.running:
            removed = [run for each in gone for run in _published(record, each, kept)]
            await containers.publishing.add(record, msgspec.structs.replace(options, port_bindings=add))
        record.options = changed
        _tell(record.request, changed.port_bindings)
        record.ports = publishing.without(record.ports, removed)
        # Before they are taken away: whatever happens in between, the shim holds what the record says, and more.
        containers.store.save(record)
        if removed:
            await containers.publishing.take_away(record, removed)
    containers.emit("update", record)


def _single(bindings: list[PortBinding]) -> list[PortBinding]:
    """Return a binding for each port of ranges."""
    return [
        PortBinding(
            protocol=each.protocol,
            port=each.port + step,
            host_address=each.host_address,
            first=each.first + step if each.first else 0,
            last=each.first + step if each.first and each.count > 1 else each.last,
        )
        for each in bindings
        for step in range(each.count)
    ]


def joined(single: list[PortBinding]) -> list[PortBinding]:
    """Join what is one to one in order to ranges; the given ones are changed."""
    found: list[PortBinding] = []
    for each in sorted(single, key=lambda each: (each.protocol, each.host_address, each.port)):
        if found and _continues(found[-1], each):
            found[-1].count += each.count
            found[-1].last = each.last
        else:
            found.append(each)
    return found


def _continues(last: PortBinding, each: PortBinding) -> bool:
    same = (last.protocol, last.host_address) == (each.protocol, each.host_address)
    exact = all(one.last - one.first + 1 == one.count for one in (last, each) if one.first)
    in_order = last.port + last.count == each.port
    both = each.first == last.last + 1 if last.first else not each.first
    return same and exact and in_order and both


def _found(record: Container, had: list[PortBinding], wish: PortBinding) -> list[PortBinding]:
    found = [
        each
        for each in had
        if (each.protocol, each.port) == (wish.protocol, wish.port)
        and wish.host_address in ("", each.host_address)
        and (not wish.first or (each.first <= wish.first <= each.last))
    ]
    if not found:
        raise NotFound(f"No public port '{wish.port}/{wish.protocol}' published for {record.name}")
    return found


def _published(record: Container, binding: PortBinding, kept: list[PortBinding]) -> list[Published]:
    """Return what a binding was given: with ports of the host that none of those kept asks for."""
    shared = any((each.port, each.protocol) == (binding.port, binding.protocol) for each in kept)
    routed = [
        each
        for run in record.ports
        for each in run.single()
        if run.is_routed and (each.port, each.protocol) == (binding.port, binding.protocol) and not shared
    ]
    return [*routed, *_at_host(record, binding, kept)]


def _at_host(record: Container, binding: PortBinding, kept: list[PortBinding]) -> list[Published]:
    fixed = {each.first for each in kept if each.port == binding.port and each.protocol == binding.protocol}
    return [
        Published(run.protocol, run.host_address, run.host_port + step, binding.port)
        for run in record.ports
        if not run.is_routed
        and run.protocol == binding.protocol
        and run.port <= binding.port < run.port + run.count
        for step in (binding.port - run.port,)
        if binding.host_address in ("", run.host_address)
        and (binding.first <= run.host_port + step <= binding.last or not binding.first)
        and run.host_port + step not in fixed
    ]


def _tell(request: dict[str, Any], bindings: list[PortBinding]) -> None:
    """Make `inspect` show what would be asked for now."""
    listed: dict[str, list[dict[str, str]]] = {}
    for each in _single(bindings):
        ports = (
            "" if not each.first else str(each.first) if each.first == each.last else f"{each.first}-{each.last}"
        )
        entry = {"HostIp": each.host_address, "HostPort": ports}
        listed.setdefault(f"{each.port}/{each.protocol}", []).append(entry)
    request["HostConfig"] = {**(request.get("HostConfig") or {}), "PortBindings": listed}
