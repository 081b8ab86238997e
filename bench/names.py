"""Names in the DNS: how many a container's name server answers a second, and how long answers take under load."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.latency import BUSYBOX
from bench.measure import Comparison, Work, compare
from rig.engine import Engine
from rig.nameserver import query
from rig.private_network import inside

RATE = 5000  # questions a second
_WINDOW = 32  # questions under way, where as many as possible are asked
_SECONDS = 1.0
_NETWORK, _ASKER, _ASKED = "bench-names", "bench-asker", "bench-asked"


def names(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """Two containers on a network: one asks for the other."""
    namespaces = {name: _containers(engine) for name, engine in engines.items()}
    try:
        few = max(2, rounds // 8)
        most: dict[str, Work] = {
            name: partial(inside, namespace, answers_a_second) for name, namespace in namespaces.items()
        }
        yield compare("names: answers", most, few, unit="/s", warm_up=1, more_is_better=True)
        slowest: dict[str, Work] = {
            name: partial(inside, namespace, slow_answer) for name, namespace in namespaces.items()
        }
        yield compare(f"names: 99th percentile at {RATE}/s", slowest, few, unit="ms", warm_up=1, target="5 ms")
    finally:
        for namespace in namespaces.values():
            os.close(namespace)
        for engine in engines.values():
            for container in (_ASKER, _ASKED):
                engine.api.delete(f"/containers/{container}", force=1)
            engine.api.delete(f"/networks/{_NETWORK}")


def _containers(engine: Engine) -> int:
    """Return a descriptor of the asking container's namespace."""
    engine.api.post("/networks/create", {"Name": _NETWORK})
    for container in (_ASKER, _ASKED):
        body = {"Image": BUSYBOX, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": _NETWORK}}
        engine.api.post("/containers/create", body, name=container)
        assert engine.api.post(f"/containers/{container}/start").status == 204
    pid = engine.api.get(f"/containers/{_ASKER}/json").json["State"]["Pid"]
    return os.open(Path(f"/proc/{pid}/ns/net"), os.O_RDONLY | os.O_CLOEXEC)


def answers_a_second() -> float:
    """As many as there are, with some under way all the time."""
    with _client() as client:
        client.settimeout(5)
        question = query(_ASKED)
        for _ in range(_WINDOW):
            client.send(question)
        answered, began = 0, time.perf_counter()
        while (now := time.perf_counter()) - began < _SECONDS:
            client.recv(512)
            client.send(question)
            answered += 1
        for _ in range(_WINDOW):
            client.recv(512)
        return answered / (now - began)


def slow_answer() -> float:
    """The milliseconds that all but the slowest hundredth of the answers take at most, at a steady rate."""
    with _client() as client:
        client.setblocking(False)
        poll = select.poll()
        poll.register(client, select.POLLIN)
        question = query(_ASKED)[2:]
        asked: list[float] = []
        taken: list[float] = []
        began = time.perf_counter()
        while len(taken) < RATE * _SECONDS:
            now = time.perf_counter()
            assert now - began < 5 * _SECONDS, f"{len(asked) - len(taken)} questions without an answer"
            due = min(int(RATE * _SECONDS), int((now - began) * RATE) + 1)
            while len(asked) < due:
                client.send(len(asked).to_bytes(2, "big") + question)
                asked.append(time.perf_counter())
            poll.poll(1)
            try:
                while True:
                    answer = client.recv(512)
                    taken.append(time.perf_counter() - asked[int.from_bytes(answer[:2], "big")])
            except BlockingIOError:
                pass
        return sorted(taken)[int(len(taken) * 0.99)] * 1000


def _client() -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, 33, 1 << 20)  # SO_RCVBUFFORCE: no answer is lost on the way back
    client.connect(("127.0.0.11", 53))
    return client
