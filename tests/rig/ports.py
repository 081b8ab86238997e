"""Ports of the host: who has them, who answers there, and which ones an engine leads to its containers."""

from __future__ import annotations

import random
import re
import socket
import subprocess
import urllib.request
from contextlib import ExitStack

from rig.engine import Engine, eventually

SERVE = "mkdir /www; echo served >/www/file; exec httpd -f -h /www -p 80"  # a container's command


def fetch(host: str, port: int | str, seconds: float = 2.0) -> str:
    """What a server at a port says, "" if there is none."""
    host = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/file", timeout=seconds) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def served(host: str, port: int | str) -> None:
    """Wait until the server has come up and answers."""
    assert eventually(lambda: fetch(host, port)) == "served\n"


def ask(host: str, port: int) -> bool:
    """Whether a datagram is echoed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((host, port))
        try:
            client.send(b"ahoy")
            return client.recv(100) == b"ahoy"
        except OSError:
            return False


def free_ports(count: int = 1) -> int:
    """The first of `count` ports that nobody has, outside of the ephemeral range."""
    while True:
        first = random.randrange(10_000, 32_000 - count)
        try:
            with ExitStack() as stack:
                for port in range(first, first + count):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        taken = stack.enter_context(socket.socket(socket.AF_INET6, kind))
                        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                        taken.bind(("::", port))
        except OSError:
            continue
        return first


def is_free(port: int) -> bool:
    """Whether a program could listen at a port of all addresses."""
    try:
        socket.create_server(("0.0.0.0", port)).close()
    except OSError:
        return False
    return True


def led(engine: Engine) -> dict[tuple[str, int], str]:
    """Return where an engine's firewall leads which ports, as nft(8) reads it: ("tcp", 8080): "172.17.0.2"."""
    options = engine.api.get("/networks/bridge").json["Options"]
    name = options["com.docker.network.bridge.name"]
    done = subprocess.run(["nft", "list", "table", "inet", name], check=True, capture_output=True, text=True)
    found = re.findall(r"\b(tcp|udp|sctp) \. (\d+) : ([0-9a-f.:]+) \. ", done.stdout)
    return {(protocol, int(port)): address for protocol, port, address in found}
