"""Running health checks: one task for each running container that has any, the program itself an exec."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from proa import times
from proa.engine.containers import health, stop
from proa.engine.containers.shims import ShimError, ShimGone
from proa.engine.containers.streams import Streams
from proa.engine.options import Healthcheck
from proa.engine.records import Container, Exec, Health, ProbeResult, Status
from proa.engine.requests import ExecOptions
from proa.errors import Conflict, ProaError
from proa.times import SECOND

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_log = logging.getLogger(__name__)
_MOST_OUTPUT = 4096  # bytes that a result keeps
_PATIENCE = 10.0  # seconds until a killed check must be gone


class Probing:
    """The monitors of all containers."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._monitors: dict[str, asyncio.Task[None]] = {}

    def started(self, record: Container) -> None:
        """A run begins: nothing is known of its health. The record is saved by the caller."""
        log = record.state.health.log if record.state.health else []
        record.state.health = Health(log=log) if self._command(record) else None

    def resume(self, record: Container) -> None:
        """Check a container's health from now on."""
        command = self._command(record)
        if command and record.state.status is Status.RUNNING and record.id not in self._monitors:
            if record.state.health is None:
                record.state.health = Health()
            monitor = asyncio.get_running_loop().create_task(self._monitor(record, command))
            self._monitors[record.id] = monitor
            monitor.add_done_callback(_report)

    def pause(self, record: Container) -> None:
        """Stop checking. What is not watched is called unhealthy, as by Docker."""
        if monitor := self._monitors.pop(record.id, None):
            monitor.cancel()
        if record.state.health:
            record.state.health.status = "unhealthy"

    async def close(self) -> None:
        """Leave the containers as they are; another engine goes on."""
        monitors, self._monitors = list(self._monitors.values()), {}
        for monitor in monitors:
            monitor.cancel()
        await asyncio.gather(*monitors, return_exceptions=True)

    def _command(self, record: Container) -> list[str]:
        check = record.options.healthcheck
        return health.command(check) if check else []

    async def _monitor(self, record: Container, command: list[str]) -> None:
        check, found = record.options.healthcheck, record.state.health
        assert check is not None and found is not None
        while True:
            age = times.now() - record.state.started_at
            await asyncio.sleep(health.interval(check, found, age) / SECOND)
            result = await self._probe(record, check, command)
            if result and health.record(check, found, result, record.state.started_at):
                self._containers.store.save(record)
                self._containers.emit(f"health_status: {found.status}", record)
                if found.status == "unhealthy":
                    self._act(record, check)

    async def _probe(self, record: Container, check: Healthcheck, command: list[str]) -> ProbeResult | None:
        """Run the check; None where it could not run because the container is paused, or just ended."""
        execs = self._containers.execs
        start, limit = times.now(), health.timeout(check) / SECOND
        output = bytearray()
        try:
            options = ExecOptions(command=command, attach_stdout=True, attach_stderr=True)
            execution = await execs.create(record.id, options)
            streams = await execs.streams(execution.id)
        except Conflict:
            return None
        except (ProaError, OSError) as error:
            return ProbeResult(start=start, end=times.now(), exit_code=-1, output=str(error))
        async with streams:
            try:
                async with asyncio.timeout(limit):
                    await _collect(streams, output)
                code = execs.get(execution.id).exit_code
            except TimeoutError:
                await self._kill(record, execution, streams)
                code, output[:0] = -1, f"Health check exceeded timeout ({limit:g}s): ".encode()
            except asyncio.CancelledError:
                self._containers.later(self._kill_quietly(record, execution))
                raise
        text = _shortened(output)
        return ProbeResult(start=start, end=times.now(), exit_code=-1 if code is None else code, output=text)

    async def _kill(self, record: Container, execution: Exec, streams: Streams) -> None:
        """End a check that takes too long, with what it has started."""
        try:
            await self._containers.execs.kill(execution.id, signal.SIGKILL)
            async with asyncio.timeout(_PATIENCE):
                await _collect(streams, bytearray())
        except (ShimError, ShimGone, TimeoutError) as error:
            _log.warning("container %s: a health check does not end: %s", record.id, error)

    async def _kill_quietly(self, record: Container, execution: Exec) -> None:
        """End a check whose result nobody wants any more; the container may have ended."""
        try:
            await self._containers.execs.kill(execution.id, signal.SIGKILL)
        except ProaError:
            _log.debug("container %s: its last health check ended by itself", record.id)

    def _act(self, record: Container, check: Healthcheck) -> None:
        if action := _ACTIONS.get(check.on_failure):
            _log.info("container %s is unhealthy: %s", record.id, check.on_failure)
            self._containers.later(_performed(record, action(self._containers, record)))


async def _end(containers: Containers, record: Container) -> None:
    await stop.send(containers, record, signal.SIGKILL)
    containers.emit("kill", record, signal=str(int(signal.SIGKILL)))


# What `--health-on-failure` does. A kill is no end that somebody asked for: the restart policy decides.
_ACTIONS: dict[str, Callable[[Containers, Container], Awaitable[None]]] = {
    "kill": _end,
    "restart": lambda containers, record: containers.restart(record.id),
    "stop": lambda containers, record: containers.stop(record.id),
}


async def _performed(record: Container, action: Awaitable[None]) -> None:
    try:
        await action
    except ProaError as error:
        _log.warning("container %s is unhealthy, and what was to be done failed: %s", record.id, error)


async def _collect(streams: Streams, output: bytearray) -> None:
    """Read to the end; keep what a result needs of it."""
    async for _, data in streams:
        output += data[: max(0, _MOST_OUTPUT + 1 - len(output))]


def _shortened(output: bytearray) -> str:
    text = output[:_MOST_OUTPUT].decode(errors="replace")
    return text + "..." if len(output) > _MOST_OUTPUT else text


def _report(monitor: asyncio.Task[None]) -> None:
    if not monitor.cancelled() and (error := monitor.exception()):
        _log.error("the health checks of a container have failed", exc_info=error)
