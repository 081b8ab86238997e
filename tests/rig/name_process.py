"""The process that answers containers' names, on its own: its engine is the test, containers are namespaces."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import proa
from proa.dns import protocol
from proa.engine.name_link import BOOT
from proa.linux import packets
from proa.network.name_sockets import NameSockets, open_in
from rig.nameserver import Message, parse, query
from rig.needs import PATIENCE
from rig.private_network import inside, new_namespace

CONTROL = 3


class NameProcess:
    """One process, as a context; it is in the namespace of the calling thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ours, theirs = packets.pair()
        source = str(Path(proa.__file__).parents[1])
        os.set_inheritable(theirs.fileno(), True)
        boot = f"import os; os.dup2({theirs.fileno()}, {CONTROL}); {BOOT}"
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", boot, source, str(directory)], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self.engine = ours

    def __enter__(self) -> Self:
        self.hello()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
        if self.process.poll() is None:
            with contextlib.suppress(OSError), closing(protocol.connect(str(self.directory))) as again:
                packets.send(again, {"op": "leave"})
            try:
                self.process.wait(10 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self.process.wait()

    def tell(self, operation: str, *descriptors: int, **content: Any) -> None:
        packets.send(self.engine, {"op": operation, **content}, descriptors)

    def hello(self) -> dict[str, Any]:
        """What it knows, once it has taken all that it was told."""
        self.tell("hello")
        answer, _ = packets.receive(self.engine)
        assert answer is not None, "the name server has ended"
        return answer

    def put(
        self, identifier: str, description: dict[str, Any], sockets: NameSockets | None = None, *more: int
    ) -> None:
        descriptors = (sockets.udp, sockets.tcp, *more) if sockets else ()
        self.tell("put", *descriptors, id=identifier, container=description)
        if sockets:
            sockets.close()
        self.hello()

    def container(
        self, name: str, *endpoints: dict[str, Any], servers: Sequence[dict[str, Any]] = (), **more: Any
    ) -> int:
        """Make a namespace known as a container; return its descriptor."""
        namespace = new_namespace()
        description = describe(*endpoints, servers=servers, **more)
        inner = () if all(each["host"] for each in servers) else (namespace,)
        self.put(name, description, open_in(namespace), *inner)
        return namespace


def describe(
    *endpoints: dict[str, Any], servers: Sequence[dict[str, Any]] = (), forwards: bool = True, short: bool = False
) -> dict[str, Any]:
    return {"endpoints": list(endpoints), "servers": list(servers), "forwards": forwards, "short": short}


def on(network: str, names: Sequence[str], *addresses: str, links: dict[str, str] | None = None) -> dict[str, Any]:
    """An endpoint."""
    return {
        "network": f"id of {network}", "name": network, "names": names, "addresses": addresses,
        "links": links or {},
    }  # fmt: skip


def ask(namespace: int, name: str, kind: str = "A", **options: Any) -> Message:
    """Ask the name server of a container."""
    return parse(exchange(namespace, query(name, kind, **options)))


def exchange(namespace: int, data: bytes, *, seconds: float = 15.0) -> bytes:
    """Send a packet to a container's name server; TimeoutError if nothing comes back."""

    def body() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(seconds * PATIENCE)
            client.connect(("127.0.0.11", 53))
            client.send(data)
            return client.recv(1 << 16)

    return inside(namespace, body)


def stream(namespace: int) -> socket.socket:
    """Return a TCP connection to a container's name server."""
    return inside(namespace, lambda: socket.create_connection(("127.0.0.11", 53), 10 * PATIENCE))


def dig(namespace: int, *arguments: str) -> str:
    """What dig(1) prints of an answer, asking from a container."""
    command = ["dig", "@127.0.0.11", "+tries=1", "+time=10", *arguments]
    return inside(namespace, lambda: subprocess.run(command, capture_output=True, text=True, check=True).stdout)
