"""Networks of users: what they add to a start, alone and with many at once, and how much passes through them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.latency import BUSYBOX, Session
from bench.measure import Comparison, Work, compare
from bench.throughput import passed
from bench.volume import burst
from rig.engine import Engine

AT_ONCE = 100
_NETWORK, _PORT = "bench-network", 5201
_POOLS = {"proa": "10.201.0", "docker": "10.202.0"}  # each engine's own subnet


def networks(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """A network of 254 addresses by each engine."""
    for name, engine in engines.items():
        subnet = {"Config": [{"Subnet": f"{_POOLS[name]}.0/24"}]}
        made = engine.api.post("/networks/create", {"Name": _NETWORK, "IPAM": subnet})
        assert made.status == 201, made
    try:
        yield from _starts(engines, rounds)
        few = max(3, rounds // 5)
        many: dict[str, Work] = {
            f"{name}, {network}": partial(burst, engine, AT_ONCE, network)
            for name, engine in engines.items() if name == "proa"
            for network in ("none", _NETWORK)
        }  # fmt: skip
        yield compare(
            f"networks: {AT_ONCE} at once", many, few, unit="/s", warm_up=1, more_is_better=True,
            target="90 % of no network",
        )  # fmt: skip
        through: dict[str, Work] = {name: partial(_between_containers, engine) for name, engine in engines.items()}
        yield compare(
            "networks: container to container", through, few, unit="MB/s", warm_up=1, more_is_better=True,
            target="Docker's",
        )  # fmt: skip
    finally:
        for engine in engines.values():
            engine.api.delete(f"/networks/{_NETWORK}")


def _starts(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """The same run on the default bridge, on the network, and there with an address of its own choice."""
    sessions = {name: Session(engine) for name, engine in engines.items()}
    works: dict[str, Work] = {}
    for name, session in sessions.items():
        works[f"{name}, default bridge"] = partial(session.run, "bridge")
        works[f"{name}, network"] = partial(session.run, _NETWORK)
        works[f"{name}, network, --ip"] = partial(session.run, _NETWORK, f"{_POOLS[name]}.77")
    yield compare("networks: API run echo", works, rounds, target="2 ms more than on the default bridge")
    for session in sessions.values():
        session.close()


def _between_containers(engine: Engine) -> float:
    server, client = (_started(engine) for _ in range(2))
    try:
        address = server["NetworkSettings"]["Networks"][_NETWORK]["IPAddress"]
        return passed(server["State"]["Pid"], (address, _PORT), client["State"]["Pid"])
    finally:
        for each in (server, client):
            engine.api.delete(f"/containers/{each['Id']}", force=1)


def _started(engine: Engine) -> Any:
    body = {"Image": BUSYBOX, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": _NETWORK}}
    identifier = engine.api.post("/containers/create", body).json["Id"]
    assert engine.api.post(f"/containers/{identifier}/start").status == 204
    return engine.api.get(f"/containers/{identifier}/json").json
