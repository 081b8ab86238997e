"""The shim's connections to engines: requests come in, answers and events go out.

There may be several: the engine that asked for the shim, and later ones that found its socket.
"""

from __future__ import annotations

import os

from proa.errors import ProaError
from proa.runtime.failure import UNEXPECTED, SetupError, describe
from proa.shim import protocol

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.linux.loop import Loop


class RequestError(Exception):
    """A request that can not be served; the message goes back to the engine."""


class Server:
    """`perform` serves a request with its descriptors; `on_alone` is called when the last engine is gone."""

    def __init__(
        self,
        loop: Loop,
        perform: Callable[[dict[str, Any], list[int]], Any],
        on_alone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._perform = perform
        self._on_alone = on_alone
        self._listener: protocol.Socket | None = None
        self._connections: list[protocol.Socket] = []

    def listen(self, directory: str) -> None:
        """Let other engines find this process by the runtime directory of its container."""
        self._listener = protocol.listen(directory)
        self._loop.on_read(self._listener.fileno(), self._accept)

    def unlisten(self, directory: str) -> None:
        """Take no more engines."""
        if self._listener is None:
            return
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        self._listener = None
        try:
            os.unlink(f"{directory}/{protocol.SOCKET_NAME}")
        except FileNotFoundError:
            pass  # the engine removed the directory already

    def serve(self, connection: protocol.Socket) -> None:
        """Take requests from an engine's connection."""
        connection.setblocking(False)
        self._connections.append(connection)
        self._loop.on_read(connection.fileno(), lambda: self._receive(connection))

    def announce(self, event: dict[str, Any]) -> None:
        """Tell every engine."""
        for connection in list(self._connections):
            self._send(connection, event)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection = protocol.accept(self._listener)
        except (BlockingIOError, ConnectionError):
            return
        self.serve(connection)

    def _receive(self, connection: protocol.Socket) -> None:
        try:
            message, descriptors = protocol.receive(connection)
        except BlockingIOError:
            return
        except ConnectionError:
            message, descriptors = None, []
        if message is None:
            self._drop(connection)
            return
        reply: dict[str, Any] = {"id": message.get("id")}
        try:
            reply["result"] = self._perform(message, descriptors)
        except SetupError as error:
            reply["error"] = {"message": error.message, "errno": error.errno}
        except (RequestError, ProaError) as error:
            reply["error"] = {"message": str(error), "errno": getattr(error, "errno", 0)}
        except OSError as error:
            reply["error"] = {"message": str(error), "errno": error.errno or 0}
        except Exception as error:  # of this program; the container it looks after must not lose it
            reply["error"] = {"message": describe(error)[0], "errno": UNEXPECTED}
        finally:
            for fd in descriptors:
                os.close(fd)
        self._send(connection, reply)

    def _send(self, connection: protocol.Socket, message: dict[str, Any]) -> None:
        try:
            protocol.send(connection, message)
        except OSError:
            self._drop(connection)  # an engine that is gone, or so stuck that its buffer is full

    def _drop(self, connection: protocol.Socket) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._loop.forget(connection.fileno())
            connection.close()
        if not self._connections:
            self._on_alone()
