"""The API's server: listeners, their connections, and an orderly end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from proa.api import listeners as listening
from proa.api.application import Application
from proa.api.connection import Connection
from proa.api.facade import Engine
from proa.api.hangups import HangUps

if TYPE_CHECKING:
    import ssl

    from proa.api.tls import TlsConnection


class Server:
    """Serves one engine on any number of listening sockets, until `close`."""

    def __init__(self, engine: Engine) -> None:
        self._application = Application(engine)
        self._connections: set[Connection] = set()
        self._secured: set[TlsConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._hang_ups: HangUps | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected; hijacked connections are the engine's and do not count."""
        return len(self._connections)

    async def serve(self, listeners: Iterable[socket.socket], tls: ssl.SSLContext | None = None) -> None:
        """Begin to accept on sockets that listen; the server owns them from now on. `tls` is for those of TCP."""
        loop = asyncio.get_running_loop()
        self._hang_ups = self._hang_ups or HangUps(loop)
        for listener in listeners:
            protocol: Callable[[], asyncio.Protocol] = self._connection
            if tls is not None and listener.family != socket.AF_UNIX:
                protocol = self._securing(tls, self._hang_ups)
            server = await loop.create_server(protocol, sock=listener, backlog=listening.BACKLOG)
            self._servers.append(server)

    async def close(self, patience: float = 10.0) -> None:
        """Accept nothing more, end what only waits or streams, give the rest `patience` seconds."""
        for server in self._servers:
            for listener in server.sockets:
                _unlink(listener)
            server.close()
        await self._finish(now=False, patience=patience)
        await self._finish(now=True, patience=1.0)
        if serving := {task for each in self._secured if (task := each.serving)}:
            await asyncio.wait(serving, timeout=0.5)  # what was answered is still being encrypted
        for secured in tuple(self._secured):
            secured.abort()
        await asyncio.sleep(0)  # the transports' last callbacks
        if self._hang_ups is not None:
            self._hang_ups.close()

    async def _finish(self, *, now: bool, patience: float) -> None:
        tasks = {task for each in tuple(self._connections) if (task := each.shut_down(now=now))}
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    def _connection(self) -> Connection:
        assert self._hang_ups is not None
        return Connection(self._application, self._application.headers, self._hang_ups, self._connections)

    def _securing(self, tls: ssl.SSLContext, hang_ups: HangUps) -> Callable[[], asyncio.Protocol]:
        from proa.api.tls import TlsConnection

        return lambda: TlsConnection(tls, self._connection, hang_ups, self._secured)


def _unlink(listener: socket.socket) -> None:
    """Remove a unix socket's file, so that clients learn at once that nobody listens."""
    path = listener.getsockname()
    if listener.family == socket.AF_UNIX and isinstance(path, str) and path and "LISTEN_FDS" not in os.environ:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
