"""SIGKILL to proad in the middle of hundreds of operations on networks, of several clients, again and again.

What a client was told is there, what it was not told is there wholly or not at all, and the kernel and the name
server have what the records say. `PROA_STORM_OPERATIONS=5000 PROA_STORM_SEED=7` makes it long, and another.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from rig import leaks, standard
from rig.engine import Engine
from rig.private_network import new_namespace, private_network
from rig.standing import Standing
from rig.storm import Clerk, State

OPERATIONS = int(os.environ.get("PROA_STORM_OPERATIONS", "200"))
SEED = int(os.environ.get("PROA_STORM_SEED", "1"))
CLERKS = 4
AT_A_TIME = 12  # operations that a clerk may do between two kills
POLITE = 4  # each time after so many kills, what is left of an engine that ends is looked at


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that is started, and ended, in the namespace of the test."""
    made = Engine("")
    try:
        yield made
    finally:
        made.end()


def plug_in(names: set[str]) -> None:
    """Interfaces of the host that networks can be on."""
    for name in names:
        macs = [bytes([2, *os.urandom(5)]) for _ in range(2)]
        with Socket() as route:
            route.execute(
                rtnetlink.add_veth(
                    name, "eth0", mac=macs[0], peer_mac=macs[1], mtu=1500, peer_netns=new_namespace()
                ),
                rtnetlink.set_link(0, name, up=True),
            )


def drivers(parent: str) -> list[str]:
    """Which of macvlan and ipvlan this kernel has."""
    found = []
    for kind, data in (
        ("macvlan", rtnetlink.macvlan_data("bridge")),
        ("ipvlan", rtnetlink.ipvlan_data("l2", "bridge")),
    ):
        with Socket() as route:
            link = rtnetlink.link(route, parent)
            assert link
            try:
                route.execute(rtnetlink.add_link("probe", kind, parent=link.index, data=data))
                route.execute(rtnetlink.delete_link(0, "probe"))
                found.append(kind)
            except OSError:
                continue
    return found


def agree(clerk: Clerk, found: State) -> None:
    """A clerk finds what it knows, or one of the states that its interrupted request may have left."""
    states = clerk.possible or [clerk.state]
    fitting = [
        state for state in states if state.boxes == found.boxes and state.networks.keys() == found.networks.keys()
    ]
    assert fitting, f"after {clerk.asked}\nfound {found}\nof {states}"
    clerk.state, clerk.possible = fitting[-1], []
    for name, body in clerk.state.networks.items():
        seen = found.networks[name]
        for key in ("Internal", "EnableIPv6", "ConfigOnly"):
            assert seen[key] is body.get(key, False), (name, key)
        assert (body.get("Options") or {}).items() <= (seen["Options"] or {}).items()
        for wanted, given in zip((body.get("IPAM") or {}).get("Config", []), seen["IPAM"]["Config"], strict=False):
            assert wanted.items() <= given.items(), name


@pytest.mark.timeout(120 + OPERATIONS)
@private_network
def test_killed_in_a_storm(root: None, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    own = {f"up{number}" for number in range(CLERKS)}
    plug_in(own)
    others = frozenset(leaks.processes())
    engine.start()
    try:
        load(engine)
        storm(engine, own, others, capsys)
    finally:
        if engine.process and engine.process.poll() is not None:
            engine.start()
        engine.api.remove_everything()
        engine.stop()


def load(engine: Engine) -> None:
    tar = standard.busybox_tree().tar()
    answer = engine.api.request("POST", "/images/create?fromSrc=-&repo=busybox", tar)
    assert answer.status == 200 and b"errorDetail" not in answer.body, answer


def storm(engine: Engine, own: set[str], others: frozenset[str], capsys: pytest.CaptureFixture[str]) -> None:
    kinds = drivers("up0")
    chance = random.Random(SEED)
    clerks = [Clerk(engine, number, SEED, kinds) for number in range(CLERKS)]
    kills = 0
    begun = time.monotonic()
    while sum(clerk.done for clerk in clerks) < OPERATIONS:
        with ThreadPoolExecutor(CLERKS) as pool:
            working = [pool.submit(clerk.work, AT_A_TIME) for clerk in clerks]
            enough = sum(clerk.done for clerk in clerks) + chance.randint(4, 2 * AT_A_TIME)
            while sum(clerk.done for clerk in clerks) < enough and not all(work.done() for work in working):
                time.sleep(0.002)
            time.sleep(chance.uniform(0.0, 0.01))
            engine.kill()
        kills += 1
        for clerk, work in zip(clerks, working, strict=True):
            work.result()
            assert not clerk.wrong, clerk.wrong
        engine.start()
        standing = Standing(engine, others)
        for clerk in clerks:
            agree(clerk, standing.of(clerk.number))
        names = {name for clerk in clerks for name in clerk.names if name.startswith("box")}
        standing.check(own, names)
        if kills % POLITE == 0:
            engine.end()
            standing.check_at_rest(own)
            engine.start()
    with capsys.disabled():
        done = sum(clerk.done for clerk in clerks)
        print(f"\n{done} operations, {kills} kills, {time.monotonic() - begun:.0f} s, drivers bridge {kinds}")
