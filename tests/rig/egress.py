"""Containers with egress rules: a host beside this one to be reached, and attempts from a container's network."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from rig.clients import Client
from rig.private_network import dual_stack, inside, other_host

LABEL = "org.proa.egress"
R = TypeVar("R")


@dataclass(frozen=True)
class Outside:
    """A host with TCP servers on some ports. Containers get there over IPv4 masqueraded, over IPv6 routed."""

    v4: str
    v6: str


@contextmanager
def outside(*ports: int) -> Iterator[Outside]:
    number = os.getpid() & 0xFFFC
    network = f"198.19.{number >> 8}.{number & 0xFC}".rpartition(".")
    v4 = [f"{network[0]}.{int(network[2]) + last}" for last in (1, 2)]
    v6 = [f"2001:db8:e:{number:x}::{last}" for last in (1, 2)]
    with other_host(f"eg{number:x}", [f"{v4[0]}/30", f"{v6[0]}/64"], [f"{v4[1]}/30", f"{v6[1]}/64"]) as host:
        servers = [inside(host, lambda port=port: dual_stack(port)) for port in ports]  # type: ignore[misc]
        try:
            yield Outside(v4[1], v6[1])
        finally:
            for server in servers:
                server.close()


def rules(client: Client, *words: str) -> list[str]:
    """The options that ask a client's engine for rules: docker's command line has a label for it."""
    if client.name == "docker":
        return ["--label", f"{LABEL}={' '.join(words)}"]
    return [text for word in words for text in ("--egress", word)]


def within(client: Client, container: str, work: Callable[[], R]) -> R:
    """What `work` returns in the network of a container."""
    descriptor = os.open(f"/proc/{client.inspect(container, '{{.State.Pid}}')}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return inside(descriptor, work)
    finally:
        os.close(descriptor)


def attempt(address: str, port: int, kind: int = socket.SOCK_STREAM) -> str:
    """ "" if something can be sent there, else which error it is, and that it was "slow" if so."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    began = time.monotonic()
    with socket.socket(family, kind) as client:
        client.settimeout(5)
        try:
            client.connect((address, port))
            client.send(b"x")
        except OSError as error:
            return f"{'slow ' if time.monotonic() - began > 2 else ''}{type(error).__name__}"
        return ""


def reach(client: Client, container: str, *places: tuple[str, int]) -> list[str]:
    """What becomes of attempts to connect to each place."""
    return within(client, container, lambda: [attempt(*place) for place in places])


def document(client: Client, container: str) -> Any:
    """What inspect says of it; docker's command line shows it without a template alone."""
    return json.loads(client.ok("inspect", container))[0]["Egress"]


def refused(client: Client, container: str) -> dict[tuple[str, str, int], int]:
    """How often what was refused, by protocol, address or name, and port, as inspect has it."""
    found: Any = document(client, container)["Refused"]
    return {(each["Protocol"], each["Address"] or each["Name"], each["Port"]): each["Count"] for each in found}
