"""Network namespaces with nothing but a loopback interface (`--network none`), made in advance.

Making one costs the kernel most of a millisecond. As with endpoints, it has no name: it lives as long as its
descriptor, or a process in it.
"""

from __future__ import annotations

import os
import threading
from collections import deque

from proa.linux import rtnetlink
from proa.linux.namespaces import CLONE_NEWNET, new_network, setns
from proa.linux.netlink import Socket

SIZE = 2
_QUIET = 0.05  # seconds without a start before another is made
_RETRY = 1.0  # seconds after a failure
_NAMESPACE = "/proc/thread-self/ns/net"


class IsolatedPool:
    """Up to `size` namespaces, kept by a thread of its own. `take` may be called from any thread."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._ready: deque[int] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fill the pool."""
        self._thread = threading.Thread(target=self._work, name="isolated networks", daemon=True)
        self._thread.start()

    def take(self) -> int | None:
        """Return the descriptor of a namespace, the caller's from now on; None when there is none right now."""
        with self._changed:
            self._changed.notify()
            return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Stop, and let go of what nobody took."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread:
            self._thread.join()
        while self._ready:
            os.close(self._ready.popleft())

    def _work(self) -> None:
        home = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while self._wait():
                try:
                    made = _make(home)
                except OSError:
                    self._pause(_RETRY)  # a container that needs one makes it itself, and says why not
                    continue
                with self._changed:
                    self._ready.append(made)
        finally:
            os.close(home)

    def _wait(self) -> bool:
        """Wait until one is missing and all is quiet; False at the end."""
        with self._changed:
            while not self._closing:
                if len(self._ready) >= self._size:
                    self._changed.wait()
                elif not self._changed.wait(_QUIET):
                    return True
            return False

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if not self._closing:
                self._changed.wait(seconds)


def _make(home: int) -> int:
    """Return a new namespace with its loopback up; the calling thread is in `home` again."""
    new_network()
    try:
        with Socket() as inside:
            inside.execute(rtnetlink.set_link(1, "lo", up=True))
        return os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        setns(home, CLONE_NEWNET)
