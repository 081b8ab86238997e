"""`rm`: forget a container at once, delete its files in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proa.engine.containers import layer_limit, mountpoints, sealing, stop
from proa.engine.containers.runtime_files import clear
from proa.engine.containers.shims import ShimError, ShimGone
from proa.engine.records import Container, Status
from proa.errors import Conflict

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def remove(containers: Containers, record: Container, *, force: bool, volumes: bool) -> None:
    """Remove a container; a running one only with `force`, which kills it.

    One that is being started runs by the time that this begins.
    """
    async with containers.lock(record):
        await _remove(containers, record, force=force, volumes=volumes)


async def remove_ended(containers: Containers, record: Container) -> None:
    """`--rm` at the end of a run, unless a start was faster."""
    async with containers.lock(record):
        if not record.running:
            await remove_now(containers, record, volumes=True)


async def _remove(containers: Containers, record: Container, *, force: bool, volumes: bool) -> None:
    if record.state.status == Status.REMOVING:
        raise Conflict(f"removal of container {record.id} is already in progress")
    if record.running or record.state.status == Status.RESTARTING:
        if not force:
            state = str(record.state.status)
            advice = "stop the container before removing or force remove"
            if state == "paused":
                advice = "unpause and then " + advice
            raise Conflict(f'cannot remove container "{record.name}": container is {state}: {advice}')
        if record.running:
            await stop.kill(containers, record)
        if record.running:
            raise Conflict(f"cannot remove container {record.name}: could not kill it: it does not end")
    if record.id in containers.store:  # --rm may have been faster
        await remove_now(containers, record, volumes=volumes)


async def remove_now(containers: Containers, record: Container, *, volumes: bool) -> None:
    """Remove a container that does not run: record, layer, log, anonymous volumes if `volumes`.

    The caller holds its lock.
    """
    if record.id not in containers.store or record.state.status == Status.REMOVING:
        return
    containers.restarts.forget(record)
    record.state.transition(Status.REMOVING)
    run = containers.runs.pop(record.id, None)
    if run and run.connection:
        try:
            await run.connection.request("release")
        except (ShimError, ShimGone):
            pass  # it has gone by itself
    if run:
        run.close()
    containers.execs.forget_container(record.id)
    layer_limit.discard(containers, containers.settings.container_directory(record.id))
    # Usually gone since the end of the last run; a start that the engine did not survive leaves it.
    clear(containers.settings.runtime_directory(record.id))
    containers.store.delete(record)
    sealing.release(containers, record.own_layers())
    mountpoints.release(containers, record, anonymous=volumes)
    for image_id, layers in (
        (record.image_id, record.layers),
        *((each.source, each.layers) for each in record.images),
    ):
        if not containers.images.store.has(image_id):
            containers.images.release_layers(layers)
    containers.emit("destroy", record)
    containers.waiters.removed(record)
