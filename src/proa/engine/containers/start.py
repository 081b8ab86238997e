"""`start`: places on networks, the engine's files, the specification, then the shim does the rest.

Next hop of `run`: `engine/spec.py`, then the launcher forks a shim, which creates and starts.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proa import times, wording
from proa.engine import propagation, spec
from proa.engine.containers import confinement, ending, files, links, mountpoints, namespaces, root, sealing
from proa.engine.containers.run import Run
from proa.engine.containers.runtime_files import clear, make, write_json
from proa.engine.containers.shims import ShimConnection, ShimError, ShimGone
from proa.engine.networks import attach
from proa.engine.records import Container, Memo, Status
from proa.engine.security import Security
from proa.errors import Conflict, Internal, InvalidArgument, NotFound, NotModified, ProaError
from proa.shim import protocol

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

# Parts of an error's text and the exit code they stand for; the docker CLI looks for the same texts.
_EXIT_CODES = (
    ("permission denied", 126),
    ("is a directory", 126),
    ("not a directory", 127),
    ("executable file not found", 127),
    ("no such file or directory", 127),
)
_log = logging.getLogger(__name__)
_UNKNOWN_FAILURE = 128
# What dockerd finds before it asks its runtime stands without the runtime's frame.
_USERS_MISTAKES = (
    "path concatenation escapes",
    "unable to find user",
    "unable to find group",
    "uids and gids",
    "Cannot mkdir",
)
_PATIENCE = 120.0  # seconds; a start copies nothing and waits for nothing that takes longer


async def start(containers: Containers, record: Container, *, automatic: bool = False) -> None:
    """Start a container; raises `NotModified` if it runs. A container that can not start says why in its state.

    An `automatic` start is the restart policy's, any other begins its counting anew.
    """
    if record.running or (record.state.status == Status.RESTARTING and not automatic):
        raise NotModified(f"container {record.id} is already running")
    if record.state.status == Status.REMOVING:
        raise Conflict("container is marked for removal and cannot be started")
    await sealing.finish(containers, record)
    run = containers.runs.get(record.id) or Run()
    containers.runs[record.id] = run
    try:
        result = await _launch(containers, record, run)
    except BaseException as error:
        await _failed(containers, record, run, error)
        raise _explained(error) from error
    run.release_network_descriptor()
    for warning in result["warnings"]:
        _log.warning("container %s: %s", record.id, warning)
    record.state.transition(Status.RUNNING)
    record.state.pid = result["pid"]
    record.state.started_at = result["started_at"]
    record.state.error, record.state.exit_code, record.state.oom_killed = "", 0, False
    if not automatic:
        containers.restarts.forget(record)
        record.state.restart_count, record.state.stopped_by_user = 0, False
    containers.probing.started(record)
    containers.store.save(record)
    containers.resolution.started(record)
    for parent, alias, line in links.moved(containers, record):
        files.tell_of_link(containers, parent, alias, line)
    containers.emit("start", record)
    containers.probing.resume(record)
    if run.early_exit:
        ending.ended(containers, record, run.early_exit)
    elif run.connection is None:
        ending.ended(containers, record, ending.recorded_exit(containers, record.id))


async def _launch(containers: Containers, record: Container, run: Run) -> dict[str, Any]:
    """Make everything the container needs, while its shim makes the cgroup, and let the shim start it."""
    run.early_exit = None  # of a run before, where the shim stays
    settings = containers.settings
    runtime_directory = os.fspath(settings.runtime_directory(record.id))
    make(runtime_directory)
    steps = []
    connection = run.connection
    if connection is None:
        run.connection = connection = _connect(containers, record)
        steps.append(connection.post("open", directory=runtime_directory))
    directory = settings.container_directory(record.id)
    if record.options.ephemeral:
        run.memory = await connection.request("memory", size=record.options.storage_size)
        directory = Path(run.memory)
    place = spec.Place(
        directory=directory,
        cgroup=containers.cgroup_path(record),
        cgroup_version=containers.cgroup_version,
        runtime=containers.runtimes.command(record.options.runtime),
        runtime_directory=runtime_directory,
    )
    confinement.check(containers, record.options)  # others may have got egress rules since
    await mountpoints.mount_volumes(containers, record)
    propagation.check(record.mounts)
    mountpoints.tell(containers, "mount", record)
    await namespaces.resolve(containers, record, run, place)
    place.overlay = root.overlay(containers, record, directory)
    for point in record.mounts:
        place.parts[point.destination] = mountpoints.part(containers, point, place.overlay)
    steps.append(connection.post("create", memo=Memo.of(record), **spec.outline(record, place)))
    files.write(containers, record, place)
    place.variables = links.environment(containers, record)
    guarded = bool(confinement.guard(containers, record.options))
    security = Security.of(record.options, containers.filters, guarded=guarded)
    specification = spec.build(record, security, place)
    config = f"{runtime_directory}/{protocol.SPEC_NAME}"
    write_json(config, specification)
    steps += [pending.attach(connection) for pending in run.take_pending()]
    steps.append(connection.post("start", spec=config))
    async with asyncio.timeout(_PATIENCE):
        *_, result = await asyncio.gather(*steps)
    started: dict[str, Any] = result
    return started


def _connect(containers: Containers, record: Container) -> ShimConnection:
    identifier = record.id
    return ShimConnection(
        containers.launcher.take(),
        lambda event: containers.on_event(identifier, event),
        lambda: containers.on_lost(identifier),
    )


async def _failed(containers: Containers, record: Container, run: Run, error: BaseException) -> None:
    """Put everything back; the record keeps the reason."""
    containers.runs.pop(record.id, None)
    if run.memory and run.connection:
        with suppress(ShimError, ShimGone):  # it has left by itself
            await run.connection.request("release")
    run.close()
    attach.release(containers, record)
    mountpoints.unmount_volumes(containers, record)
    clear(containers.settings.runtime_directory(record.id))
    message = _explained(error).message if isinstance(error, ProaError) else str(error)
    record.state.error = message
    record.state.exit_code = exit_code(message)
    record.state.finished_at = times.now()
    if record.state.status == Status.RESTARTING:
        record.state.transition(Status.EXITED)
    containers.store.save(record)
    if record.options.auto_remove:
        await containers.remove_now(record, volumes=True)


def _explained(error: BaseException) -> ProaError:
    """A shim's reason in Docker's frame; whether the user or the machine is to blame decides the class."""
    if isinstance(error, ShimError) and error.message.startswith(_USERS_MISTAKES):
        return InvalidArgument(error.message)
    if isinstance(error, ShimError) and error.message.startswith("cannot access path"):
        return NotFound(error.message)
    if isinstance(error, ShimError) and error.message.startswith("failed to initialize logging driver"):
        return wording.logging_failed(error.message)
    if isinstance(error, ShimError):
        where = "" if error.message.startswith("exec: ") else "error during container init: "
        message = (
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            f"unable to start container process: {where}{error.message}"
        )
        users = error.blames_request or exit_code(message) != _UNKNOWN_FAILURE
        kind = InvalidArgument if users else Internal
        return kind(message)
    if isinstance(error, ProaError):
        return error
    if isinstance(error, OSError):
        return Internal(f"cannot start the container: {error}")
    raise error


def exit_code(message: str) -> int:
    """Return the exit code that a failed start is recorded with: 126, 127 or 128."""
    lowered = message.lower()
    return next((code for text, code in _EXIT_CODES if text in lowered), _UNKNOWN_FAILURE)
