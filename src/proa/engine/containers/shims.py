"""The engine's side of launcher and shims: start one, ask it, hear its events.

Next hop of a start: `proa.shim.launcher`, then `proa.shim.shim`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import proa
from proa.errors import Internal, ProaError
from proa.shim import protocol

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from proa.shim.launcher import main; main()"
_CONTROL_FD = 3
_REQUEST_TIMEOUT = 120.0  # seconds; a start copies nothing and waits for nothing that takes longer


class ShimError(ProaError):
    """A shim could not do what was asked; `errno` is the kernel's reason or 0."""

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


class ShimGone(Internal):
    """The shim ended before it answered."""


class ShimConnection:
    """A connection to one shim. `on_event` gets its events, `on_lost` is called once at its end."""

    def __init__(
        self,
        connection: socket.socket,
        on_event: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._socket = connection
        self._on_event = on_event
        self._on_lost = on_lost
        self._serial = 0
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._loop = asyncio.get_running_loop()
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self.drain)

    async def request(self, operation: str, *, descriptors: Sequence[int] = (), **arguments: Any) -> Any:
        """Perform one operation of `proa.shim.shim`; raises `ShimError` with its reason or `ShimGone`."""
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            return await self.post(operation, descriptors=descriptors, **arguments)

    def post(
        self, operation: str, *, descriptors: Sequence[int] = (), **arguments: Any
    ) -> asyncio.Future[Any]:
        """Send a request at once and return its future answer: requests are served in their order."""
        self._serial += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._socket.fileno() < 0:
            future.set_exception(ShimGone("the container's shim is gone"))
            return future
        self._pending[self._serial] = future
        try:
            protocol.send(self._socket, {"op": operation, "id": self._serial, **arguments}, descriptors)
        except OSError as error:
            self._pending.pop(self._serial)
            future.set_exception(ShimGone(f"the container's shim does not answer: {error.strerror}"))
        return future

    def drain(self) -> None:
        """Handle everything that has arrived: what the shim said before some moment is known after it."""
        while self._socket.fileno() >= 0:
            try:
                message, _ = protocol.receive(self._socket)
            except BlockingIOError:
                return
            except ConnectionError:
                message = None
            if message is None:
                self.close()
                self._on_lost()
                return
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(message)
            return
        future = self._pending.pop(message["id"], None)
        if future is None or future.done():
            return
        if fault := message.get("error"):
            future.set_exception(ShimError(fault["message"], fault["errno"]))
        else:
            future.set_result(message.get("result"))

    def close(self) -> None:
        """Leave the shim to itself; it goes on."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(ShimGone("the container's shim ended unexpectedly"))
        self._pending.clear()


class Launcher:
    """Keeps one launcher process; a dead one is replaced when the next shim is wanted."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.pid = 0

    def start(self) -> None:
        """Start the launcher's process; it needs about 50 ms until it serves, requests wait for it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open(os.devnull, os.O_RDWR)
        try:
            argv = [sys.executable, "-I", "-S", "-c", _BOOT, str(Path(proa.__file__).parents[1])]
            self.pid = os.posix_spawn(
                sys.executable,
                argv,
                {"PATH": os.environ.get("PATH", "")},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, null, 1),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONTROL_FD),
                ],
            )
        finally:
            os.close(null)
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self.pid)
        loop.add_reader(pidfd, self._ended, pidfd, self.pid, ours)

    def _ended(self, pidfd: int, pid: int, connection: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)
        connection.close()
        if self._socket is connection:
            self._socket = None

    def spawn(self, directory: Path) -> socket.socket:
        """Let the launcher fork a shim for a runtime directory; return our end of its connection."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._send(directory, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def _send(self, directory: Path, fd: int) -> None:
        for _ in range(2):
            if self._socket is None:
                self.start()
            assert self._socket is not None
            try:
                protocol.send(self._socket, {"directory": str(directory)}, (fd,))
            except (BrokenPipeError, ConnectionError):
                self._socket = None  # killed a moment ago: start another
            else:
                return
        raise Internal("the launcher of containers does not stay alive")

    def close(self) -> None:
        """End the launcher; shims and containers go on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
