"""The end of a run: from the shim's word to record, events, waiters and, with --rm, removal."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from typing import TYPE_CHECKING, Any

from proa import cgroups, times
from proa.engine.containers import mountpoints, restart_policy
from proa.engine.containers.runtime_files import clear
from proa.engine.networks import attach
from proa.engine.records import Container, Status
from proa.shim import protocol

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_log = logging.getLogger(__name__)
SHIM_LOST = 255  # as Docker records a container whose end nobody saw


def on_event(containers: Containers, identifier: str, event: dict[str, Any]) -> None:
    """Handle what a shim tells by itself."""
    kind = event["event"]
    if kind == "exec-exit":
        containers.execs.exited(event["exec"], event["exit_code"])
        return
    if identifier not in containers.store:
        return
    record = containers.store.get(identifier)
    if kind == "exit":
        run = containers.runs.get(identifier)
        if run and not record.running:
            run.early_exit = event  # the start is not recorded yet; `start` takes it from here
        else:
            ended(containers, record, event)
    elif kind == "detach":
        containers.emit("exec_detach" if event.get("exec") else "detach", record)


def on_lost(containers: Containers, identifier: str) -> None:
    """A shim's connection ended: usually after its exit event, else the file or nothing tells."""
    run = containers.runs.get(identifier)
    if run:
        run.connection = None
    if identifier in containers.store:
        record = containers.store.get(identifier)
        if record.running:
            ended(containers, record, recorded_exit(containers, identifier))


def recorded_exit(containers: Containers, identifier: str) -> dict[str, Any]:
    """Return what the shim wrote down about the end, or what is known if it was killed."""
    path = containers.settings.runtime_directory(identifier) / protocol.EXIT_NAME
    try:
        result: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        containers.later(_end_processes(containers, containers.get(identifier)))
        return {"exit_code": SHIM_LOST, "oom_killed": False, "finished_at": times.now()}
    return result


async def _end_processes(containers: Containers, record: Container) -> None:
    """End what a killed shim has left, before the container can start again: nobody would ever tell of it."""
    cgroup_path = containers.cgroup_path(record)
    cgroup = cgroups.open(cgroup_path)

    def end() -> None:
        if cgroup.exists():
            cgroup.kill(signal.SIGKILL)
        cgroup.remove()
        cgroups.remove_unified(cgroup_path)

    try:
        async with containers.lock(record):
            if not record.running:
                await asyncio.to_thread(end)
    except OSError as error:
        _log.warning("the cgroup %s of a killed shim can not be removed: %s", cgroup_path, error)
    finally:
        cgroup.close()


def catch_up(containers: Containers, record: Container, result: dict[str, Any]) -> None:
    """Record a whole run that the engine was killed in: its start may not be recorded either."""
    if not record.running and result.get("started_at", 0) > record.state.finished_at:
        record.state.status = Status.RUNNING
        record.state.started_at = result["started_at"]
    ended(containers, record, result)


def ended(containers: Containers, record: Container, result: dict[str, Any]) -> None:
    """Record the end of a run and everything that follows from it."""
    if not record.running:
        return
    state = record.state
    state.pid = 0
    state.exit_code, state.oom_killed = result["exit_code"], result["oom_killed"]
    state.finished_at = result["finished_at"]
    again = restart_policy.wanted(record)
    state.transition(Status.RESTARTING if again else Status.EXITED)
    state.restart_count += again
    containers.probing.pause(record)
    run = containers.runs.get(record.id)
    attach.release(containers, record)
    mountpoints.unmount_volumes(containers, record)
    saved = record.options.auto_remove or containers.store.save(record)
    if lost := result.get("log_lost"):
        _log.warning("container %s: %d bytes of its log could not be written", record.id, lost)
    if state.oom_killed:
        containers.emit("oom", record)
    duration = max(0, state.finished_at - state.started_at) // times.SECOND
    containers.emit("die", record, execDuration=str(duration), exitCode=str(state.exit_code))
    if run and not run.memory:
        containers.runs.pop(record.id)
        run.close()
        if saved:  # else the exit file is the only place that tells a later engine
            clear(containers.settings.runtime_directory(record.id))
    containers.execs.container_ended(record.id)
    containers.waiters.exited(record)
    if again:
        containers.restarts.schedule(record)
    if record.options.auto_remove:
        containers.later(containers.remove_ended(record))
