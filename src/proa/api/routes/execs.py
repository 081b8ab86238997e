"""POST /containers/{id}/exec, /exec/{id}/start and resize; GET /exec/{id}/json."""

from __future__ import annotations

from typing import Any

from proa.api import hijack
from proa.api.request import Request, Response, json_response, required
from proa.api.translate.create import console_size, environment
from proa.api.types.containers import ExecConfig, ExecStart
from proa.engine.records import Exec, Status
from proa.engine.requests import AttachRequest, ExecOptions
from proa.errors import Conflict, InvalidArgument


async def create(request: Request) -> Response:
    body = required(await request.json(ExecConfig))
    if not body.cmd:
        raise InvalidArgument("No exec command specified")
    record = request.engine.containers.get(request.name())
    if record.state.status is Status.PAUSED:
        raise Conflict(f"Container {request.name()} is paused, unpause the container before exec")
    hijack.detach_keys(body.detach_keys, "escape")  # wrong ones are told now
    created = await request.engine.execs.create(
        record.id,
        ExecOptions(
            command=body.cmd,
            env=environment(body.env),
            user=body.user,
            working_dir=body.working_dir,
            tty=body.tty,
            attach_stdin=body.attach_stdin,
            attach_stdout=body.attach_stdout,
            attach_stderr=body.attach_stderr,
            privileged=body.privileged,
            console_size=console_size(body.console_size),
            detach_keys=body.detach_keys,
        ),
    )
    return json_response({"Id": created.id}, 201)


async def start(request: Request) -> Response | None:
    body = await _start_options(request)
    execution = request.engine.execs.get(request.name())
    if execution.started:
        raise Conflict(f"exec command {execution.id} has already run")
    size = console_size(body.console_size)
    if size is not None and not body.tty:
        raise InvalidArgument("console size can only be given with a terminal (Tty)")
    if body.detach:
        await request.engine.execs.start(execution.id, None, None, console_size=size)
        return Response(200)
    wanted = AttachRequest(
        stdin=execution.attach_stdin,
        stdout=execution.attach_stdout,
        stderr=execution.attach_stderr,
        detach_keys=hijack.detach_keys(execution.detach_keys),
        multiplexed=not body.tty,
        drain=hijack.needs_drain(request),
    )

    async def begin(client: int, buffered: bytes) -> None:
        wanted.buffered = buffered
        await request.engine.execs.start(execution.id, client, wanted, console_size=size)

    await hijack.take_over(request, begin, tty=body.tty)
    return None


async def _start_options(request: Request) -> ExecStart:
    """Read the body. One sent in chunks without an upgrade may go on: the rest is the process's stdin."""
    if request.body.ended or request.upgrade or "transfer-encoding" not in request.headers:
        return await request.json(ExecStart) or ExecStart()
    return await request.open_json(ExecStart)


async def resize(request: Request) -> Response:
    rows, columns = request.query.size("h", "height"), request.query.size("w", "width")
    await request.engine.execs.resize(request.name(), rows, columns)
    return Response(200)


async def inspect(request: Request) -> Response:
    return json_response(_document(request.engine.execs.get(request.name())))


def _document(execution: Exec) -> dict[str, Any]:
    return {
        "ID": execution.id,
        "Running": execution.running,
        "ExitCode": execution.exit_code,
        "ProcessConfig": {
            "tty": execution.tty,
            "entrypoint": "".join(execution.command[:1]),  # unknown of one that an earlier engine started
            "arguments": execution.command[1:],
            "privileged": execution.privileged,
            **({"user": execution.user} if execution.user else {}),
        },
        "OpenStdin": execution.attach_stdin,
        "OpenStderr": execution.attach_stderr,
        "OpenStdout": execution.attach_stdout,
        "CanRemove": execution.exit_code is not None,
        "ContainerID": execution.container_id,
        "DetachKeys": "",
        "Pid": execution.pid,
    }
