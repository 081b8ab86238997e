"""SIGKILL to proad while networks come and go: what was told is there, what was not is gone, all of it."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.bridge import mark
from proa.network.default_bridge import names
from rig.engine import Engine
from rig.needs import rounds

BUSYBOX = "busybox"
PING = ("ping", "-c", "1", "-W", "2")


@pytest.fixture
def engine(fresh_engine: Engine) -> Engine:
    fresh_engine.pull(BUSYBOX)
    return fresh_engine


def bridges(engine: Engine) -> set[str]:
    """The bridges of the networks that users made with an engine."""
    alias = mark(names(engine.data_root)[1])
    with Socket() as route:
        return {link.name for link in rtnetlink.links(route) if link.alias == alias}


def expected(engine: Engine) -> set[str]:
    rows = engine.api.get("/networks", filters='{"type":["custom"]}').json
    return {f"br-{row['Id'][:12]}" for row in rows}


def places(engine: Engine, name: str) -> Any:
    return json.loads(engine.docker.inspect(name, "{{json .NetworkSettings.Networks}}"))


def agree(engine: Engine, box: str) -> None:
    """A running container has the interfaces that its record says, and its default route."""
    inside = engine.docker.ok("exec", box, "ip", "-o", "-4", "addr")
    found = {line.split()[3] for line in inside.splitlines()} - {"127.0.0.1/8"}
    wanted = {f"{place['IPAddress']}/{place['IPPrefixLen']}" for place in places(engine, box).values()}
    assert found == wanted
    assert ("default via" in engine.docker.ok("exec", box, "ip", "route")) is bool(wanted)


@pytest.mark.parametrize("politely", [False, True], ids=["killed", "stopped"])
def test_networks_outlive_the_engine(engine: Engine, politely: bool) -> None:
    docker = engine.docker
    docker.ok("network", "create", "--ipv6", "mine")
    docker.ok("network", "create", "idle")
    first = docker.detached("--network", "mine", "--name", "first", BUSYBOX, "sleep", "1000")
    second = docker.detached("--network", "mine", BUSYBOX, "sleep", "1000")
    docker.ok("network", "connect", "bridge", second)
    before = places(engine, first), places(engine, second)
    if politely:
        engine.end()
        assert bridges(engine) == {f"br-{engine_id(before)}"}  # nobody is on the other
    else:
        engine.kill()
    engine.start()
    assert (places(engine, first), places(engine, second)) == before
    assert bridges(engine) == expected(engine)
    for box in (first, second):
        agree(engine, box)
    assert "1 packets received" in docker.ok("exec", second, *PING, "first")
    third = docker.detached("--network", "mine", BUSYBOX, "sleep", "1000")
    addresses = [places(engine, box)["mine"]["IPAddress"] for box in (first, second, third)]
    assert len(set(addresses)) == 3
    assert "1 packets received" in docker.ok("exec", third, *PING, "first")
    docker.ok("network", "disconnect", "bridge", second)
    agree(engine, second)
    docker.ok("rm", "-f", first, second, third)
    docker.ok("network", "rm", "mine", "idle")
    assert bridges(engine) == set()


def engine_id(before: Any) -> str:
    return str(before[0]["mine"]["NetworkID"][:12])


def test_killed_while_networks_come_and_go(engine: Engine) -> None:
    docker = engine.docker
    docker.ok("network", "create", "stays")
    box = docker.detached("--name", "box", "--network", "stays", BUSYBOX, "sleep", "1000")
    for number in range(rounds(3, 8)):
        name = f"net{number}"
        with docker.start("network", "create", name) as command:
            time.sleep(random.uniform(0.0, 0.06))
            engine.kill()
            told = command.wait(20) == 0
        engine.start()
        listed = engine.api.get(f"/networks/{name}").status == 200
        assert listed or not told
        assert bridges(engine) == expected(engine)
        if not listed:
            docker.ok("network", "create", name)
        for action in ("connect", "disconnect"):
            with docker.start("network", action, name, "box") as command:
                time.sleep(random.uniform(0.0, 0.08))
                engine.kill()
                told = command.wait(20) == 0
            engine.start()
            agree(engine, box)
            there = name in places(engine, box)
            assert not told or there is (action == "connect")
        docker("network", "disconnect", name, "box")
        with docker.start("network", "rm", name) as command:
            time.sleep(random.uniform(0.0, 0.06))
            engine.kill()
            told = command.wait(20) == 0
        engine.start()
        assert not told or engine.api.get(f"/networks/{name}").status == 404
        assert bridges(engine) == expected(engine)
        agree(engine, box)
