"""Running a program to its end and taking what it wrote, as `subprocess.run` does: for callers in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from proa.engine.containers.streams import Streams
from proa.engine.options import ContainerOptions
from proa.engine.requests import AttachRequest, ExecOptions

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers
    from proa.engine.containers.execs import Execs


class Completed(msgspec.Struct, kw_only=True, frozen=True):
    """How a program ended and all that it wrote; with a terminal everything is `stdout`."""

    code: int
    stdout: bytes
    stderr: bytes


async def run(containers: Containers, options: ContainerOptions, input: bytes | None = None) -> Completed:
    """Create a container, run it to its end with `input`, and remove it, whatever happens.

    Raises what `create` and `start` raise. A caller that is cancelled ends the container.
    """
    options = msgspec.structs.replace(
        options, open_stdin=input is not None, stdin_once=True, attach_stdout=True, attach_stderr=True
    )
    created = await containers.create(options)
    try:
        async with await containers.streams(created.id, stdin=input is not None) as streams:
            await containers.start(created.id)
            output = await _converse(streams, input)
        status = await containers.wait(created.id)
    finally:
        await asyncio.shield(containers.remove(created.id, force=True, volumes=True))
    return Completed(code=status.code, stdout=output["stdout"], stderr=output["stderr"])


async def execute(execs: Execs, container: str, options: ExecOptions, input: bytes | None = None) -> Completed:
    """Run one more program in a running container to its end; raises what its start raises."""
    options = msgspec.structs.replace(
        options, attach_stdin=input is not None, attach_stdout=True, attach_stderr=True
    )
    execution = await execs.create(container, options)
    async with await execs.streams(execution.id) as streams:
        output = await _converse(streams, input)
    code = execs.get(execution.id).exit_code
    assert code is not None  # the shim tells of the end before the streams end
    return Completed(code=code, stdout=output["stdout"], stderr=output["stderr"])


def request(*, stdin: bool, tty: bool) -> AttachRequest:
    """Return the request of a caller that wants everything."""
    return AttachRequest(stdin=stdin, stdout=True, stderr=True, multiplexed=not tty)


async def _converse(streams: Streams, input: bytes | None) -> dict[str, bytes]:
    output = {"stdout": bytearray(), "stderr": bytearray()}
    async with asyncio.TaskGroup() as group:
        if input is not None:
            group.create_task(_feed(streams, input))
        async for name, data in streams:
            output[name] += data
    return {name: bytes(data) for name, data in output.items()}


async def _feed(streams: Streams, input: bytes) -> None:
    await streams.write(input)
    streams.close_input()
