"""A client's hijacked connection: frames output for it, hands its input on, notices detach keys.

The engine passes the socket itself, so an attached client outlives the engine. Output waits in a bounded
buffer; the session stops reading from the container while one of its clients is full, as Docker does.
"""

from __future__ import annotations

import fcntl
import struct
from socket import AF_UNIX, SHUT_WR

from proa.linux import packets

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.linux.loop import Loop

HIGH_WATER, LOW_WATER = 1 << 20, 1 << 18
_STREAM_NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}
_SIOCOUTQ = 0x5411
_LAST_READS = 64  # of 64 KiB
_NETWORK_GRACE = 0.05  # seconds: over TCP the kernel knows only that the head has arrived, not that it was read
_DRAIN_POLL, _LATE_DRAIN_POLL = 0.0005, 0.01  # seconds
_DRAIN_SOON, _DRAIN_LIMIT = 200, 1200  # polls: a client that has not read its header after 10 s reads none


def frame(stream: str, data: bytes) -> bytes:
    """Return output in Docker's framing: the stream's number, three zeros, the length, the data."""
    return struct.pack(">BxxxI", _STREAM_NUMBERS[stream], len(data)) + data


class Client:
    """One attached connection of a session. `wants` is the set of streams it asked for."""

    def __init__(self, loop: Loop, fd: int, request: dict[str, Any]) -> None:
        self.loop = loop
        self.socket = packets.adopt(fd)
        self.socket.setblocking(False)
        self.wants = {name for name in _STREAM_NUMBERS if request.get(name)}
        self.framed = bool(request.get("multiplexed"))
        self.closed = False
        self.on_close: Callable[[Client], None] = lambda client: None
        self.on_drained: Callable[[], None] = lambda: None
        self._out = bytearray()
        self._ending = False
        self._drain_polls = 0
        self._header_read = not request.get("drain")
        self._settled = self.socket.family == AF_UNIX
        self._settling = False
        self._keys = bytes(request.get("detach_keys") or ())
        self._buffered = request.get("buffered", "").encode("latin-1")
        self._matched = 0
        self.detached = False
        self.input_ended = False

    @property
    def has_input(self) -> bool:
        """Whether `read` has something that the socket will not report."""
        return bool(self._buffered)

    @property
    def queued(self) -> int:
        """Bytes in its buffer."""
        return len(self._out)

    @property
    def full(self) -> bool:
        """Whether its buffer is so long that the container should wait."""
        return len(self._out) > HIGH_WATER

    @property
    def relaxed(self) -> bool:
        """Whether the container may go on after `full`."""
        return len(self._out) <= LOW_WATER

    def send(self, stream: str, data: bytes) -> None:
        """Queue output of one stream and send what the connection takes."""
        if self.closed or stream not in self.wants:
            return
        self._out += frame(stream, data) if self.framed else data
        self._flush()

    def finish(self) -> None:
        """End the connection once everything queued is sent: half-close, then close."""
        self._ending = True
        self._flush()

    def _flush(self) -> None:
        if self.closed or not self._may_write():
            return
        try:
            while self._out:
                sent = self.socket.send(memoryview(self._out)[: 1 << 18])
                del self._out[:sent]
        except BlockingIOError:
            self.loop.on_write(self.socket.fileno(), self._flush)
            return
        except OSError:
            self.close()
            return
        self.loop.on_write(self.socket.fileno(), None)
        self.on_drained()
        if self._ending:
            self.close()

    def _may_write(self) -> bool:
        """Hold the first bytes back until the peer has read the response header.

        docker-py reads the stream below a buffered reader that may already have swallowed what came along
        with the header (docker/docker-py#3332). On a busy machine it may be long until the client does.
        """
        if self._header_read or (not self._out and not self._ending):
            return True
        waiting = struct.unpack("i", fcntl.ioctl(self.socket.fileno(), _SIOCOUTQ, b"\0" * 4))[0]
        self._drain_polls += 1
        if waiting and self._drain_polls < _DRAIN_LIMIT:
            self.loop.later(_DRAIN_POLL if self._drain_polls < _DRAIN_SOON else _LATE_DRAIN_POLL, self._flush)
            return False
        if not self._settled:
            if not self._settling:
                self._settling = True
                self.loop.later(_NETWORK_GRACE, self._settle)
            return False
        self._header_read = True
        return True

    def _settle(self) -> None:
        self._settled = True
        self._flush()

    def read(self) -> bytes:
        """Return input that is there; sets `input_ended` at its end and `detached` after the detach keys."""
        if self._buffered:  # what came along with the request
            data, self._buffered = self._buffered, b""
            return self._without_keys(data) if self._keys else data
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        self.input_ended = not data
        return self._without_keys(data) if self._keys else data

    def _without_keys(self, data: bytes) -> bytes:
        """Watch for the detach sequence; a sequence begun and not completed is passed on as typed."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self.detached = True
                    return bytes(passed)
                continue
            passed += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                passed.append(byte)
        return bytes(passed)

    def close(self) -> None:
        """Close at once."""
        if self.closed:
            return
        self.closed = True
        self.loop.forget(self.socket.fileno())
        try:
            self.socket.shutdown(SHUT_WR)
            # Closing with input unread would reset the connection, and the peer lose what it has not read yet.
            for _ in range(_LAST_READS):
                if not self.socket.recv(1 << 16):
                    break
        except OSError:
            pass  # nothing is left to read, or the peer is gone already
        self.socket.close()
        self.on_close(self)
