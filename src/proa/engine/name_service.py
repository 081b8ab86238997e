"""The engine's side of its name server: the process is kept running, and told what it shall know.

It is started when the first container needs it, and told in microseconds: messages wait in its socket while it
loads. It outlives the engine; a starting one finds it again by its socket, a killed one is replaced, and
its containers' sockets are opened anew. With its last container it goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from proa.engine import name_link
from proa.engine.name_link import Link
from proa.linux import packets
from proa.network.name_sockets import NameSockets, open_in

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
        self._exec_root = os.fspath(exec_root)
        self._known: dict[str, Known] = {}
        self._link: Link | None = None
        self._farewell: asyncio.TimerHandle | None = None
        self._spawned_at = self._delay = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self.on_refused: Callable[[dict[str, Any]], None] = lambda message: None  # as `proa.dns.protocol` has it

    @property
    def pid(self) -> int:
        """The server's process, if this engine started it, else 0."""
        return self._link.pid if self._link else 0

    # --- what there is to know --------------------------------------------------------------------------

    async def start(self, running: Mapping[str, Known]) -> None:
        """Take up the server of an earlier engine, if it is there; it shall know what runs, and nothing else."""
        found = await asyncio.to_thread(name_link.find, self._exec_root)
        self._known = dict(running)
        if found is None:
            await self._open_all(self._known)
            return
        connection, listening = found
        self._link = Link(connection, self._lost, self._heard)
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
            sockets = await _open(known.namespace)
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
        if not self._known and self._link and self._farewell is None:
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
        if self._link:
            await self._link.flush()
            await self._link.end(alone=not self._known)
            self._link = None

    # --- messages ---------------------------------------------------------------------------------------

    def _tell(self, identifier: str, sockets: NameSockets | None = None) -> None:
        """Tell of a container, with its sockets if they are new, and its namespace if servers are asked there."""
        known = self._known[identifier]
        descriptors: tuple[int, ...] = sockets.detach() if sockets else ()
        inside = not all(server["host"] for server in known.description["servers"])
        if inside or "egress" in known.description:
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
        if self._link is None:
            if message["op"] != "put" or self._closing.is_set():
                packets.close_all(descriptors)
                return
            self._spawned_at = time.monotonic()
            connection, pid = name_link.spawn(self._exec_root)
            self._link = Link(connection, self._lost, self._heard, pid)
        self._link.post(message, descriptors)

    def _let_go(self) -> None:
        self._farewell = None
        if not self._known and self._link:
            self._link.close()
            self._link = None

    # --- when the server has ended ----------------------------------------------------------------------

    def _heard(self, message: dict[str, Any]) -> None:
        self.on_refused(message)

    def _lost(self) -> None:
        self._link = None
        if self._known and not self._closing.is_set():
            _log.warning("the name server of containers has ended: starting another")
            task = asyncio.get_running_loop().create_task(self._recover())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

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

    async def _open_all(self, identifiers: Iterable[str]) -> None:
        """Open the sockets of containers that run, and hand them over."""
        for identifier in list(identifiers):
            known = self._known.get(identifier)
            if known is None:
                continue
            try:
                sockets = await _open(known.namespace)
            except OSError as error:
                _log.warning("container %s: it has no name server now: %s", identifier, error)
                continue
            if self._known.get(identifier) is known:
                self._tell(identifier, sockets)
            else:
                sockets.close()


async def _open(namespace: str) -> NameSockets:
    """Open the sockets in a namespace, whatever becomes of its path meanwhile; if cancelled, none stay."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    opening = asyncio.get_running_loop().run_in_executor(None, _open_in, descriptor)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda done: None if done.exception() else done.result().close())
        raise


def _open_in(namespace: int) -> NameSockets:
    try:
        return open_in(namespace)
    finally:
        os.close(namespace)
