"""`proa system dial-stdio`: what a client far away runs through ssh to talk to this machine's engine."""

from __future__ import annotations

import os
import select
from _socket import MSG_NOSIGNAL, SHUT_WR

from proa.cli.command import Command
from proa.client.session import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

    from proa.cli.command import Invocation

_PIECE = 65536


def _run(invocation: Invocation) -> None:
    engine = invocation.client.connect().socket
    engine.setblocking(False)
    waiting = b""  # for the engine; nothing more is read meanwhile, but what it says is
    ended = False
    while True:
        poll = select.poll()
        poll.register(engine.fileno(), select.POLLIN | (select.POLLOUT if waiting else 0))
        if not waiting and not ended:
            poll.register(0, select.POLLIN)
        ready = dict(poll.poll())
        if ready.get(engine.fileno(), 0) & ~select.POLLOUT and not _pass_out(engine):
            return
        if 0 in ready:
            waiting = os.read(0, _PIECE)
            ended = not waiting
            if ended:
                _end_input(engine)
        if waiting:
            waiting = _pass_in(engine, waiting)


def _end_input(engine: socket) -> None:
    try:
        engine.shutdown(SHUT_WR)
    except OSError:
        pass  # the engine has closed already; what it said is still to be read


def _pass_out(engine: socket) -> bool:
    """Write what the engine says; False at its end."""
    try:
        data = engine.recv(_PIECE)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    write_all(1, data)
    return bool(data) and not getattr(engine, "ended", False)  # TLS's last data and end are one


def _pass_in(engine: socket, data: bytes) -> bytes:
    """Send some of `data` and return the rest; an engine that reads no more may still have something to say."""
    try:
        return data[engine.send(data, MSG_NOSIGNAL) :]
    except BlockingIOError:
        return data
    except (BrokenPipeError, ConnectionResetError):
        return b""


COMMAND = Command(_run)
