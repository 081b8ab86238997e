"""A hijacked connection between the user's standard streams and a container: attach, exec, run.

Nothing is read from the user while the engine has not taken what was read before, and the engine's output is
always read, so neither side can block the other for good.
"""

from __future__ import annotations

import os
import select
from _socket import MSG_NOSIGNAL, SHUT_WR

from proa.client.errors import Detached
from proa.client.stdcopy import STDERR, Demultiplexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.client.detach_keys import Watcher
    from proa.client.http import Connection

_READ_SIZE = 65536


class Session:
    """`stdin` -1: no input, which is told to the engine at once by closing that direction."""

    def __init__(
        self,
        connection: Connection,
        *,
        tty: bool,
        stdin: int = -1,
        stdout: int = 1,
        stderr: int = 2,
        detach_keys: bytes = b"",
    ) -> None:
        self._socket = connection.socket
        self._first = connection.unread
        self._tty = tty
        self._stdin = stdin
        self._outputs = {1: stdout, 2: stderr}
        self._demultiplexer = Demultiplexer()
        self._watcher = _watcher(detach_keys) if tty and detach_keys else None
        self._pending = b""  # read from the user, not yet taken by the engine
        self._input_ended = stdin < 0
        self._ended = False

    def run(self) -> None:
        """Copy until the engine closes its side. Raises `Detached` when the user asks for it."""
        if self._first:
            self._write_output(self._first)
        if self._tty and self._stdin >= 0:
            from proa.client.terminal import RawMode

            with RawMode(self._stdin):
                self._copy()
        else:
            self._copy()

    def _copy(self) -> None:
        if self._input_ended:
            self._close_input()
        self._socket.setblocking(False)
        poll = select.poll()
        waiting_for_input = False
        engine = self._socket.fileno()
        poll.register(engine, select.POLLIN)
        while not self._ended:
            want_input = not self._input_ended and not self._pending
            if want_input != waiting_for_input:
                poll.register(self._stdin, select.POLLIN) if want_input else poll.unregister(self._stdin)
                waiting_for_input = want_input
            poll.modify(engine, select.POLLIN | (select.POLLOUT if self._pending else 0))
            for fd, event in poll.poll():
                if fd == self._stdin:
                    self._read_input()
                elif event & ~select.POLLOUT and not self._read_output():
                    return
            if self._pending:
                self._send_pending()

    def _read_output(self) -> bool:
        """Pass on what the engine sent; False at its end."""
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if data:
            self._write_output(data)
        return bool(data) and not getattr(self._socket, "ended", False)  # TLS's last data and end are one

    def _write_output(self, data: bytes) -> None:
        if self._tty:
            write_all(self._outputs[1], data)
            return
        for stream, piece in self._demultiplexer.feed(data):
            write_all(self._outputs[2 if stream == STDERR else 1], piece)

    def _read_input(self) -> None:
        try:
            data = os.read(self._stdin, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the terminal is gone
        if not data:
            self._input_ended = True
            self._close_input()
            self._ended = not self._read_output()  # over TLS, no poll tells of what came meanwhile
            return
        if self._watcher is None:
            self._pending = data
            return
        self._pending, detached = self._watcher.feed(data)
        if detached:
            self._leave()

    def _leave(self) -> None:
        """What was typed before the detach keys still belongs to the container. Raises `Detached`."""
        self._socket.setblocking(True)
        try:
            self._socket.sendall(self._pending, MSG_NOSIGNAL)
        except OSError:
            pass  # it has ended in this moment
        raise Detached

    def _send_pending(self) -> None:
        try:
            sent = self._socket.send(self._pending, MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:  # the container reads no more: what it writes still counts
            self._pending, self._input_ended = b"", True
            return
        self._pending = self._pending[sent:]

    def _close_input(self) -> None:
        try:
            self._socket.shutdown(SHUT_WR)
        except OSError:
            pass  # closed by the other side already


def _watcher(keys: bytes) -> Watcher:
    from proa.client.detach_keys import Watcher

    return Watcher(keys)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, waiting where `fd` is shared with something that made it non-blocking."""
    if fd < 0:
        return
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            writable = select.poll()
            writable.register(fd, select.POLLOUT)
            writable.poll()
