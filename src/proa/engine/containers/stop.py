"""`kill`, `stop`, `restart`, `pause`: acting on a running container, and what its end means."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from proa import wording
from proa.engine import names
from proa.engine.containers.shims import ShimError, ShimGone
from proa.engine.records import Container, Status
from proa.errors import Conflict, NotModified

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

DEFAULT_TIMEOUT = 10  # seconds
# Signals that ask a program to end; the others, such as SIGHUP, often mean something else to it.
_ENDING = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT})
_KILL_WAIT = 10.0  # seconds until a SIGKILL must have done its work


async def kill(containers: Containers, record: Container, number: int = signal.SIGKILL) -> None:
    """Send a signal to process 1; raises `Conflict` if the container does not run."""
    if record.state.status is Status.RESTARTING and await containers.restarts.give_up(record):
        return  # there is nobody to signal, and nobody will be
    if not record.running:
        raise Conflict(f"cannot kill container: {record.name}: container {record.id} is not running")
    if number in _ENDING or number == _stop_signal(record):
        _end_is_wanted(containers, record)
    await send(containers, record, number)
    if number == signal.SIGKILL:
        await _await_end(containers, record, _KILL_WAIT)
    containers.emit("kill", record, signal=str(number))


async def send(containers: Containers, record: Container, number: int) -> None:
    """Deliver a signal; one that comes too late is no error, the container has ended."""
    run = containers.runs.get(record.id)
    if run is None or run.connection is None:
        return
    if record.state.status == Status.PAUSED and number in (signal.SIGKILL, signal.SIGTERM):
        await unpause(containers, record)  # a frozen process acts on no signal
    if number in (signal.SIGKILL, signal.SIGTERM):
        await containers.holds.cut_short(record)
    try:
        await run.connection.request("kill", signal=number)
    except (ShimError, ShimGone):
        containers.deliver(record.id)  # the shim has refused because it knows of the end


async def stop(containers: Containers, record: Container, timeout: int | None, text: str = "") -> None:
    """Ask the container to end, kill it after `timeout` seconds (None: its own; negative: never)."""
    if record.state.status is Status.RESTARTING and await containers.restarts.give_up(record):
        containers.emit("stop", record)
        return
    if not record.running:
        raise NotModified(f"container {record.id} is not running")
    options = record.options
    number = names.parse_signal(text) if text else _stop_signal(record)
    _end_is_wanted(containers, record)
    if timeout is None:
        timeout = DEFAULT_TIMEOUT if options.stop_timeout is None else options.stop_timeout
    await send(containers, record, number)
    containers.emit("kill", record, signal=str(number))
    if not await _await_end(containers, record, None if timeout < 0 else float(timeout)):
        await send(containers, record, signal.SIGKILL)
        containers.emit("kill", record, signal=str(int(signal.SIGKILL)))
        await _await_end(containers, record, _KILL_WAIT)
    containers.emit("stop", record)


def _stop_signal(record: Container) -> int:
    return names.parse_signal(record.options.stop_signal or "SIGTERM")


def _end_is_wanted(containers: Containers, record: Container) -> None:
    """Keep the restart policy from undoing what somebody asks for, also after a crash of the engine."""
    record.state.stopped_by_user = True
    if record.options.restart_policy.name != "no":
        containers.store.save(record)


async def _await_end(containers: Containers, record: Container, timeout: float | None) -> bool:
    """Wait until the container's end is recorded; return whether it is."""
    future = containers.waiters.add(record, "not-running")
    try:
        async with asyncio.timeout(timeout):
            await future
    except TimeoutError:
        return False
    finally:
        future.cancel()
    return True


async def pause(containers: Containers, record: Container) -> None:
    """Freeze every process of the container."""
    if record.state.status == Status.PAUSED:
        raise Conflict(f"Container {record.id} is already paused")
    await _freeze(containers, record, "pause", Status.PAUSED)


async def unpause(containers: Containers, record: Container) -> None:
    """Let a frozen container go on."""
    if record.state.status != Status.PAUSED:
        raise Conflict(f"Container {record.id} is not paused")
    await _freeze(containers, record, "resume", Status.RUNNING)


async def _freeze(containers: Containers, record: Container, operation: str, status: Status) -> None:
    before = record.state.status
    await containers.ask(record, operation)
    if record.state.status is not before:  # it has ended meanwhile: what is over must not run again by this
        raise wording.not_running(record.id)
    record.state.transition(status)
    containers.store.save(record)
    if status is Status.PAUSED:
        containers.probing.pause(record)
        containers.emit("pause", record)
    else:
        containers.probing.resume(record)
        containers.emit("unpause", record)
