"""Each version of the API has the shapes that dockerd gives it: fields, types, null or [].

`api_shapes.txt` holds what dockerd 28.5 answered to the same requests. To record it again, as in CONTRIBUTING with
`PROA_TEST_DAEMON=dockerd PROA_RECORD=1`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.api import Answer, Api
from rig.engine import eventually, running
from rig.registry import Registry
from rig.shapes import Shape, Version, parse, render, shape

RECORDED = Path(__file__).with_name("api_shapes.txt")
VERSIONS: list[Version] = [(1, minor) for minor in range(24, 52)]

CONTAINER = {
    "Image": "busybox", "Cmd": ["sleep", "600"], "Env": ["A=b"], "Labels": {"l": "1"}, "Tty": True,
    "HostConfig": {"Binds": ["shaped:/data"], "Memory": 64 << 20, "Annotations": {"a": "1"}},
}  # fmt: skip

REQUESTS = {
    "GET /containers/{name}/json": "/containers/shaped/json",
    "GET /containers/{name}/json of one that was never started": "/containers/made/json",
    "GET /containers/json": "/containers/json?all=1",
    "GET /containers/json with sizes": "/containers/json?all=1&size=1",
    "GET /containers/{name}/top": "/containers/shaped/top",
    "GET /containers/{name}/changes": "/containers/shaped/changes",
    "GET /containers/{name}/changes of none": "/containers/made/changes",
    "GET /exec/{name}/json": "/exec/{exec}/json",
    "GET /images/json": "/images/json",
    "GET /images/{name}/json": "/images/busybox/json",
    "GET /images/{name}/history": "/images/busybox/history",
    "GET /distribution/{name}/json": "/distribution/busybox/json",
    "GET /networks": "/networks",
    "GET /networks/{name}": "/networks/bridge",
    "GET /volumes": "/volumes",
    "GET /volumes without any": "/volumes?filters=%7B%22name%22%3A%5B%22nothing%22%5D%7D",
    "GET /volumes/{name}": "/volumes/shaped",
    "GET /info": "/info",
    "GET /version": "/version",
    "GET /system/df": "/system/df",
    "GET /plugins": "/plugins",
    "GET /events": "/events?since={since}&until={until}",
    "GET /swarm": "/swarm",
    "POST /containers/prune": "/containers/prune?filters=%7B%22label%22%3A%5B%22nothing%22%5D%7D",
    "POST /images/prune": "/images/prune?filters=%7B%22label%22%3A%5B%22nothing%22%5D%7D",
    "POST /volumes/prune": "/volumes/prune?filters=%7B%22label%22%3A%5B%22nothing%22%5D%7D",
    "POST /networks/prune": "/networks/prune",
    "POST /containers/{name}/wait": "/containers/ended/wait",
    "GET /containers/{name}/stats": "/containers/shaped/stats?stream=0&one-shot=1",
    "GET /containers/{name}/stats of none": "/containers/made/stats?stream=0&one-shot=1",
    "POST /build/prune": "/build/prune",
    "POST /volumes/create": "/volumes/create",
    "POST /containers/{name}/exec": "/containers/shaped/exec",
    "POST /containers/{name}/update": "/containers/shaped/update",
    "POST /containers/create": "/containers/create",
    "POST /commit": "/commit?container=made",
}
BODIES: dict[str, object] = {
    "POST /volumes/create": {"Name": "again"},
    "POST /containers/{name}/exec": {"Cmd": ["true"]},
    "POST /containers/{name}/update": {"CpuShares": 512},
    "POST /containers/create": CONTAINER,
    "POST /commit": {},
}

# What is not compared, by the beginning of the field's path.
ONES_OWN = (
    "Containerd.",  # there is none
    "Runtimes{}.status",  # what runc says of itself
    "CDISpecDirs[]",  # where dockerd looks for devices; Proa looks nowhere, and says so with an empty list
    "memory_stats.stats.",  # what the kernel happens to count
    "blkio_stats.",  # empty without input and output
    "id string",  # dockerd leaves both out of a single measurement, against its documentation
    "name string",
)


@pytest.fixture(scope="module")
def values(registry: Registry) -> Iterator[tuple[Api, dict[str, str]]]:
    """An engine with one object of each kind, and what their addresses need."""
    with running(registry.url) as engine:
        api, since = engine.api, time.time()
        engine.pull("busybox")
        api.post("/volumes/create", {"Name": "shaped", "Labels": {"l": "1"}})
        for name in ("shaped", "made", "ended"):
            assert api.post("/containers/create", CONTAINER, name=name).status == 201
        api.post("/containers/shaped/start")
        api.post("/containers/ended/start")
        api.post("/containers/ended/kill")
        api.post("/containers/ended/wait")
        body = {"Cmd": ["touch", "/new"], "AttachStdout": True}
        execution = api.post("/containers/shaped/exec", body).json["Id"]
        api.post(f"/exec/{execution}/start", {"Detach": True})
        eventually(lambda: not api.get(f"/exec/{execution}/json").json["Running"])
        yield api, {"exec": execution, "since": f"{since:.9f}", "until": f"{time.time():.9f}"}


def ask(api: Api, name: str, version: Version, values: dict[str, str]) -> Shape:
    old = Api(api.path, f"v{version[0]}.{version[1]}")
    answer = old.request(name.split(" ")[0], REQUESTS[name].format_map(values), BODIES.get(name))
    return shape(_decoded(answer)) | {f"status {answer.status}"}


def _decoded(answer: Answer) -> object:
    try:
        return answer.json
    except json.JSONDecodeError:
        return [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize("name", REQUESTS)
def test_shapes(values: tuple[Api, dict[str, str]], name: str) -> None:
    api, words = values
    wrong = {}
    for version in VERSIONS:
        recorded = parse(RECORDED.read_text(), version)[name]
        wanted = {line for line in recorded if not line.startswith(ONES_OWN)}
        seen = {line for line in ask(api, name, version, words) if not line.startswith(ONES_OWN)}
        if seen != wanted:
            wrong[version] = [f"+{line}" for line in seen - wanted] + [f"-{line}" for line in wanted - seen]
    assert not wrong


if "PROA_RECORD" in os.environ:

    def test_record(values: tuple[Api, dict[str, str]]) -> None:
        api, words = values
        recorded = {name: {version: ask(api, name, version, words) for version in VERSIONS} for name in REQUESTS}
        RECORDED.write_text(render(recorded, VERSIONS))
