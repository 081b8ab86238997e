"""How many megabytes a second pass over a TCP connection between network namespaces."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rig.private_network import inside

_MEASURED = 256 << 20  # bytes
_CHUNK = bytes(1 << 18)


def passed(server: int, address: tuple[str, int], client: int = 0, *, port: int = 0) -> float:
    """Return what a server in the namespace of the process `server` reads, sent to `address`.

    It is sent from the namespace of `client`, or this one (0). The server listens on `port` (that of `address`).
    """
    listener = _inside(server, lambda: socket.create_server(("0.0.0.0", port or address[1])))
    with listener, ThreadPoolExecutor(1) as executor:
        reading = executor.submit(_read, listener)

        def connect() -> socket.socket:
            return socket.create_connection(address, 10)

        with _inside(client, connect) if client else connect() as connection:
            for _ in range(_MEASURED // len(_CHUNK)):
                connection.sendall(_CHUNK)
        return _MEASURED / 1e6 / reading.result()


def _inside(pid: int, make: Callable[[], socket.socket]) -> socket.socket:
    with open(f"/proc/{pid}/ns/net", "rb") as namespace:  # noqa: PTH123
        return inside(namespace.fileno(), make)


def _read(listener: socket.socket) -> float:
    """Read a connection to its end; return the seconds it took."""
    connection, _ = listener.accept()
    with connection:
        began, buffer = time.perf_counter(), bytearray(1 << 18)
        while connection.recv_into(buffer):
            pass
        return time.perf_counter() - began
