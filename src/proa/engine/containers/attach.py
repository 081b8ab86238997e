"""`attach`, `resize` and `logs`: a client's way to a container's streams."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from proa.engine.containers import batch
from proa.engine.containers.run import Pending, Run
from proa.engine.containers.shims import ShimError
from proa.engine.containers.streams import Streams
from proa.engine.records import Container, Status
from proa.engine.requests import AttachRequest
from proa.errors import Conflict

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def attach(containers: Containers, record: Container, fd: int, request: AttachRequest) -> None:
    """Join a client's socket to the container; before the start it waits here for it.

    The socket is ours from now on; it is closed when the streams end.
    """
    if record.state.status == Status.PAUSED:
        raise Conflict(f"container {record.id} is paused, unpause the container before attach")
    connection = containers.connection(record) if record.active else None
    containers.emit("attach", record)
    pending = Pending(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3), request, record.options.tty)
    if connection:
        await pending.attach(connection)
    else:
        containers.runs.setdefault(record.id, Run()).hold(pending)
    os.close(fd)


async def streams(containers: Containers, record: Container, *, stdin: bool) -> Streams:
    """Join a caller in this process to the container."""
    tty = record.options.tty
    ours, theirs = await Streams.pair(tty=tty)
    try:
        await attach(containers, record, theirs.fileno(), batch.request(stdin=stdin, tty=tty))
    except BaseException:
        theirs.close()
        await ours.close()
        raise
    theirs.detach()  # it is the engine's now
    return ours


async def resize(containers: Containers, record: Container, rows: int, columns: int) -> None:
    """Set the size of the container's terminal; the first size may come before the first prompt."""
    connection = containers.connection(record)
    try:
        await connection.request("resize", rows=rows, columns=columns)
    except ShimError as error:
        raise Conflict(f"cannot resize {record.id}: {error.message}") from error
    containers.emit("resize", record, height=str(rows), width=str(columns))
