"""SIGKILL to proad at every single change that it makes to the disk: nothing is half there, nothing is lost."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from proa.snapshots.layers import name_of
from rig.mortal import MortalEngine
from rig.registry import Registry

BUSYBOX = "busybox"
MOST = 400  # steps that an operation may have
WROTE = "mkdir -p /d; echo $RANDOM >/d/new; rm -f /etc/shadow; echo x >>/log; touch /run-$(wc -l </log)"


@pytest.fixture(scope="module")
def engine(registry: Registry) -> Iterator[MortalEngine]:
    started = MortalEngine(registry.url)
    try:
        started.start()
        started.docker.ok("pull", "-q", BUSYBOX)
        yield started
    finally:
        started.stop()


@dataclass
class Operation:
    """A request, what has to be true after it or without it, and every how manieth step is tried."""

    request: Callable[[MortalEngine], object]
    states: Callable[[MortalEngine], str]  # what users see of what is changed
    stride: int = 1


_WORK = "/proa/containers/work"


def copies(engine: MortalEngine) -> str:
    return str(engine.proa.ok("ps", "-aq", "--filter", "name=copy-").count("\n"))


def snapshots(engine: MortalEngine) -> str:
    return engine.proa.ok("snapshot", "ls", "-q", "work")


def work_diff(engine: MortalEngine) -> str:
    return engine.proa.ok("diff", "work")


OPERATIONS: dict[str, Operation] = {
    "snapshot": Operation(lambda e: e.api.post(f"{_WORK}/snapshots", name="late"), snapshots),
    "fork": Operation(lambda e: e.api.post(f"{_WORK}/fork", name="copy", count=3), copies),
    "rewind": Operation(lambda e: e.api.post(f"{_WORK}/rewind", snapshot="early"), work_diff),
    "snapshot-rm": Operation(lambda e: e.api.delete(f"{_WORK}/snapshots", snapshot="early"), snapshots),
    "rm": Operation(
        lambda e: e.api.delete("/containers/gone"), lambda e: e.proa.ok("ps", "-aq", "-f", "name=gone")
    ),
    "commit": Operation(
        lambda e: e.api.post("/commit", container="work", repo="made", tag="1"),
        lambda e: str("made" in e.proa.ok("images")), 3,
    ),
    "rmi": Operation(
        lambda e: e.api.delete("/images/other:1"), lambda e: str("other" in e.proa.ok("images"))
    ),
    "pull": Operation(
        lambda e: e.api.post("/images/create", fromImage=BUSYBOX, tag="latest"),
        lambda e: str("busybox" in e.proa.ok("images")),
    ),
}  # fmt: skip


def prepare(engine: MortalEngine, name: str) -> None:
    """Make what the operation works on, anew."""
    proa = engine.proa
    engine.api.remove_everything()
    for image in ("made:1", "other:1"):
        proa("rmi", "-f", image)
    if name == "pull":
        proa("rmi", "-f", BUSYBOX)
        for blob in (engine.data_root / "blobs").glob("*/*"):  # another attempt would find them
            blob.unlink()
        return
    proa.ok("pull", "-q", BUSYBOX)
    made = ["--network", "none", BUSYBOX, "sh", "-c", WROTE]
    proa.ok("run", "--name", "work", *made)
    proa.ok("container", "snapshot", "work", "early")
    proa.ok("start", "-a", "work")
    if name == "rm":
        proa.ok("container", "fork", "work", "--name", "gone")
        proa.ok("rename", "gone-1", "gone")
        proa.ok("start", "-a", "gone")
        proa.ok("container", "snapshot", "gone")
    if name == "rmi":
        proa.ok("commit", "work", "other:1")


def check_disk(engine: MortalEngine) -> None:
    """What the disk has is what records say, and it is whole."""
    layers = engine.data_root / "layers"
    there = {path.name for path in layers.iterdir() if len(path.name) == 26}
    usage = engine.api.get("/system/df").json
    sealed = {name_of(layer["Id"]) for layer in usage.get("Snapshots") or ()}
    of_images = {path.name for path in (layers / ".parents").iterdir() if len(path.name) == 26} & there
    assert there - of_images == sealed
    assert not list((layers / ".new").iterdir())
    known = {one["Id"] for one in usage["Containers"]}
    assert {path.name for path in (engine.data_root / "containers").glob("*")} <= known
    if usage["Images"]:
        verified = engine.proa("image", "verify", "--all", "--format", "json")
        assert verified.code == 0, verified
        assert all(not json.loads(line)["Problems"] for line in verified.lines)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", OPERATIONS)
def test_at_every_step(engine: MortalEngine, name: str) -> None:
    operation = OPERATIONS[name]
    prepare(engine, name)
    before, wrote = operation.states(engine), "" if name == "pull" else work_diff(engine)
    seen, deaths = {before}, 0
    for step in range(1, MOST, operation.stride):
        engine.doom(step)
        try:
            operation.request(engine)
        except (OSError, http.client.HTTPException):
            pass  # it died
        if engine.survived():
            break
        deaths += 1
        check_disk(engine)
        now = operation.states(engine)
        seen.add(now)
        if name not in ("pull", "rewind"):
            assert work_diff(engine) == wrote, "what was written is lost"
        if now != before or name == "pull":
            prepare(engine, name)
    else:
        raise AssertionError(f"{name} has more than {MOST} steps")
    after = operation.states(engine)
    assert after != before and seen <= {before, after}, (deaths, seen)
    assert operation.stride > 1 or len(seen) == 2, "it never died with its work done"
    assert deaths >= 4
    check_disk(engine)
    if name not in ("pull", "rewind"):
        assert work_diff(engine) == wrote
    print(f"{name}: killed at {deaths} steps")
