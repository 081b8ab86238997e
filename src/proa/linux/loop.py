"""An event loop for lean processes: callbacks for descriptors and timers on one epoll instance, nothing more."""

from __future__ import annotations

import heapq
import select
import time

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_GONE = select.EPOLLHUP | select.EPOLLERR


class Loop:
    """Call `reader` and `writer` of a descriptor when it is ready; a hang-up counts as both."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._writers: dict[int, Callable[[], object]] = {}
        self._enders: dict[int, Callable[[], object]] = {}
        self._masks: dict[int, int] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._serial = 0
        self.running = True

    def on_read(self, fd: int, callback: Callable[[], object] | None) -> None:
        """Call `callback` while `fd` is readable; None ends that."""
        self._change(self._readers, fd, callback)

    def on_write(self, fd: int, callback: Callable[[], object] | None) -> None:
        """Call `callback` while `fd` is writable; None ends that."""
        self._change(self._writers, fd, callback)

    def on_hang_up(self, fd: int, callback: Callable[[], object]) -> None:
        """Call `callback`, which forgets `fd`, when the other side has gone altogether and nobody reads `fd`."""
        self._enders[fd] = callback
        if fd not in self._masks:
            self._masks[fd] = 0
            self._epoll.register(fd, 0)  # EPOLLHUP and EPOLLERR always count

    def forget(self, fd: int) -> None:
        """Drop a descriptor that is about to be closed."""
        self._enders.pop(fd, None)
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)
        if self._masks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call `callback` once after `seconds`."""
        self._serial += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._serial, callback))

    def _change(
        self, table: dict[int, Callable[[], object]], fd: int, callback: Callable[[], object] | None
    ) -> None:
        if callback is None:
            table.pop(fd, None)
        else:
            table[fd] = callback
        mask = (READ if fd in self._readers else 0) | (WRITE if fd in self._writers else 0)
        known = self._masks.get(fd)
        if mask == (known or 0):
            return
        if not mask and fd not in self._enders:
            self._epoll.unregister(fd)
            del self._masks[fd]
            return
        if known is None:
            self._epoll.register(fd, mask)
        else:
            self._epoll.modify(fd, mask)
        self._masks[fd] = mask

    def close(self) -> None:
        """Close the epoll instance."""
        self._epoll.close()

    def run(self) -> None:
        """Run until `running` is false."""
        while self.running:
            for fd, events in self._epoll.poll(self._timeout(), 32):
                if events & (READ | _GONE) and (reader := self._readers.get(fd)):
                    reader()
                if events & (WRITE | _GONE) and (writer := self._writers.get(fd)):
                    writer()
                if events & _GONE and fd not in self._readers and (ender := self._enders.get(fd)):
                    ender()
            self._run_timers()

    def _timeout(self) -> float:
        if not self._timers:
            return -1
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
