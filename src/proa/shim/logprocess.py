"""A log driver in a process of its own, for what may have to wait: servers, and files in the mode non-blocking.

    shim ── stream, moment, bytes ──▶ child: lines ▶ syslog, journald or a file
         ◀── {"error"} once at the start; {"lost"} at the end

What the child does not take at once waits in a bounded queue. When that is full the mode decides: blocking
stops reading from the container, though not for longer than `_PATIENCE`; non-blocking drops what is new.
Either way what is lost is counted. A child that dies is replaced.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import time
from socket import SHUT_WR, socketpair

from proa.errors import Unavailable
from proa.linux import process
from proa.shim.jsonlog import JsonLog
from proa.shim.logframes import FLUSH, GAP, HEADER, STREAMS, SYNC

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from proa.linux.loop import Loop

_QUEUE = 1 << 20  # bytes, in the mode blocking
_PATIENCE = 5.0  # seconds that a container waits for a log that takes nothing
_START_LIMIT = 30.0  # seconds for the first connection to a server
_CLOSE_LIMIT = 2.0  # seconds for the rest at the end, as Docker has it
_RESTART_DELAY = 1.0  # seconds until a child that died is replaced


class LogProcess:
    """The shim's end. `description`: "driver" and "options" of the child, "buffer" in bytes for non-blocking,
    and "file", what a cache in this process writes so that the log can be read."""

    def __init__(self, description: dict[str, Any], loop: Loop, on_drained: Callable[[], None]) -> None:
        self._description = description
        self._loop = loop
        self._on_drained = on_drained
        self._waits = not description["buffer"]
        self._limit = description["buffer"] or _QUEUE
        self._queue = bytearray()
        self._cut = 0  # bytes at the queue's beginning that are the rest of a message
        self._held = False  # the container was told to wait
        self._received = b""
        self._gap = False  # something was dropped: lines before and behind it must not be joined
        self._given_up = False
        self._taken = 0  # bytes that the child took: the sign of life
        self._dropped = 0
        self._pid = 0
        file = description["file"]
        self._cache = JsonLog(**file) if file else None
        self.path = file["path"] if file else description["options"].get("path", "")
        self._spawn(first=True)
        answer = self._answer("error", _START_LIMIT)
        if reason := answer.get("error", "it does not answer"):
            self.close()
            raise Unavailable(f"failed to initialize logging driver: {reason}")

    @property
    def full(self) -> bool:
        """Whether the container should wait: it does in the mode blocking, while there is hope."""
        return self._waits and not self._given_up and len(self._queue) > self._limit

    @property
    def lost(self) -> int:
        """Bytes that could not be kept."""
        return self._dropped + (self._cache.lost if self._cache else 0)

    def write(self, stream: str, data: bytes) -> None:
        """Pass a chunk on; while the queue is full and nobody waits for it, the chunk is lost."""
        if self._cache:
            self._cache.write(stream, data)
        if len(self._queue) + len(data) > self._limit and self._queue and (not self._waits or self._given_up):
            self._dropped += len(data)
            self._gap = True
            return
        self._post(STREAMS.index(stream), data)
        if self.full and not self._held:
            self._held = True
            self._watch_progress()

    def flush(self, stream: str) -> None:
        """Pass on that the stream has ended."""
        if self._cache:
            self._cache.flush(stream)
        self._post(STREAMS.index(stream) | FLUSH, b"")

    def incomplete(self) -> dict[str, bytes]:
        """Return the beginnings of lines. A child that writes the file is asked, once it has written all else."""
        if self._cache:
            return self._cache.incomplete()
        self._post(SYNC, b"")
        self._send_all(_CLOSE_LIMIT)
        answer = self._answer("stdout", _CLOSE_LIMIT)
        return {name: answer.get(name, "").encode("latin-1") for name in STREAMS}

    def reaped(self, pid: int, status: int) -> None:
        """The child may be the one that ended: what it had not taken waits for its successor."""
        if self._cache:
            self._cache.reaped(pid, status)
        if self._pid and pid == self._pid:
            self._pid = 0
            self._disconnect()
            self._loop.later(_RESTART_DELAY, self._respawn)

    def close(self) -> None:
        """Let the child have the rest, and end it if that takes too long."""
        if self._cache:
            self._cache.close()
        if self._pid:
            deadline = time.monotonic() + _CLOSE_LIMIT
            self._send_all(_CLOSE_LIMIT)
            pid, self._pid = self._pid, 0
            try:
                self._socket.shutdown(SHUT_WR)
            except OSError:
                pass  # it is gone already
            answer = self._answer("lost", max(0.1, deadline - time.monotonic()))
            self._dropped += answer.get("lost", 0)
            if not answer:
                os.kill(pid, signal.SIGKILL)
            self._disconnect()
        self._dropped += len(self._queue)
        self._queue.clear()

    # --- the queue --------------------------------------------------------------------------------------

    def _post(self, kind: int, data: bytes) -> None:
        if self._gap:
            kind, self._gap = kind | GAP, False
        self._queue += HEADER.pack(kind, time.time_ns(), len(data))
        self._queue += data
        self._send()

    def _send(self) -> None:
        if not self._pid:
            return
        try:
            while self._queue:
                self._passed(self._socket.send(memoryview(self._queue)[: 1 << 18]))
        except BlockingIOError:
            self._loop.on_write(self._socket.fileno(), self._send)
        except OSError:
            self._loop.on_write(self._socket.fileno(), None)  # it has died; `reaped` is next
        else:
            self._loop.on_write(self._socket.fileno(), None)
        if self._held and len(self._queue) <= self._limit // 4:
            self._held = self._given_up = False
            self._on_drained()

    def _passed(self, count: int) -> None:
        """Take bytes off the queue, and remember how much of a message is left there."""
        border = self._cut
        while border < count:
            border += HEADER.size + HEADER.unpack_from(self._queue, border)[2]
        self._cut = border - count
        self._taken += count
        del self._queue[:count]

    def _watch_progress(self) -> None:
        """Give up waiting, and let the container run, when the child has taken nothing for too long."""
        taken = self._taken

        def look() -> None:
            if not self.full:
                return
            if self._taken != taken:
                self._watch_progress()
                return
            self._given_up = True
            self._on_drained()

        self._loop.later(_PATIENCE, look)

    def _send_all(self, seconds: float) -> None:
        """Send the queue and wait for that, for so many seconds at most."""
        deadline = time.monotonic() + seconds
        try:
            while self._pid and self._queue and (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                self._passed(self._socket.send(memoryview(self._queue)[: 1 << 18]))
        except OSError:
            pass  # too slow, or dead: what is left is counted by the caller
        finally:
            self._socket.setblocking(False)

    def _answer(self, key: str, seconds: float) -> dict[str, Any]:
        """Return the child's next message with this key, an empty one if none comes in time."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                line, newline, rest = self._received.partition(b"\n")
                if newline:
                    self._received = rest
                    answer: dict[str, Any] = json.loads(line)
                    if key in answer:
                        return answer
                    continue  # of a question whose answer came too late
                self._socket.settimeout(left)
                data = self._socket.recv(1 << 17)
                if not data:
                    break
                self._received += data
        except OSError:
            pass  # too slow, or dead
        finally:
            self._socket.setblocking(False)
        return {}

    # --- the child --------------------------------------------------------------------------------------

    def _spawn(self, *, first: bool) -> None:
        self._socket, other = socketpair()
        self._pid = os.fork()
        if not self._pid:
            _be_child(other, self._description, first=first)
        other.close()
        self._socket.setblocking(False)

    def _respawn(self) -> None:
        try:
            self._spawn(first=False)
        except OSError:
            self._loop.later(_RESTART_DELAY, self._respawn)  # no more processes or memory now
            return
        self._dropped += self._cut  # half a message is nothing to the new one
        del self._queue[: self._cut]
        self._cut, self._gap = 0, True
        self._send()

    def _disconnect(self) -> None:
        self._received = b""
        self._loop.forget(self._socket.fileno())
        self._socket.close()


def _be_child(connection: Any, description: dict[str, Any], *, first: bool) -> NoReturn:
    """Be the process of the driver until the shim has closed its end and everything is written."""
    try:
        gc.freeze()  # garbage of the parent would close descriptors that have other files here
        process.set_name("proa-log")
        signal.set_wakeup_fd(-1)
        process.default_signal(signal.SIGCHLD)
        os.closerange(3, connection.fileno())  # clients would wait for an end of their connections
        os.closerange(connection.fileno() + 1, 1 << 16)
        from proa.shim import logdrivers

        logdrivers.serve(connection, description["driver"], description["options"], first=first)
    finally:
        os._exit(0)
