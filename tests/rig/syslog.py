"""A syslog server: takes what comes over a unix socket, UDP, TCP or TLS and keeps the messages."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Self

from rig.needs import PATIENCE

_STREAMS = ("unix", "tcp", "tcp+tls")


class SyslogServer:
    """Listens as a context. `network` is a scheme of Docker's option syslog-address."""

    def __init__(self, network: str, directory: Path, port: int = 0) -> None:
        self.network = network
        self.data: list[bytes] = []  # datagrams, or what came over each connection
        self.certificate = _certificate(directory) if network == "tcp+tls" else None
        self._closed = False
        self._changed = threading.Condition()
        kind = socket.SOCK_STREAM if network in _STREAMS else socket.SOCK_DGRAM
        family = socket.AF_UNIX if network.startswith("unix") else socket.AF_INET
        self._socket = socket.socket(family, kind)
        if family == socket.AF_UNIX:
            path = directory / "syslog.sock"
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
            self.address = f"{network}://{path}"
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", port))
            self.port: int = self._socket.getsockname()[1]
            self.address = f"{network}://127.0.0.1:{self.port}"
        if kind == socket.SOCK_STREAM:
            self._socket.listen()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept if kind == socket.SOCK_STREAM else self._datagrams)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            for one in (self._socket, *self._connections):
                try:
                    one.shutdown(socket.SHUT_RDWR)  # wakes its thread; close alone does not
                except OSError:
                    pass  # it was not connected
        for thread in self._threads:
            thread.join()
        for one in (self._socket, *self._connections):
            one.close()

    def messages(self, count: int) -> list[bytes]:
        """Wait for so many messages and return all of them, sorted: two streams have no order."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._lines()) >= count, 10 * PATIENCE), self.data
            return sorted(self._lines())

    def _lines(self) -> list[bytes]:
        return b"".join(self.data).splitlines()

    def _datagrams(self) -> None:
        while not self._closed and (data := self._socket.recv(1 << 17)):
            self._keep(len(self.data), data)

    def _accept(self) -> None:
        context = None
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.certificate.with_name("key.pem"))
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # the end
            if context:
                try:
                    connection = context.wrap_socket(connection, server_side=True)
                except OSError:
                    continue  # a client that does not trust us
            with self._changed:
                self._connections.append(connection)
                if self._closed:
                    return  # it has just ended and does not know of this one
            thread = threading.Thread(target=self._read, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _read(self, connection: socket.socket) -> None:
        with self._changed:
            place = len(self.data)
            self.data.append(b"")
        try:
            while data := connection.recv(1 << 17):
                self._keep(place, data)
        except OSError:
            pass  # the end

    def _keep(self, place: int, data: bytes) -> None:
        with self._changed:
            if place == len(self.data):
                self.data.append(b"")
            self.data[place] += data
            self._changed.notify_all()


def _certificate(directory: Path) -> Path:
    """Make a certificate for 127.0.0.1 that has signed itself; its key.pem is beside it."""
    path = directory / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(path), "-keyout", str(directory / "key.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return path
