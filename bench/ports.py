"""Published ports: what they add to a start, and how much passes through one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.latency import BUSYBOX
from bench.measure import Comparison, Work, compare
from bench.throughput import passed
from rig.engine import Engine

FEW, MANY = 100, 1000  # ports; a thousand are two thousand processes with Docker, so Proa has them alone
_FIRST = {"proa": 20_000, "docker": 40_000}  # each engine's first port


def ports(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """A start with ports, and data from this host to a container: by IPv4, and by IPv6, which has only a relay."""
    few = max(2, rounds // 8)
    started: dict[str, Work] = {name: partial(_start, engine, name, FEW) for name, engine in engines.items()}
    yield compare(f"ports: start with {FEW}", started, few, warm_up=1)
    alone: dict[str, Work] = {"proa": partial(_start, engines["proa"], "proa", MANY)}
    yield compare(f"ports: start with {MANY}", alone, few, warm_up=1, target="100 ms")
    for title, address in (("127.0.0.1", "127.0.0.1"), ("::1", "::1")):
        through: dict[str, Work] = {
            name: partial(_throughput, engine, name, address) for name, engine in engines.items()
        }
        yield compare(f"ports: to {title}", through, few, unit="MB/s", warm_up=1, more_is_better=True)


def _body(name: str, count: int) -> dict[str, Any]:
    first = _FIRST[name]
    names = [f"{port}/tcp" for port in range(2000, 2000 + count)]
    bindings = {port: [{"HostPort": str(first + number)}] for number, port in enumerate(names)}
    return {
        "Image": BUSYBOX, "Cmd": ["sleep", "1000"], "ExposedPorts": {port: {} for port in names},
        "HostConfig": {"PortBindings": bindings},
    }  # fmt: skip


def _start(engine: Engine, name: str, count: int) -> float:
    """The milliseconds of the request that starts a container."""
    identifier = engine.api.post("/containers/create", _body(name, count)).json["Id"]
    try:
        began = time.perf_counter()
        answer = engine.api.post(f"/containers/{identifier}/start")
        taken = (time.perf_counter() - began) * 1000
        assert answer.status == 204, answer
        return taken
    finally:
        engine.api.delete(f"/containers/{identifier}", force=1)


def _throughput(engine: Engine, name: str, address: str) -> float:
    """The megabytes a second that a server in the container reads."""
    identifier = engine.api.post("/containers/create", _body(name, 1)).json["Id"]
    try:
        assert engine.api.post(f"/containers/{identifier}/start").status == 204
        pid = engine.api.get(f"/containers/{identifier}/json").json["State"]["Pid"]
        return passed(pid, (address, _FIRST[name]), port=2000)
    finally:
        engine.api.delete(f"/containers/{identifier}", force=1)
