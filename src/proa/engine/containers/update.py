"""`update`: other limits and another restart policy, for a running container at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proa.engine import resources
from proa.engine.containers.shims import ShimError, ShimGone
from proa.engine.options import ContainerOptions, Resources, RestartPolicy
from proa.engine.records import Container, Status
from proa.errors import Conflict, Internal, InvalidArgument

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_UNSET = Resources()
_UNLIMITED = -1
# What can not be asked for where the other is set: CPUs as a number exclude CPUs as times.
_CPU_TIMES = (("cpu_period", "CPU Period"), ("cpu_quota", "CPU Quota"))

_CONFLICT = "Conflicting options: {} cannot be updated as {} has already been set"


async def update(
    containers: Containers, record: Container, changes: Resources, policy: RestartPolicy | None
) -> list[str]:
    """Change what `changes` sets; returns warnings. Everything is changed, or nothing."""
    if record.state.status in (Status.REMOVING, Status.DEAD):
        raise _refused(Conflict, record, 'container is marked for removal and cannot be "update"')
    if policy and policy.name != "no" and record.options.auto_remove:
        message = "Restart policy cannot be updated because AutoRemove is enabled for the container"
        raise _refused(InvalidArgument, record, message)
    async with containers.lock(record):
        options = _changed(record, changes, policy)
        resources.validate(options)
        containers.deliver(record.id)  # it may have ended already
        warnings = await _apply(containers, record, options) if record.running else []
        record.options = options
        containers.store.save(record)
    containers.emit("update", record)
    return [*resources.warnings(options), *warnings]


def _changed(record: Container, changes: Resources, policy: RestartPolicy | None) -> ContainerOptions:
    """Return the options with `changes` over them. Raises in Docker's words for what contradicts the rest."""
    limits = record.options.resources
    given = {
        name: getattr(changes, name)
        for name in changes.__struct_fields__
        if getattr(changes, name) != getattr(_UNSET, name)
    }
    for name, word in _CPU_TIMES:
        if given.get("nano_cpus") and getattr(limits, name) > 0:
            raise _refused(Conflict, record, _CONFLICT.format("Nano CPUs", word))
        if given.get(name, 0) > 0 and limits.nano_cpus:
            raise _refused(Conflict, record, _CONFLICT.format(word, "NanoCPUs"))
    if changes.memory:
        swap = given.setdefault("memory_swap", resources.memory_and_swap(limits))
        if not changes.memory_swap and 0 < swap < changes.memory:
            raise _refused(
                InvalidArgument,
                record,
                "Memory limit should be smaller than already set memoryswap limit, "
                "update the memoryswap at the same time",
            )
    new = {"resources": msgspec.structs.replace(limits, **given)}
    return msgspec.structs.replace(record.options, **new, restart_policy=policy or record.options.restart_policy)


async def _apply(containers: Containers, record: Container, options: ContainerOptions) -> list[str]:
    """Let the shim write the limits; where the kernel refuses one, the old ones again."""
    connection = containers.connection(record)
    try:
        warnings: list[str] = await connection.request("update", resources=_limits(options))
    except ShimError as error:
        if not record.running:
            return []  # it has just ended
        await containers.ask(record, "update", resources=_limits(record.options))
        kind = InvalidArgument if error.blames_request else Internal
        raise _refused(kind, record, error.message) from error
    except ShimGone:
        if record.running:
            raise
        return []
    return warnings


def _limits(options: ContainerOptions) -> dict[str, Any]:
    """Return the specification's limits; devices stay as they are."""
    limits = resources.specification(options, options.privileged)
    del limits["devices"]
    limits["pids"] = {"limit": options.resources.pids_limit if options.resources.pids_limit > 0 else _UNLIMITED}
    return limits


def _refused(kind: type[Conflict | InvalidArgument | Internal], record: Container, reason: str) -> Exception:
    return kind(f"Cannot update container {record.id}: {reason}")
