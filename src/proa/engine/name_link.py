"""The engine's connection to its name server: the process, and the messages that wait for it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import proa
from proa.dns import protocol
from proa.dns.process import CONTROL_FD
from proa.linux import packets

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from proa.dns.process import main; main()"
_PATIENCE = 5.0  # seconds for a server to answer, to take what is left, or to end
_CREDENTIALS = struct.Struct("=3i")  # struct ucred: pid, uid, gid

_log = logging.getLogger(__name__)


class Link:
    """A connection whose messages are sent now, or when the server has taken what was sent before.

    `lost` is called when the server ends it, `heard` with what the server tells. All methods are for the event
    loop's thread.
    """

    def __init__(
        self,
        connection: packets.Socket,
        lost: Callable[[], None],
        heard: Callable[[dict[str, Any]], None],
        pid: int = 0,
    ) -> None:
        """`pid` is that of the server if it is a child of this process."""
        self.pid = pid
        self._socket = connection
        self._lost, self._heard = lost, heard
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[tuple[dict[str, Any], tuple[int, ...]]] = deque()
        self._pidfd = os.pidfd_open(pid) if pid else -1
        self._reaped = asyncio.Event()
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self._receive)
        if self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._reap)

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return len(self._unsent)

    def post(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """Send a message with descriptors, which are closed then."""
        self._unsent.append((message, descriptors))
        if len(self._unsent) == 1:
            self._send()

    async def flush(self) -> None:
        """Wait until all is sent, for as long as the server reads."""
        if self._unsent:
            self._loop.remove_writer(self._socket.fileno())
            await asyncio.to_thread(self._send_all)

    def close(self) -> None:
        """End the connection: what waits is forgotten."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        while self._unsent:
            packets.close_all(self._unsent.popleft()[1])

    async def end(self, *, alone: bool) -> None:
        """Close for good. A server that is `alone`, without containers, ends now, and is waited for."""
        self.close()
        if alone and self._pidfd >= 0:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._reaped.wait()
            except TimeoutError:
                _log.warning("the name server %d does not end", self.pid)
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _send(self) -> None:
        while self._unsent:
            message, descriptors = self._unsent[0]
            try:
                packets.send(self._socket, message, descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._send)
                return
            except ConnectionError:
                break  # `_receive` is next
            except OSError as error:  # a message too long for a packet
                _log.error("container %s: its name server can not be told: %s", message.get("id"), error)
            self._unsent.popleft()
            packets.close_all(descriptors)
        self._loop.remove_writer(self._socket.fileno())

    def _send_all(self) -> None:
        self._socket.settimeout(_PATIENCE)
        try:
            for message, descriptors in self._unsent:
                packets.send(self._socket, message, descriptors)
        except OSError:
            pass  # it is gone, or stuck: the next engine tells another

    def _receive(self) -> None:
        """What the server tells by itself, at last its end."""
        try:
            message, descriptors = packets.receive(self._socket)
        except BlockingIOError:
            return
        except ConnectionError:
            message, descriptors = None, []
        packets.close_all(descriptors)
        if message is None:
            self.close()
            self._lost()
        elif message["op"] == "refused":
            self._heard(message)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        os.waitpid(self.pid, 0)
        self._reaped.set()


def spawn(exec_root: str) -> tuple[packets.Socket, int]:
    """Start a server; return the connection to it and its pid. It needs 50 ms until it serves, messages wait."""
    ours, theirs = packets.pair()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        argv = [sys.executable, "-I", "-S", "-c", BOOT, str(Path(proa.__file__).parents[1]), exec_root]
        pid = os.posix_spawn(
            sys.executable,
            argv,
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL_FD),
            ],
        )
    finally:
        os.close(null)
        theirs.close()
    return ours, pid


def find(exec_root: str) -> tuple[packets.Socket, dict[str, int]] | None:
    """Connect to the server of an earlier engine; return the containers it serves, with the pids that it knows.

    One that does not answer, or is of another version, is ended. None where there is no server. Blocks.
    """
    try:
        connection = protocol.connect(exec_root)
    except OSError:
        return None
    try:
        return connection, _greet(connection)
    except ValueError as error:
        _log.info("the name server of an earlier engine is replaced: %s", error)
    except OSError as error:
        _log.warning("the name server of an earlier engine is replaced: %s", error)
        _kill_peer(connection)
    connection.close()
    return None


def _greet(connection: packets.Socket) -> dict[str, int]:
    connection.settimeout(_PATIENCE)
    packets.send(connection, {"op": "hello"})
    containers: dict[str, int] = {}
    while True:
        answer, descriptors = packets.receive(connection)
        packets.close_all(descriptors)
        if answer is None:
            raise ConnectionResetError("it has ended")
        if "version" not in answer:
            continue  # what it had to tell, and tells again when it hears of the containers
        if answer["version"] != protocol.VERSION:
            packets.send(connection, {"op": "leave"})
            raise ValueError(f"it is of version {answer['version']}")
        containers |= answer["containers"]
        if not answer["more"]:
            return containers


def _kill_peer(connection: packets.Socket) -> None:
    """Kill the process that listens at the other end (unix(7), SO_PEERCRED)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, _, _ = _CREDENTIALS.unpack(data)
    if pid > 0 and pid != os.getpid():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended meanwhile
