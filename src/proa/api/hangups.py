"""Tells when a client has really gone: EPOLLHUP, which a half-closed connection does not raise.

A client without stdin shuts its sending side down at once and still wants the output, so the end of its data
says nothing. asyncio can not wait for a hang-up alone; a second epoll instance inside its selector can.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable


class HangUps:
    """One watcher serves all connections of an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call `callback` once when the peer of a socket has closed both directions."""
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLONESHOT)  # EPOLLHUP and EPOLLERR always count

    def forget(self, descriptor: int) -> None:
        """Stop watching. Must be called before the descriptor is closed or passed on."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _ready(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            if callback := self._callbacks.get(descriptor):
                callback()
