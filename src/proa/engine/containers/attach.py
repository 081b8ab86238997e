"""`attach`, `resize` and `logs`: a client's way to a container's streams."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from proa.engine.containers import batch, replay
from proa.engine.containers.run import Pending, Run
from proa.engine.containers.shims import ShimConnection, ShimError, ShimGone
from proa.engine.containers.streams import Streams
from proa.engine.logs.reading import Place
from proa.engine.records import Container, Status
from proa.engine.requests import AttachRequest
from proa.errors import Conflict
from proa.shim import protocol

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def attach(containers: Containers, record: Container, fd: int, request: AttachRequest) -> None:
    """Join a client's socket to the container; before the start it waits here for it.

    The socket is ours from now on; it is closed when the streams end.
    """
    if record.state.status == Status.PAUSED:
        raise Conflict(f"container {record.id} is paused, unpause the container before attach")
    if _is_going(containers, record):
        raise Conflict(f"container {record.id} is marked for removal and cannot be attached to")
    connection = containers.connection(record) if record.active else None
    containers.emit("attach", record)
    place = Place()
    if request.logs:
        await replay.replay(containers, record, fd, request, place)
        if not request.stream or record.active != bool(connection) or _is_going(containers, record):
            os.close(fd)
            return  # that was all, or it has ended meanwhile
    if connection:
        await _join(containers, record, connection, fd, request, place)
    else:
        request.logs = False
        containers.runs.setdefault(record.id, Run()).hold(Pending(_duplicate(fd), request, record.options.tty))
    os.close(fd)


def _is_going(containers: Containers, record: Container) -> bool:
    """Whether it is removed or being removed: what waits for its start would keep its socket for ever."""
    return record.state.status == Status.REMOVING or record.id not in containers.store


async def _join(
    containers: Containers,
    record: Container,
    connection: ShimConnection,
    fd: int,
    request: AttachRequest,
    place: Place,
) -> None:
    """Hand a client to the shim, which sends it what was logged behind `place` first."""
    while True:
        pending = Pending(_duplicate(fd), request, record.options.tty)
        if request.logs:
            pending.place = [place.inode, place.offset]
        try:
            await pending.attach(connection)
            return
        except ShimError as error:
            if error.message != protocol.FAR_BEHIND:
                raise
            # The container is faster than the client: from here again.
            await replay.replay(containers, record, fd, request, place)
        except ShimGone:
            if not request.logs:
                raise
            await replay.replay(containers, record, fd, request, place)  # its last words
            return


def _duplicate(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


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
    try:
        await containers.ask(record, "resize", rows=rows, columns=columns)
    except ShimError as error:
        raise Conflict(f"cannot resize {record.id}: {error.message}") from error
    containers.emit("resize", record, height=str(rows), width=str(columns))
