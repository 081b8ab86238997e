"""Other egress rules for a container, at once if it runs: `update --egress`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proa.engine.containers import confinement
from proa.engine.options import Egress
from proa.engine.records import Container, Status
from proa.errors import Conflict

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def change(containers: Containers, record: Container, wanted: Egress) -> None:
    """Let `wanted` hold instead of the rules that a container has, all of it or nothing.

    The record is first: an engine that is killed here finds out at its next start (`EgressRules.mend`). Raises
    `Conflict` for a container that runs without rules: it may have ways round them by now.
    """
    async with containers.lock(record):
        if record.state.status in (Status.REMOVING, Status.DEAD):
            raise Conflict("container is marked for removal and can not get other egress rules")
        before = record.options
        if record.running and before.egress is None:
            raise Conflict(
                f"container {record.name} runs without egress rules, and may have ways round them: stop it first"
            )
        after = msgspec.structs.replace(before, egress=wanted)
        confinement.check(containers, after)
        record.options = after
        containers.store.save(record)
        if record.running:
            try:
                await containers.egress.apply(record)
            except BaseException:
                record.options = before
                containers.store.save(record)
                raise
            containers.resolution.changed(record)
    containers.emit("update", record)
