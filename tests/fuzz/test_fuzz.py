"""The whole API under fire, as its own description tells it: no failure, no hang, nothing left behind.

`make fuzz SECONDS=600 SEED=7` goes on longer, and begins elsewhere. With several connections at once the
order of requests differs from run to run; a finding names the request, which is the thing to keep.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from rig.engine import eventually
from rig.fuzzing.fence import Fence
from rig.fuzzing.gunner import Gunner
from rig.fuzzing.shots import Shooter
from rig.fuzzing.world import FencedEngine, World

SECONDS = float(os.environ.get("PROA_FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("PROA_FUZZ_SEED", "1"))
GUNNERS = 6
MEMORY = 40.0  # MiB that proad may have more after all: caches and what malloc keeps
# Operations that a run of a minute must have got a success from, or it does not reach deep.
REACHED = {
    "POST /containers/create",
    "POST /containers/{name}/start",
    "POST /containers/{name}/exec",
    "POST /containers/{name}/attach",
    "GET /containers/{name}/logs",
    "PUT /containers/{name}/archive",
    "GET /containers/{name}/archive",
    "POST /containers/{name}/kill",
    "POST /exec/{name}/start",
}


@pytest.fixture
def engine(root: None) -> Iterator[FencedEngine]:
    engine = FencedEngine(f"fuzz-{os.getpid()}")
    try:
        yield engine.start()
    finally:
        engine.stop()


@pytest.mark.timeout(SECONDS * 3 + 240)
def test_nothing_breaks_the_engine(engine: FencedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    description = engine.api.get("/proa/openapi.json").json
    world = World(engine, random.Random(SEED))
    world.furnish()
    warm_up(engine, world, description)
    before = engine.account()

    gunners, seconds = fire(engine, world, description, SECONDS)
    try:
        world.clear()
    except (TimeoutError, AssertionError) as error:
        engine.account()
        pytest.fail(f"what there is can not be removed: {error!r}\n{engine.stacks()}\n{engine.said()}")
    after = settled(engine, before)

    with capsys.disabled():
        print(
            report(gunners, world, seconds),
            f"memory {before.memory:.1f} -> {after.memory:.1f} MiB",
            after.grown(before),
        )
    findings = [*world.findings, *(finding for gunner in gunners for finding in gunner.findings)]
    assert not findings, "\n\n".join(map(str, findings))
    log = engine.log.read_text()
    if "Traceback" in log or " ERROR " in log:
        pytest.fail(f"proad logged:\n{log[max(0, log.find(' ERROR ') - 300) :][:6000]}")
    assert not after.grown(before), "\n".join([*after.grown(before), engine.portrait(), engine.stacks()])
    assert after.memory < before.memory + MEMORY
    assert not [path for path in engine.harmless.rglob("*") if path.name not in ("new", "nosuch")]
    if SECONDS >= 30:
        assert set().union(*(gunner.reached for gunner in gunners)) >= REACHED
    begins_again(engine, world)


def fire(
    engine: FencedEngine, world: World, description: dict[str, object], seconds: float, first: int = 0
) -> tuple[list[Gunner], float]:
    """Let all gunners fire for so many seconds; return them, and how long it took in truth."""
    begun = time.monotonic()
    deadline = begun + seconds
    gunners = []
    for number in range(GUNNERS):
        chance = random.Random(SEED * 1000 + first + number)
        fence = Fence(chance, engine.harmless, engine.cgroup_parent)
        shooter = Shooter(chance, description, fence, world.name)
        gunners.append(Gunner(str(engine.socket), shooter, chance, deadline, world.made, world.recipe))
    keeping = threading.Thread(target=world.keep, args=(deadline,))
    for thread in (keeping, *gunners):
        thread.start()
    for thread in (keeping, *gunners):
        thread.join()
    return gunners, time.monotonic() - begun


def warm_up(engine: FencedEngine, world: World, description: dict[str, object]) -> None:
    """Import what is imported at need and fill what is kept, so that only growth counts."""
    fire(engine, world, description, 3.0, first=500)
    world.findings.clear()
    world.clear()
    time.sleep(1)


def settled(engine: FencedEngine, before: object) -> object:
    """The engine's account once what ends by itself has ended."""
    account = engine.account()
    deadline = time.monotonic() + 20
    while account.grown(before) and time.monotonic() < deadline:
        time.sleep(0.5)
        account = engine.account()
    return account


def begins_again(engine: FencedEngine, world: World) -> None:
    """What is on the disk can be read again."""
    assert engine.end() == 0
    engine.start()
    world.furnish()
    made = engine.api.post("/containers/create", {"Image": "busybox", "Cmd": ["echo", "after all"]})
    assert made.status == 201, made
    assert engine.api.post(f"/containers/{made.json['Id']}/start").status == 204
    eventually(lambda: engine.api.get(f"/containers/{made.json['Id']}/json").json["State"]["Status"] == "exited")


def report(gunners: list[Gunner], world: World, seconds: float) -> str:
    statuses: Counter[int] = sum((gunner.statuses for gunner in gunners), Counter())
    failures: Counter[str] = sum((gunner.failures for gunner in gunners), Counter())
    reached = set().union(*(gunner.reached for gunner in gunners))
    total = sum(statuses.values())
    lines = [
        f"\n{total} requests in {seconds:.0f} s ({total / seconds:.0f}/s), {len(reached)} operations reached, "
        f"slowest ping {world.slowest:.2f} s",
        f"statuses {dict(sorted(statuses.items()))}",
    ]
    return "\n".join([*lines, *(f"{count} x {text}" for text, count in failures.most_common(12))]) + "\n"
