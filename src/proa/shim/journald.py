"""The log driver journald: the journal's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).

An entry is a datagram of fields, NAME=value a line; a value with a newline has its length before it. One
that is too large for a datagram goes as a sealed memfd.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import time

from proa.shim.peer import TIMEOUT, Peer

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.shim.sink import Part

_PRIORITIES = {"stdout": b"6", "stderr": b"3"}  # informational, error (syslog(3))
_SECOND = 1_000_000_000
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Journald:
    """Options: "socket", the journal's path, and "fields", those that every entry has."""

    def __init__(self, options: dict[str, Any], *, first: bool) -> None:
        self._path = options["socket"]
        self._fields = b"".join(_field(name, value.encode()) for name, value in options["fields"].items())
        self._fields += _field("CONTAINER_LOG_EPOCH", os.urandom(32).hex().encode())
        self._ordinal = 0
        try:
            self._peer = Peer(self._connect, _transmit, first=first)
        except OSError:
            raise OSError("journald is not enabled on this host") from None

    @property
    def lost(self) -> int:
        return self._peer.lost

    def send(self, stream: str, line: bytes, moment: int, part: Part | None) -> None:
        """Send an entry."""
        self._ordinal += 1
        seconds, nanoseconds = divmod(moment, _SECOND)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"
        own = {
            "PRIORITY": _PRIORITIES[stream],
            "SYSLOG_TIMESTAMP": stamp.encode(),
            "CONTAINER_LOG_ORDINAL": b"%d" % self._ordinal,
        }
        if part:
            own["CONTAINER_PARTIAL_ID"] = part.identifier.encode()
            own["CONTAINER_PARTIAL_ORDINAL"] = b"%d" % part.ordinal
            own["CONTAINER_PARTIAL_LAST"] = b"true" if part.last else b"false"
            if not part.last:
                own["CONTAINER_PARTIAL_MESSAGE"] = b"true"
        fields = b"".join(_field(name, value) for name, value in own.items())
        self._peer.send(self._fields + fields + _field("MESSAGE", line))

    def close(self) -> None:
        self._peer.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)
    return b"%s=%s\n" % (name.encode(), value)


def _transmit(connection: socket.socket, data: bytes) -> None:
    try:
        connection.send(data)
    except OSError as error:
        if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
            raise
        _transmit_memory(connection, data)


def _transmit_memory(connection: socket.socket, data: bytes) -> None:
    """Send a large entry as a memfd that nobody can change any more."""
    fd = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        connection.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    finally:
        os.close(fd)
