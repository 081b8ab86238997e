"""A server that lines are sent to: it may be slow, go away, and come again.

One that went away is waited for, `PATIENCE` at most; what is sent meanwhile waits in the shim's queue. After
that lines are lost, and counted, until it is there again. Runs in the child of `logprocess.py`.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PATIENCE = 5.0  # seconds
TIMEOUT = 5.0  # seconds for one connection or one message
_RETRY = 0.2  # seconds between attempts while it is waited for
_LATER = 1.0  # seconds between attempts after that


class Peer:
    """`connect` returns a connection, `transmit(connection, data)` delivers; both raise OSError."""

    def __init__(self, connect: Callable[[], Any], transmit: Callable[[Any, bytes], None], *, first: bool) -> None:
        self._connect = connect
        self._transmit = transmit
        self.lost = 0
        self._down_since = 0.0
        self._next_attempt = 0.0
        self._connection = connect() if first else None

    def send(self, data: bytes) -> None:
        """Deliver a message, or count it as lost."""
        while self._down_since == 0.0 or time.monotonic() >= self._next_attempt:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._transmit(self._connection, data)
                self._down_since = 0.0
                return
            except OSError:
                self.close()
            now = time.monotonic()
            self._down_since = self._down_since or now
            if now - self._down_since >= PATIENCE:
                self._next_attempt = now + _LATER
                break
            time.sleep(_RETRY)
        self.lost += len(data)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
