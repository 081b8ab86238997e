"""The engine's side of its name server: the process is kept running, and told what it shall know.

It is started when the first container needs it, and told in microseconds: messages wait in its socket while it
loads. It outlives the engine; a starting one finds it again by its socket, a killed one is replaced, and
its containers' sockets are opened anew. With its last container it goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import proa
from proa.dns import protocol
from proa.dns.process import CONTROL_FD
from proa.linux import packets
from proa.network.name_sockets import NameSockets, open_in

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from proa.dns.process import main; main()"
_PATIENCE = 5.0  # seconds for a server that was found to answer
_LINGER = 30.0  # seconds that the process stays without a container
_CRASHES, _LONGEST_DELAY = 0.2, 10.0  # seconds until the next start, if the last did not live for as long

_log = logging.getLogger(__name__)


class Known(msgspec.Struct):
    """A container that has a name server: what it is told of it, and where its network namespace is."""

    description: dict[str, Any]
    namespace: str  # a path
    pid: int = 0  # of its first process, once it has started


class NameService:
    """One engine's name server. All methods are for the event loop's thread."""

    def __init__(self, exec_root: Path) -> None:
        self.pid = 0  # of the server, if this engine started it
        self._exec_root = os.fspath(exec_root)
        self._known: dict[str, Known] = {}
        self._connection: packets.Socket | None = None
        self._unsent: deque[tuple[dict[str, Any], tuple[int, ...]]] = deque()
        self._farewell: asyncio.TimerHandle | None = None
        self._spawned_at = self._delay = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    # --- what there is to know --------------------------------------------------------------------------

    async def start(self, running: Mapping[str, Known]) -> None:
        """Take up the server of an earlier engine, if it is there; it shall know what runs, and nothing else."""
        listening = await self._find()
        self._known = dict(running)
        if listening is None:
            await self._open_all(self._known)
            return
        for identifier in listening.keys() - self._known.keys():
            self._post({"op": "drop", "id": identifier})
        for identifier in listening.keys() & self._known.keys():
            self._tell(identifier)
        await self._open_all(self._known.keys() - listening.keys())

    async def add(self, identifier: str, known: Known, sockets: NameSockets | None = None) -> None:
        """Give a container its name server; `sockets` are those in its namespace, if they are open already.

        Raises `OSError`; the container is to be dropped then.
        """
        self._known[identifier] = known
        if sockets is None:
            sockets = await asyncio.to_thread(_open, known.namespace)
            if self._known.get(identifier) is not known:
                sockets.close()
                return
        self._tell(identifier, sockets)

    def change(self, identifier: str, description: dict[str, Any]) -> None:
        """Tell what has changed of a container: names, networks, addresses."""
        known = self._known[identifier]
        if known.description != description:
            known.description = description
            self._tell(identifier)

    def started(self, identifier: str, pid: int) -> None:
        """Tell a container's first process: what the server has of it ends with that, even without an engine."""
        if known := self._known.get(identifier):
            known.pid, known.namespace = pid, f"/proc/{pid}/ns/net"
            self._post({"op": "pid", "id": identifier, "pid": pid})

    def drop(self, identifier: str) -> None:
        """Forget a container; one that has no name server is none to forget."""
        if self._known.pop(identifier, None) is not None:
            self._post({"op": "drop", "id": identifier})
        if not self._known and self._connection and self._farewell is None:
            self._farewell = asyncio.get_running_loop().call_later(_LINGER, self._let_go)

    def knows(self, identifier: str) -> bool:
        """Whether a container has a name server."""
        return identifier in self._known

    async def close(self) -> None:
        """Leave the server to its containers."""
        self._closing.set()
        if self._farewell:
            self._farewell.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._unsent and (connection := self._connection):
            asyncio.get_running_loop().remove_writer(connection.fileno())
            await asyncio.to_thread(self._flush, connection)
        self._disconnect()

    # --- messages ---------------------------------------------------------------------------------------

    def _tell(self, identifier: str, sockets: NameSockets | None = None) -> None:
        """Tell of a container, with its sockets if they are new, and its namespace if servers are asked there."""
        known = self._known[identifier]
        descriptors: tuple[int, ...] = sockets.detach() if sockets else ()
        if not all(server["host"] for server in known.description["servers"]):
            try:
                descriptors += (os.open(known.namespace, os.O_RDONLY | os.O_CLOEXEC),)
            except OSError:
                packets.close_all(descriptors)  # it has ended; whoever saw that says so
                return
        self._post({"op": "put", "id": identifier, "container": known.description}, descriptors)
        if known.pid:
            self._post({"op": "pid", "id": identifier, "pid": known.pid})

    def _post(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """Send a message now, or when the server has taken what was sent before; its descriptors are closed."""
        if self._farewell and message["op"] == "put":
            self._farewell.cancel()
            self._farewell = None
        if self._connection is None:
            if message["op"] == "put" and not self._closing.is_set():
                self._spawn()
            else:
                packets.close_all(descriptors)
                return
        self._unsent.append((message, descriptors))
        if len(self._unsent) == 1:
            self._send()

    def _send(self) -> None:
        connection = self._connection
        assert connection is not None
        loop = asyncio.get_running_loop()
        while self._unsent:
            message, descriptors = self._unsent[0]
            try:
                packets.send(connection, message, descriptors)
            except BlockingIOError:
                loop.add_writer(connection.fileno(), self._send)
                return
            except ConnectionError:
                break  # `_receive` is next
            except OSError as error:  # a message too long for a packet
                _log.error("container %s: its name server can not be told: %s", message.get("id"), error)
            self._unsent.popleft()
            packets.close_all(descriptors)
        loop.remove_writer(connection.fileno())

    def _flush(self, connection: packets.Socket) -> None:
        """Send what waits, for as long as the server reads."""
        connection.settimeout(_PATIENCE)
        try:
            for message, descriptors in self._unsent:
                packets.send(connection, message, descriptors)
        except OSError:
            pass  # it is gone, or stuck: the next engine tells another

    def _receive(self, connection: packets.Socket) -> None:
        """The server says nothing by itself: what comes is its end."""
        try:
            message, descriptors = packets.receive(connection)
        except BlockingIOError:
            return
        except ConnectionError:
            message, descriptors = None, []
        packets.close_all(descriptors)
        if message is None and connection is self._connection:
            self._disconnect()
            if self._known and not self._closing.is_set():
                _log.warning("the name server of containers has ended: starting another")
                self._later(self._recover())

    def _connect(self, connection: packets.Socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        asyncio.get_running_loop().add_reader(connection.fileno(), self._receive, connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(connection.fileno())
            loop.remove_writer(connection.fileno())
            connection.close()
        while self._unsent:
            packets.close_all(self._unsent.popleft()[1])

    def _let_go(self) -> None:
        self._farewell = None
        if not self._known:
            self._disconnect()

    # --- the process ------------------------------------------------------------------------------------

    async def _find(self) -> dict[str, int] | None:
        """Connect to a server that is there; return which containers it serves, None if there is none."""
        try:
            connection = protocol.connect(self._exec_root)
        except OSError:
            return None
        try:
            listening = await asyncio.to_thread(_greet, connection)
        except (OSError, ValueError) as error:
            _log.warning("the name server of an earlier engine is replaced: %s", error)
            connection.close()
            return None
        self._connect(connection)
        return listening

    def _spawn(self) -> None:
        ours, theirs = packets.pair()
        null = os.open(os.devnull, os.O_RDWR)
        try:
            argv = [sys.executable, "-I", "-S", "-c", BOOT, str(Path(proa.__file__).parents[1]), self._exec_root]
            self.pid = os.posix_spawn(
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
        self._spawned_at = time.monotonic()
        self._connect(ours)
        pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(pidfd, self._reap, pidfd, self.pid)

    def _reap(self, pidfd: int, pid: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)

    async def _recover(self) -> None:
        """Start another server; one that dies again and again is waited for longer and longer."""
        if time.monotonic() - self._spawned_at < self._delay + _CRASHES:
            self._delay = min(_LONGEST_DELAY, self._delay * 2 or _CRASHES)
            try:
                async with asyncio.timeout(self._delay):
                    await self._closing.wait()
            except TimeoutError:
                pass
        else:
            self._delay = 0.0
        if not self._closing.is_set():
            await self._open_all(self._known)

    async def _open_all(self, identifiers: Any) -> None:
        """Open the sockets of containers that run, and hand them over."""
        for identifier in list(identifiers):
            known = self._known.get(identifier)
            if known is None:
                continue
            try:
                sockets = await asyncio.to_thread(_open, known.namespace)
            except OSError as error:
                _log.warning("container %s: it has no name server now: %s", identifier, error)
                continue
            if self._known.get(identifier) is known:
                self._tell(identifier, sockets)
            else:
                sockets.close()

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _greet(connection: packets.Socket) -> dict[str, int]:
    """Return the containers that a server serves, with the pids that it knows; ValueError for another version."""
    connection.settimeout(_PATIENCE)
    packets.send(connection, {"op": "hello"})
    containers: dict[str, int] = {}
    while True:
        answer, descriptors = packets.receive(connection)
        packets.close_all(descriptors)
        if answer is None:
            raise ConnectionResetError("it has ended")
        if answer["version"] != protocol.VERSION:
            packets.send(connection, {"op": "leave"})
            raise ValueError(f"it is of another version, {answer['version']}")
        containers |= answer["containers"]
        if not answer["more"]:
            return containers


def _open(namespace: str) -> NameSockets:
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return open_in(descriptor)
    finally:
        os.close(descriptor)
