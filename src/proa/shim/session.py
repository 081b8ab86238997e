"""One process of a container with its standard streams: the container's own or an exec's.

Output goes to the log and to every attached client; input comes from any client. With a terminal all of it
is one stream, through the master that the process's setup sent.
"""

from __future__ import annotations

import errno
import os

from proa.runtime import console
from proa.shim.client import HIGH_WATER, Client

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.linux.loop import Loop
    from proa.runtime.container import Started
    from proa.shim.logs import Log

_CHUNK = 1 << 16
_INPUT_HIGH_WATER = 1 << 16
_REOPEN_POLL = 0.1  # seconds


class Session:
    """Streams of one process. `identifier` is "" for the container's own process, else the exec's."""

    def __init__(self, loop: Loop, identifier: str, options: dict[str, Any]) -> None:
        self.identifier = identifier
        self.pid = 0
        self.exit_code: int | None = None
        self.terminal = -1
        self.log: Log | None = None
        # Bytes after which a client that does not read misses output, for the process never waits; 0: it waits.
        self.lossy = 0
        self._loop = loop
        self._tty = bool(options.get("terminal"))
        self._open_stdin = bool(options.get("stdin"))
        self._stdin_once = bool(options.get("stdin_once"))
        self._size: tuple[int, int] | None = None
        self._sources: dict[int, str] = {}
        self._stdin = -1
        self._stdin_ends = False
        self._input = bytearray()
        self.clients: list[Client] = []
        self._blocked = False
        self.on_detach: Callable[[Session], None] = lambda session: None

    # --- before and after the start ---------------------------------------------------------------------

    def open_streams(self) -> tuple[int, int, int]:
        """Return the process's ends of its three streams; `close_streams` closes them in this process."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        if self._tty:
            return (null, null, null)
        stdin = null
        if self._open_stdin:
            stdin, self._stdin = os.pipe()
            os.set_blocking(self._stdin, False)
        ends = []
        for name in ("stdout", "stderr"):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self._sources[reader] = name
            ends.append(writer)
        if stdin != null:
            os.close(null)
        return (stdin, ends[0], ends[1])

    def started(self, process: Started, ends: tuple[int, int, int]) -> None:
        """Begin to move bytes: the process runs."""
        self._close_ends(ends)
        self.pid = process.pid
        if process.terminal >= 0:
            self.terminal = process.terminal
            os.set_blocking(self.terminal, False)
            self._sources = {self.terminal: "stdout"}
            self._stdin = self.terminal
            if self._size:
                console.set_size(self.terminal, *self._size)
        for fd in self._sources:
            self._watch(fd)
        for client in list(self.clients):
            self._watch_client(client)

    def failed(self, ends: tuple[int, int, int]) -> None:
        """The process did not come about: close everything."""
        self._close_ends(ends)
        for fd in list(self._sources):
            self._close_source(fd)
        self._close_stdin()
        for client in list(self.clients):
            client.finish()

    @staticmethod
    def _close_ends(ends: tuple[int, int, int]) -> None:
        for fd in set(ends):
            os.close(fd)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size, now or when it exists."""
        self._size = (rows, columns)
        if self.terminal >= 0:
            console.set_size(self.terminal, rows, columns)

    # --- clients ----------------------------------------------------------------------------------------

    def attach(self, client: Client) -> None:
        """Add a client; its input flows once the process runs. One that left while it was sent the log is none."""
        if client.closed:
            return
        client.on_close = self._client_closed
        client.on_drained = self.unblock
        self.clients.append(client)
        if self.pid:
            self._watch_client(client)
        if self.exit_code is not None:
            client.finish()

    def _watch_client(self, client: Client) -> None:
        if client.has_input:
            self._client_readable(client)
        if client.closed:
            return
        # Even a client without stdin is read: a full hang-up is how a vanished client shows.
        self._loop.on_read(client.socket.fileno(), lambda: self._client_readable(client))

    def _client_readable(self, client: Client) -> None:
        if len(self._input) > _INPUT_HIGH_WATER:
            self._loop.on_read(client.socket.fileno(), None)
            return
        data = client.read()
        if data and "stdin" in client.wants and self._stdin >= 0 and not self._stdin_ends:
            self._input += data
            self._write_input()
        if client.detached:
            self.on_detach(self)
            client.finish()
        elif client.input_ended:
            self._client_input_ended(client)

    def _client_input_ended(self, client: Client) -> None:
        """Half-close: no more input, but output goes on (the client shuts its side at once without -i)."""
        self._loop.on_hang_up(client.socket.fileno(), client.close)
        self._loop.on_read(client.socket.fileno(), None)
        if "stdin" not in client.wants:
            return
        if self._stdin_once and not self._tty:
            self._stdin_ends = True
            self._write_input()

    def _client_closed(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
        self.unblock()

    # --- input ------------------------------------------------------------------------------------------

    def _write_input(self) -> None:
        if self._stdin < 0:
            self._input.clear()
            return
        try:
            while self._input:
                written = os.write(self._stdin, memoryview(self._input)[:_CHUNK])
                del self._input[:written]
        except BlockingIOError:
            self._loop.on_write(self._stdin, self._write_input)
            return
        except OSError:
            self._input.clear()  # the process closed its input or ended
            self._stdin_ends = self._stdin_ends or not self._tty
        self._loop.on_write(self._stdin, None)
        if self._stdin_ends:
            self._close_stdin()
            return
        for client in list(self.clients):
            if not client.closed and not client.input_ended:
                self._watch_client(client)

    def _close_stdin(self) -> None:
        if self._stdin >= 0 and self._stdin != self.terminal:
            self._loop.forget(self._stdin)
            os.close(self._stdin)
        self._stdin = -1

    # --- output -----------------------------------------------------------------------------------------

    def _watch(self, fd: int) -> None:
        self._loop.on_read(fd, lambda: self._source_readable(fd))

    def _source_readable(self, fd: int) -> bool:
        """Move one chunk; return whether there may be more at once."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # what a terminal's master says when its last slave is closed
                raise
            data = b""
        if not data:
            self._source_ended(fd)
            return False
        self._deliver(self._sources[fd], data)
        return True

    def _deliver(self, stream: str, data: bytes) -> None:
        if self.log:
            self.log.write(stream, data)
        for client in list(self.clients):
            if not (self.lossy and client.queued > max(self.lossy, HIGH_WATER)):
                client.send(stream, data)
        waits = any(client.full for client in self.clients) and not self.lossy
        if not self._blocked and ((self.log and self.log.full) or waits):
            self._blocked = True
            for fd in self._sources:
                self._loop.on_read(fd, None)

    def unblock(self) -> None:
        """Read on, unless somebody has still too much to take."""
        if not self._blocked or (self.log and self.log.full):
            return
        if self.lossy or all(client.relaxed for client in self.clients):
            self._blocked = False
            for fd in self._sources:
                self._watch(fd)

    def _source_ended(self, fd: int) -> None:
        stream = self._sources[fd]
        if self.log:
            self.log.flush(stream)
        if fd == self.terminal and self.exit_code is None:
            # Nobody has the terminal open for the moment, which epoll would report without end.
            self._loop.on_read(fd, None)
            self._loop.later(_REOPEN_POLL, lambda: self._watch(fd) if fd in self._sources else None)
            return
        self._close_source(fd)

    def _close_source(self, fd: int) -> None:
        self._sources.pop(fd, None)
        self._loop.forget(fd)
        if self._stdin == fd:
            self._stdin = -1
        if self.terminal == fd:
            self.terminal = -1
        os.close(fd)

    # --- the end ----------------------------------------------------------------------------------------

    def exited(self, code: int) -> None:
        """The process has ended: take the output that is still in the pipes."""
        self.exit_code = code
        for fd in list(self._sources):
            while self._source_readable(fd):
                pass
            if fd in self._sources:
                self._source_ended(fd)
        self._close_stdin()

    def close_log(self) -> int:
        """Complete the log: everything is read. Return the bytes that could not be written."""
        if self.log is None:
            return 0
        log, self.log = self.log, None
        log.close()
        return log.lost

    def release_clients(self) -> None:
        """Let attached clients go once they have everything."""
        for client in list(self.clients):
            client.finish()
