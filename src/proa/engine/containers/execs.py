"""`exec`: further processes in a running container. Kept in memory; shims know those an engine has forgotten."""

from __future__ import annotations

import asyncio
import fcntl
import os
from typing import TYPE_CHECKING

from proa import ids, times, wording
from proa.engine import spec
from proa.engine.containers import batch, confinement, links
from proa.engine.containers.batch import Completed
from proa.engine.containers.run import client_message
from proa.engine.containers.runtime_files import write_json
from proa.engine.containers.shims import ShimConnection, ShimError, ShimGone
from proa.engine.containers.start import exit_code
from proa.engine.containers.streams import Streams
from proa.engine.records import Container, Exec, Status
from proa.engine.requests import AttachRequest, ExecOptions
from proa.engine.security import Security
from proa.errors import Conflict, Internal, InvalidArgument
from proa.runtime import users
from proa.runtime.failure import SetupError
from proa.shim import protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proa.engine.containers.containers import Containers

_KEPT = 1000  # ended execs of a running container that inspect still knows
_REMEMBERED = 30.0  # seconds; execs of a removed container


class Execs:
    """The exec sessions of all containers."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._execs: dict[str, Exec] = {}

    async def create(self, container: str, options: ExecOptions) -> Exec:
        """Prepare a process; raises `Conflict` if the container does not run."""
        record = self._containers.get(container)
        self._running(record)
        if not options.command or not options.command[0]:
            raise InvalidArgument("No exec command specified")
        if options.privileged:
            confinement.check_exec(self._containers, record)
        if options.user and record.state.pid:
            await asyncio.to_thread(_check_user, options.user, record.state.pid)
        fields = {name: getattr(options, name) for name in options.__struct_fields__}
        execution = Exec(id=ids.new_id(), container_id=record.id, **fields)
        self._forget_old(record.id)
        self._execs[execution.id] = execution
        self._emit("exec_create", record, execution)
        return execution

    def get(self, identifier: str) -> Exec:
        """Return an exec by its id or a unique prefix, as it is now."""
        execution = self._execs.get(identifier)
        if execution is None:
            matches = [item for key, item in self._execs.items() if identifier and key.startswith(identifier)]
            if len(matches) != 1:
                raise wording.no_such_exec(identifier)
            execution = matches[0]
        if execution.running:
            # Clients ask for the exit code when the stream ends: hear first what the shim said before that.
            self._containers.deliver(execution.container_id)
        return execution

    def of(self, container_id: str) -> Sequence[Exec]:
        """Return the running execs of a container."""
        return [item for item in self._execs.values() if item.container_id == container_id and item.running]

    async def start(
        self,
        identifier: str,
        client: int | None,
        request: AttachRequest | None,
        *,
        console_size: tuple[int, int] | None = None,
    ) -> None:
        """Start a prepared process with the client's socket, or detached without; the socket is ours then."""
        execution = self.get(identifier)
        record = self._containers.get(execution.container_id)
        await self._containers.holds.passed(record)
        connection = self._running(record)
        if execution.started:
            raise Conflict(f"exec command {identifier} is already running")
        if console_size:
            execution.console_size = console_size
        execution.started = execution.running = True
        self._emit("exec_start", record, execution)
        descriptors = [] if client is None else [fcntl.fcntl(client, fcntl.F_DUPFD_CLOEXEC, 3)]
        try:
            await self._launch(record, execution, connection, descriptors, request)
        except ShimError as error:
            if error.message == protocol.FROZEN:  # a pause that is just being recorded, or a commit's
                execution.started = execution.running = False
                raise _paused(record) from error
            raise self._failed(execution, error) from error
        except ShimGone as error:
            execution.running = False
            raise (error if record.running else wording.not_running(record.id)) from None
        finally:
            for fd in descriptors:
                os.close(fd)
        if client is not None:
            os.close(client)

    async def streams(self, identifier: str) -> Streams:
        """Start a prepared process for a caller in this process."""
        execution = self.get(identifier)
        ours, theirs = await Streams.pair(tty=execution.tty)
        wanted = batch.request(stdin=execution.attach_stdin, tty=execution.tty)
        try:
            await self.start(identifier, theirs.fileno(), wanted)
        except BaseException:
            theirs.close()
            await ours.close()
            raise
        theirs.detach()  # the engine has closed it
        return ours

    async def run(self, container: str, options: ExecOptions, input: bytes | None = None) -> Completed:
        """Run a program in a container to its end; see `batch.execute`."""
        return await batch.execute(self, container, options, input)

    async def _launch(
        self,
        record: Container,
        execution: Exec,
        connection: ShimConnection,
        descriptors: list[int],
        request: AttachRequest | None,
    ) -> None:
        containers = self._containers
        if request is None:
            execution.attach_stdin = False
        guarded = bool(confinement.guard(containers, record.options))
        security = Security.of(record.options, containers.filters, guarded=guarded)
        variables = links.environment(containers, record, strict=False)
        specification = spec.build_exec(record, execution, security, variables)
        path = containers.settings.runtime_directory(record.id) / f"exec-{execution.id}.json"
        try:
            write_json(path, specification)
        except FileNotFoundError as error:  # the container has ended, and its directory is gone
            execution.running = False
            raise wording.not_running(record.id) from error
        result = await connection.request(
            "exec",
            exec=execution.id,
            spec=str(path),
            stdio=spec.exec_stdio(execution),
            descriptors=descriptors,
            client=client_message(request, tty=execution.tty) if request else {},
        )
        execution.pid = result["pid"]

    @staticmethod
    def _failed(execution: Exec, error: ShimError) -> Exception:
        execution.running = False
        message = "OCI runtime exec failed: exec failed: unable to start container process: " + error.message
        execution.exit_code = exit_code(message)
        execution.finished_at = times.now()
        return InvalidArgument(message) if execution.exit_code in (126, 127) else Internal(message)

    async def resize(self, identifier: str, rows: int, columns: int) -> None:
        """Set the size of the process's terminal."""
        execution = self.get(identifier)
        record = self._containers.get(execution.container_id)
        connection = self._running(record)
        if not execution.running:
            raise Conflict(f"exec {identifier} is not running")
        try:
            await connection.request("resize", exec=execution.id, rows=rows, columns=columns)
        except ShimError as error:
            raise Conflict(f"cannot resize exec {identifier}: {error.message}") from error

    async def kill(self, identifier: str, signal: int) -> None:
        """Send a signal to the process and what it has started; too late is no error."""
        execution = self.get(identifier)
        connection = self._running(self._containers.get(execution.container_id))
        await connection.request("kill", exec=execution.id, signal=signal)

    def exited(self, identifier: str, code: int) -> None:
        """Record the end of a process."""
        execution = self._execs.get(identifier)
        if execution is None or not execution.running:
            return
        execution.running = False
        execution.exit_code = code
        execution.finished_at = times.now()
        if execution.container_id in self._containers.store:
            record = self._containers.get(execution.container_id)
            self._containers.emit("exec_die", record, execID=identifier, exitCode=str(code))

    def adopt(self, container_id: str, known: dict[str, dict[str, int | None]]) -> None:
        """Take up sessions that a shim knows and this engine does not, after a restart."""
        for identifier, facts in known.items():
            code = facts["exit_code"]
            self._execs[identifier] = Exec(
                id=identifier,
                container_id=container_id,
                command=[],
                started=True,
                running=code is None,
                pid=facts["pid"] or 0,
                exit_code=code,
            )

    def container_ended(self, container_id: str) -> None:
        """Processes do not outlive process 1 of their namespace."""
        for execution in list(self._execs.values()):
            if execution.container_id == container_id and execution.running:
                self.exited(execution.id, 137)

    def forget_container(self, container_id: str) -> None:
        """Forget a removed container's execs, but not at once: clients ask for the exit code at the end."""
        if any(item.container_id == container_id for item in self._execs.values()):
            asyncio.get_running_loop().call_later(_REMEMBERED, self._forget, container_id)

    def _forget(self, container_id: str) -> None:
        for identifier in [key for key, item in self._execs.items() if item.container_id == container_id]:
            del self._execs[identifier]

    def _forget_old(self, container_id: str) -> None:
        """Health probes run for ever: keep what somebody may still ask for, not everything."""
        ended = [
            item.id for item in self._execs.values() if item.container_id == container_id and item.finished_at
        ]
        for identifier in ended[: max(0, len(ended) - _KEPT)]:
            del self._execs[identifier]

    def _running(self, record: Container) -> ShimConnection:
        if record.state.status == Status.PAUSED:
            raise _paused(record)
        return self._containers.connection(record)

    def _emit(self, action: str, record: Container, execution: Exec) -> None:
        program, *arguments = execution.command
        command = f"{program} {' '.join(arguments)}"  # with the space even when nothing follows, as Docker has it
        self._containers.emit(f"{action}: {command}", record, execID=execution.id)


def _paused(record: Container) -> Conflict:
    return Conflict(f"Container {record.id} is paused, unpause the container before exec")


def _check_user(user: str, pid: int) -> None:
    """Raise `InvalidArgument` for a user that the container of the process `pid` does not have."""
    try:
        root_fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # it ends at this moment, which the start says
    try:
        users.resolve(user, [], root_fd)
    except SetupError as error:
        raise InvalidArgument(error.message) from error
    finally:
        os.close(root_fd)
