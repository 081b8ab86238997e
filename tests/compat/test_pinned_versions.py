"""docker-py pinned to the API of its time: what programs of years ago do still works."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import APIError

from rig.engine import Engine, eventually
from rig.trees import Tree

BUSYBOX = "busybox"


@pytest.fixture(params=["1.24", "1.40", "1.44", "1.51"])
def pinned(sdk: docker.DockerClient, engine: Engine, request: pytest.FixtureRequest) -> Iterator[Any]:
    with contextlib.closing(docker.DockerClient(base_url=engine.host, version=request.param)) as client:
        yield client


def test_a_life(pinned: docker.DockerClient) -> None:
    container = pinned.containers.run(
        BUSYBOX, ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"], detach=True, name="pinned",
        labels={"a": "b"}, environment=["A=1"], mem_limit="64m",
    )  # fmt: skip
    eventually(lambda: sorted(container.logs().split()) == [b"err", b"out"])
    assert container.exec_run("sh -c 'echo $A'") == (0, b"1\n")
    assert b"".join(container.exec_run("seq 2", stream=True).output) == b"1\n2\n"
    assert [one.name for one in pinned.containers.list(filters={"label": "a=b"})] == ["pinned"]
    assert container.stats(stream=False)["memory_stats"]["limit"] == 64 << 20
    container.update(mem_limit="32m", memswap_limit="64m")
    container.pause()
    container.unpause()
    container.restart(timeout=0)
    assert container.put_archive("/tmp", Tree().file("f", "x").tar())
    assert container.get_archive("/tmp/f")[1]["size"] == 1
    assert {"Path": "/tmp/f", "Kind": 1} in container.diff()
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    image = container.commit("pinned", "1")
    assert image.tags == ["pinned:1"] and image.history()[0]["Id"] == image.id
    container.remove()
    pinned.images.remove("pinned:1")


def test_other_nouns(pinned: docker.DockerClient) -> None:
    image = pinned.images.get(BUSYBOX)
    row = next(one for one in pinned.images.list() if one == image)
    old = pinned.api._version in ("1.24", "1.40")
    assert ("VirtualSize" in row.attrs) is old, "gone since 1.44"
    volume = pinned.volumes.create("pinned", labels={"a": "b"})
    assert [one.id for one in pinned.volumes.list(filters={"dangling": True})] == ["pinned"]
    deleted = pinned.volumes.prune()["VolumesDeleted"] if pinned.api._version != "1.24" else None
    assert deleted == {"1.24": None, "1.40": ["pinned"]}.get(pinned.api._version, []), "named ones until 1.42"
    if deleted != ["pinned"]:
        volume.remove()
    assert {"bridge", "host", "none"} <= {network.name for network in pinned.networks.list()}
    assert pinned.ping() and pinned.info()["OSType"] == "linux"
    with pytest.raises(APIError, match="No such container: nosuch") as failed:
        pinned.containers.get("nosuch")
    assert failed.value.status_code == 404
