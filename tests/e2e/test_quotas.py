"""Limits on the disk: volumes with `size=`, writable layers with `--storage-opt size=`.

The kernel of the machine may have no project quotas: then the tests see that it is said clearly.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from proa.linux import quota
from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.registry import Registry

BUSYBOX = "busybox"
MEGABYTE = 1 << 20
KINDS = {
    "ext4": (["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"], "prjquota"),
    "xfs": (["mkfs.xfs", "-q"], "pquota"),
}


class Disk(NamedTuple):
    engine: Engine
    enforced: bool


@pytest.fixture(params=[kind for kind, (make, _) in KINDS.items() if shutil.which(make[0])])
def disk(request: pytest.FixtureRequest, registry: Registry, tmp_path: Path) -> Iterator[Disk]:
    """An engine on a file system of its own, with project quotas if the kernel has them."""
    make, option = KINDS[request.param]
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(400 * MEGABYTE)
    subprocess.run([*make, image], check=True)
    mount = ["mount", "-t", request.param, "-o"]
    limited = subprocess.run([*mount, f"loop,{option}", image, place], check=False, capture_output=True)
    if limited.returncode:
        subprocess.run(
            ["mkfs." + request.param, "-q", *(["-f"] if request.param == "xfs" else []), image], check=True
        )
        subprocess.run([*mount, "loop", image, place], check=True)
    try:
        engine = Engine(registry.url, directory=place / "engine")
        engine.directory.mkdir()
        try:
            engine.start().proa.ok("pull", "-q", BUSYBOX)
            fd = os.open(place, os.O_RDONLY)
            enforced = quota.are_enforced(fd)
            os.close(fd)
            assert enforced == (limited.returncode == 0)
            yield Disk(engine, enforced)
        finally:
            engine.stop()
    finally:
        subprocess.run(["umount", place], check=True)


def projects(disk: Disk) -> set[int]:
    """The projects of volumes and containers."""
    data = disk.engine.data_root
    found = set()
    for path in (*data.glob("volumes/*"), *data.glob("volumes/*/_data"), *data.glob("containers/*/upper")):
        fd = os.open(path, os.O_RDONLY)
        found.add(quota.project(fd))
        os.close(fd)
    return found - {0}


def write(client: Client, place: str, *options: str) -> str:
    script = f"dd if=/dev/zero of={place}/full bs=64k count=160 2>&1; stat -c %s {place}/full"
    return client("run", "--rm", *options, BUSYBOX, "sh", "-c", script).out


def test_volume(disk: Disk) -> None:
    client = disk.engine.docker
    if not disk.enforced:
        client.fails("volume", "create", "-o", "size=2m", "small", code=1,
                     match="create small: quota size requested but no quota support")  # fmt: skip
        assert client.ok("volume", "ls", "-q") == ""
        client.ok("volume", "create", "-o", "size=0", "any")  # none, as with Docker
        return
    client.ok("volume", "create", "-o", "size=2m", "small")
    out = write(client, "/v", "-v", "small:/v")
    assert re.search("No space left|quota exceeded", out) and int(out.split()[-1]) <= 2 * MEGABYTE, out
    client.ok("run", "--rm", "-v", "small:/v", BUSYBOX, "rm", "/v/full")
    disk.engine.kill()
    disk.engine.start()
    assert re.search("No space left|quota exceeded", write(client, "/v", "-v", "small:/v")), "also after a restart"
    client.ok("volume", "create", "large")
    assert write(client, "/v", "-v", "large:/v").split()[-1] == str(10 * MEGABYTE)
    [project] = projects(disk)
    disk.engine.proa.ok("volume", "rename", "small", "renamed")
    assert re.search("No space left|quota exceeded", write(client, "/v", "-v", "renamed:/v"))
    client.ok("run", "--rm", "-v", "renamed:/v", BUSYBOX, "rm", "/v/full")
    disk.engine.proa.ok("volume", "clone", "renamed", "copy")
    assert len(projects(disk)) == 2, "a copy has a limit of its own"
    assert re.search("No space left|quota exceeded", write(client, "/v", "-v", "copy:/v"))
    client.ok("volume", "rm", "renamed", "copy")
    gone(disk, project)


def test_copy_up_into_a_limited_volume(disk: Disk) -> None:
    client = disk.engine.docker
    if not disk.enforced:
        return
    client.ok("volume", "create", "-o", "size=20m", "roomy")
    assert "busybox" in client.ok("run", "--rm", "-v", "roomy:/bin", BUSYBOX, "ls", "/bin")


def test_writable_layer(disk: Disk) -> None:
    client = disk.engine.docker
    option = ("--storage-opt", "size=3m")
    if not disk.enforced:
        client.fails("run", *option, BUSYBOX, "true", code=125, match="--storage-opt size is not supported")
        assert client.ok("ps", "-aq") == ""
        return
    out = write(client, "/tmp", *option)
    assert re.search("No space left|quota exceeded", out) and int(out.split()[-1]) <= 3 * MEGABYTE, out
    client.ok("run", "--name", "box", *option, BUSYBOX, "sh", "-c", "dd if=/dev/zero of=/a bs=64k count=32")
    [project] = projects(disk)
    disk.engine.kill()
    disk.engine.start()
    script = "mv /tmp /moved; mkdir /d; rm -r /home; ls /"  # what overlayfs moves between its directories
    assert {"moved", "d"} <= set(client.ok("run", "--rm", *option, BUSYBOX, "sh", "-c", script).split())
    assert client.inspect("box", "{{json .HostConfig.StorageOpt}}") == '{"size":"3m"}'
    result = client("start", "-a", "box")  # 2 MB of its 3 are there already: the same file again, and no more
    assert result.code == 0, result
    client.ok("rm", "box")
    gone(disk, project)


def gone(disk: Disk, project: int) -> None:
    """No limit is left of what was removed."""

    def unused() -> bool:
        fd = os.open(disk.engine.data_root, os.O_RDONLY)
        try:
            return quota.is_unused(fd, project)
        finally:
            os.close(fd)

    eventually(unused)  # the trash is emptied after a while


def test_layers_in_memory_take_a_size_anywhere(proa: Client) -> None:
    out = write(proa, "/tmp", "--ephemeral", "--storage-opt", "size=3m")
    assert "No space left" in out and int(out.split()[-1]) <= 3 * MEGABYTE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "big"}, "invalid size: 'big'"),
        ({"size": "-1"}, "invalid size: '-1'"),
        ({"dm.basesize": "1g"}, "unknown storage option dm.basesize: there is size"),
    ],
)
def test_storage_options_that_are_none(api: Api, options: dict[str, str], message: str) -> None:
    answer = api.post("/containers/create", {"Image": BUSYBOX, "HostConfig": {"StorageOpt": options}})
    assert answer.status == 400 and answer.json["message"] == message, answer
