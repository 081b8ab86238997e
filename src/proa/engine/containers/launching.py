"""The launcher's process, and the shims that it has prepared: a start takes one, another follows in quiet times.

    forked ──▶ ready ──take──▶ a container's ──▶ its own master

Next hop of a start: `proa.shim.launcher`, then `proa.shim.shim`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from pathlib import Path

import proa
from proa import cgroups
from proa.cgroups import prepared as prepared_cgroups
from proa.errors import Internal
from proa.linux import packets

SIZE = 4
# Seconds without a start before another shim is prepared: that takes 5 ms of a processor, which containers
# that are starting need as well.
_QUIET = 0.05
_PATIENCE = 2.0  # seconds for prepared shims to leave
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from proa.shim.launcher import main; main()"
_CONTROL_FD = 3


class Launcher:
    """Keeps one launcher process; a dead one is replaced when the next shim is wanted.

    The containers' cgroups are below `cgroup_parent` unless they ask for another.
    """

    def __init__(self, cgroup_parent: str, size: int = SIZE) -> None:
        self.pid = 0
        self._cgroup_parent = f"/{cgroup_parent.strip('/')}"
        self._size = size
        self._socket: packets.Socket | None = None
        self._ready: deque[packets.Socket] = deque()
        self._refill: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the launcher's process; it needs about 50 ms until it serves, requests wait for it."""
        if cgroups.detect() == "v1":
            prepared_cgroups.sweep(self._cgroup_parent)
        self._spawn()
        self._prepare_soon()

    def take(self) -> packets.Socket:
        """Return the connection of a shim that belongs to nobody: a prepared one, or a new one."""
        self._prepare_soon()
        while self._ready:
            connection = self._ready.popleft()
            if not packets.has_ended(connection):
                return connection
            connection.close()
        return self._fork()

    async def close(self) -> None:
        """End the launcher and the shims without a container; the others go on."""
        if self._refill:
            self._refill.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        ending, self._ready = list(self._ready), deque()
        for connection in ending:
            connection.shutdown(socket.SHUT_WR)
        await asyncio.gather(*map(_wait_for_end, ending))

    # --- prepared shims ---------------------------------------------------------------------------------

    def _prepare_soon(self) -> None:
        if self._refill:
            self._refill.cancel()
        self._refill = asyncio.get_running_loop().call_later(_QUIET, self._prepare)

    def _prepare(self) -> None:
        """Prepare one shim, and come back for the next."""
        self._refill = None
        if len(self._ready) < self._size:
            self._ready.append(self._fork())
            self._prepare_soon()

    def _fork(self) -> packets.Socket:
        """Let the launcher fork a shim; return our end of its connection."""
        ours, theirs = packets.pair()
        try:
            self._send(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    # --- the launcher -----------------------------------------------------------------------------------

    def _send(self, fd: int) -> None:
        for _ in range(2):
            if self._socket is None:
                self._spawn()
            assert self._socket is not None
            try:
                packets.send_bytes(self._socket, self._cgroup_parent.encode(), (fd,))
            except (BrokenPipeError, ConnectionError):
                self._socket = None  # killed a moment ago: start another
            else:
                return
        raise Internal("the launcher of containers does not stay alive")

    def _spawn(self) -> None:
        ours, theirs = packets.pair()
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

    def _ended(self, pidfd: int, pid: int, connection: packets.Socket) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)
        connection.close()
        if self._socket is connection:
            self._socket = None


async def _wait_for_end(connection: packets.Socket) -> None:
    """Wait until a shim that has nothing to do is gone, with what it had prepared."""
    full = socket.socket(fileno=connection.detach())
    full.setblocking(False)
    try:
        async with asyncio.timeout(_PATIENCE):
            await asyncio.get_running_loop().sock_recv(full, 1)
    except (TimeoutError, ConnectionError):
        pass  # it leaves as soon as it can
    finally:
        full.close()
