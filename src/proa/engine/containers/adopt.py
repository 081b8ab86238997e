"""After a start of the engine: find the containers that ran on without it, and what happened to the others.

Shims are found by their sockets, not by the records: an engine killed between a shim's start and its own
record of it must not leave a container that nobody knows.
"""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proa.engine.containers import ending
from proa.engine.containers.layer_limit import discard
from proa.engine.containers.run import Run
from proa.engine.containers.runtime_files import clear
from proa.engine.containers.shims import ShimConnection, ShimError, ShimGone
from proa.engine.records import Container, Memo, Status
from proa.shim import protocol

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_log = logging.getLogger(__name__)


async def adopt(containers: Containers) -> None:
    """Bring records and reality together; containers with --rm that ended meanwhile are removed."""
    for directory in _runtime_directories(containers):
        await _adopt_directory(containers, directory)
    for record in containers.all():
        if record.state.status == Status.REMOVING:
            record.state.status = Status.DEAD  # the removal was interrupted: finish it
            await containers.remove_now(record, volumes=record.options.auto_remove)
        elif record.running and record.id not in containers.runs:
            ending.ended(containers, record, ending.recorded_exit(containers, record.id))
    known = {record.id for record in containers.all()}
    for directory in _children(containers.settings.data_root / "containers"):
        if directory.name not in known:
            discard(containers, directory)


def _children(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.exists() else []


def _runtime_directories(containers: Containers) -> list[Path]:
    return _children(containers.settings.exec_root / "containers")


async def _adopt_directory(containers: Containers, directory: Path) -> None:
    identifier = directory.name
    try:
        socket = protocol.connect(str(directory))
    except OSError:
        if identifier in containers.store:
            _recover(containers, containers.get(identifier), directory)
        else:
            clear(directory)
        return
    run = Run()
    run.connection = ShimConnection(
        socket,
        lambda event: containers.on_event(identifier, event),
        lambda: containers.on_lost(identifier),
    )
    containers.runs[identifier] = run
    try:
        state = await run.connection.request("state")
        if identifier in containers.store:
            await _take_over(containers, containers.get(identifier), run, state)
        else:
            await _end_stranger(run, state)
    except (ShimError, ShimGone) as error:
        _log.warning("container %s: its shim does not answer: %s", identifier, error)
    if identifier not in containers.store:
        run.close()
        containers.runs.pop(identifier, None)
        clear(directory)


def _recover(containers: Containers, record: Container, directory: Path) -> None:
    """The shim is gone: what it left tells of a run that nobody recorded."""
    if (directory / protocol.EXIT_NAME).exists():
        ending.catch_up(containers, record, ending.recorded_exit(containers, record.id))
    if not record.running:
        clear(directory)


async def _take_over(containers: Containers, record: Container, run: Run, state: dict[str, Any]) -> None:
    """Make the record say what the shim says."""
    run.memory = state["memory"]
    if state["exit"] is not None:
        ending.catch_up(containers, record, state["exit"])
        return
    if not state["pid"]:
        return  # killed before the start; an ephemeral container's layer may be there already
    if state["paused"] and record.state.status != Status.PAUSED:
        assert run.connection is not None
        await run.connection.request("resume")  # held for a commit that did not come to its end
    elif not state["paused"]:
        record.state.status = Status.RUNNING
    if state["memo"] and record.state.started_at != state["started_at"]:
        # The start was not recorded any more, nor the places that it took; of a recorded one the memo is old.
        memo = msgspec.convert(state["memo"], Memo)
        record.endpoints, record.ports = memo.endpoints, memo.ports
    record.state.pid = state["pid"]
    record.state.started_at = state["started_at"]
    containers.store.save(record)
    containers.probing.resume(record)
    containers.execs.adopt(record.id, state["execs"])


async def _end_stranger(run: Run, state: dict[str, Any]) -> None:
    """A shim without a record: its container was removed, or never recorded."""
    assert run.connection is not None
    if state["pid"]:
        await run.connection.request("kill", signal=int(signal.SIGKILL))
    else:
        await run.connection.request("release")
