"""`proa system dial-stdio`: what a client far away runs through ssh to talk to this machine's engine."""

from __future__ import annotations

import os
import select
from _socket import MSG_NOSIGNAL, SHUT_WR

from proa.cli.command import Command
from proa.client.session import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_PIECE = 65536


def _run(invocation: Invocation) -> None:
    engine = invocation.client.connect().socket
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(engine.fileno(), select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd:
                data = engine.recv(_PIECE)
                if not data:
                    return
                write_all(1, data)
                continue
            data = os.read(0, _PIECE)
            if data:
                engine.sendall(data, MSG_NOSIGNAL)
            else:
                poll.unregister(0)
                engine.shutdown(SHUT_WR)


COMMAND = Command(_run)
