"""What is on the disk: copies of containers, removal of large ones, `system df` and a start with many."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.latency import BUSYBOX
from bench.measure import Comparison, Work, compare
from rig.api import Answer
from rig.engine import Engine

CHANGED, COPIES = 1000, 8
LARGE = 15_000  # files
IMAGES, CONTAINERS = 200, 500
STOPPED = 1000
_FILES = "mkdir -p /many; i=0; while [ $i -lt {} ]; do i=$((i+1)); echo $i >/many/$i; done"


def store(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """Docker's nearest to a fork is a commit, and as many containers of the image."""
    few = max(5, rounds // 3)
    title = f"{COPIES} copies of a container with {CHANGED} changed files"
    copied: dict[str, Work] = {
        name: partial(_copies, engine, name, start=False) for name, engine in engines.items()
    }
    yield compare(title, copied, few, warm_up=1, target="100 ms")
    started: dict[str, Work] = {
        name: partial(_copies, engine, name, start=True) for name, engine in engines.items()
    }
    yield compare(f"{title}, started", started, few, warm_up=1)
    alone = engines["proa"]
    yield compare(
        f"snapshot of a running container with {CHANGED} changed files", {"proa": partial(_running, alone)}, few,
        warm_up=1,
    )  # fmt: skip
    removed: dict[str, Work] = {name: partial(_removal, engine) for name, engine in engines.items()}
    yield compare(f"rm of a container that wrote {LARGE} files", removed, few, warm_up=1, target="20 ms")


def many(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """Hundreds of images and containers on the disk."""
    few = max(5, rounds // 3)
    alone = engines["proa"]
    for engine in engines.values():
        _fill(engine)
    usage: dict[str, Work] = {name: partial(_usage, engine) for name, engine in engines.items()}
    yield compare(
        f"system df with {IMAGES} images and {CONTAINERS} containers", usage, few, warm_up=1, target="50 ms"
    )
    for engine in engines.values():
        engine.api.remove_everything()
    for _ in range(STOPPED):
        _ended(alone, "true")
    begun: dict[str, Work] = {"proa": partial(_restart, alone)}
    yield compare(f"engine start with {STOPPED} stopped containers", begun, few, warm_up=1, target="1000 ms")
    alone.api.remove_everything()


def _done(answer: Answer) -> Any:
    assert answer.status < 300, answer
    return answer.json


def _ended(engine: Engine, script: str) -> str:
    """Return a container that has run a script to its end."""
    body = {"Image": BUSYBOX, "Cmd": ["sh", "-c", script], "HostConfig": {"NetworkMode": "none"}}
    identifier = str(_done(engine.api.post("/containers/create", body))["Id"])
    _done(engine.api.post(f"/containers/{identifier}/start"))
    assert _done(engine.api.post(f"/containers/{identifier}/wait"))["StatusCode"] == 0
    return identifier


def _copies(engine: Engine, name: str, *, start: bool) -> float:
    original = _ended(engine, _FILES.format(CHANGED))
    image = ""
    began = time.perf_counter()
    if name == "proa":
        answer = engine.api.post(f"/proa/containers/{original}/fork", count=COPIES, start=int(start))
        made = [each["Id"] for each in _done(answer)["Containers"]]
    else:
        image = _done(engine.api.post("/commit", container=original))["Id"]
        body = {"Image": image, "HostConfig": {"NetworkMode": "none"}}
        made = [_done(engine.api.post("/containers/create", body))["Id"] for _ in range(COPIES)]
        for each in made if start else ():
            _done(engine.api.post(f"/containers/{each}/start"))
    taken = (time.perf_counter() - began) * 1000
    for each in (*made, original):
        _done(engine.api.delete(f"/containers/{each}", force=1))
    if image:
        _done(engine.api.delete(f"/images/{image}"))
    return taken


def _running(engine: Engine) -> float:
    script = _FILES.format(CHANGED) + "; touch /done; sleep 1000"
    body = {"Image": BUSYBOX, "Cmd": ["sh", "-c", script], "HostConfig": {"NetworkMode": "none"}}
    identifier = _done(engine.api.post("/containers/create", body))["Id"]
    _done(engine.api.post(f"/containers/{identifier}/start"))
    while engine.api.request("HEAD", f"/containers/{identifier}/archive", path="/done").status != 200:
        time.sleep(0.05)
    began = time.perf_counter()
    _done(engine.api.post(f"/proa/containers/{identifier}/snapshots"))
    taken = (time.perf_counter() - began) * 1000
    _done(engine.api.delete(f"/containers/{identifier}", force=1))
    return taken


def _removal(engine: Engine) -> float:
    identifier = _ended(engine, _FILES.format(LARGE))
    began = time.perf_counter()
    _done(engine.api.delete(f"/containers/{identifier}"))
    return (time.perf_counter() - began) * 1000


def _fill(engine: Engine) -> None:
    for number in range(IMAGES):
        if number % 10 == 0:
            changed = _ended(engine, f"echo {number} >/number")
        name, label = f"image-{number}", f"LABEL number={number}"
        _done(engine.api.post("/commit", container=changed, repo=name, changes=label))
    for _ in range(CONTAINERS):
        body = {"Image": "image-7", "Cmd": ["true"]}
        _done(engine.api.post("/containers/create", body))


def _usage(engine: Engine) -> float:
    began = time.perf_counter()
    answer = engine.api.get("/system/df")
    taken = (time.perf_counter() - began) * 1000
    assert len(answer.json["Images"]) >= IMAGES and len(answer.json["Containers"]) >= CONTAINERS
    return taken


def _restart(engine: Engine) -> float:
    engine.end()
    began = time.perf_counter()
    engine.start()
    return (time.perf_counter() - began) * 1000
