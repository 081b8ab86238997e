"""The engine's side of a shim: ask it, hear its events."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from typing import Any

from proa.errors import Internal, ProaError
from proa.shim import protocol

# Why a request can not be met, whoever repeats it: 0 is a reason in words.
_OF_REQUESTS = frozenset({0, errno.EINVAL, errno.ERANGE, errno.EDOM, errno.ENODEV, errno.ENXIO})
_REQUEST_TIMEOUT = 120.0  # seconds; a start copies nothing and waits for nothing that takes longer


class ShimError(ProaError):
    """A shim could not do what was asked; `errno` is the kernel's reason, 0 or `UNEXPECTED`."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.errno = number

    @property
    def blames_request(self) -> bool:
        """Whether what was asked for is to blame, not the machine and not the shim."""
        return self.errno in _OF_REQUESTS


class ShimGone(Internal):
    """The shim ended before it answered."""


class ShimConnection:
    """A connection to one shim. `on_event` gets its events, `on_lost` is called once at its end."""

    def __init__(
        self,
        connection: protocol.Socket,
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

    def post(self, operation: str, *, descriptors: Sequence[int] = (), **arguments: Any) -> asyncio.Future[Any]:
        """Send a request at once and return its future answer: requests are served in their order."""
        self._serial += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._socket.fileno() < 0:
            future.set_exception(ShimGone("the container's shim is gone"))
            return future
        self._pending[self._serial] = future
        future.add_done_callback(_retrieve)  # of several requests, one failure is told
        try:
            protocol.send(self._socket, {"op": operation, "id": self._serial, **arguments}, descriptors)
        except OSError as error:
            self._pending.pop(self._serial)
            self.drain()  # why it is gone may be the answer to an earlier request
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
                # The shim left with requests unread, which is told once; what it had said before comes after it.
                continue
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


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
