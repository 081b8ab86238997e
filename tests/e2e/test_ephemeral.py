"""`run --ephemeral`: the writable layer lives in memory, the container takes no disk space at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine

BUSYBOX = "busybox"
ANNOTATION = "org.proa.ephemeral"


def disk_use(directory: Path) -> int:
    """Bytes that the files below take on their disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):  # the trash is being emptied
                total += os.lstat(f"{folder}/{name}").st_blocks * 512
    return total


def test_writes_take_no_disk(proa: Client, engine: Engine) -> None:
    before = disk_use(engine.data_root)
    name = proa.detached("--ephemeral", BUSYBOX, "sh", "-c", "head -c 20000000 /dev/urandom >/file; sleep 1000")
    proa.ok("exec", name, "sh", "-c", "while [ $(stat -c %s /file) != 20000000 ]; do sleep 0.02; done")
    assert disk_use(engine.data_root) - before < 1_000_000
    assert proa.ok("exec", name, "stat", "-c", "%s", "/file") == "20000000\n"


def test_it_lasts_as_long_as_its_container(proa: Client, engine: Engine) -> None:
    """Stopped and started again it has its files; removed, it never had any."""
    before = disk_use(engine.data_root)
    script = "ls /mine 2>/dev/null; head -c 5000000 /dev/urandom >/mine"
    name = proa.ok("create", "--ephemeral", BUSYBOX, "sh", "-c", script).strip()
    assert proa.ok("start", "-a", name) == ""
    assert proa.ok("start", "-a", name) == "/mine\n"
    assert disk_use(engine.data_root) - before < 1_000_000
    proa.ok("rm", name)


def test_by_annotation_with_any_client(docker: Client, engine: Engine, api: Api) -> None:
    before = disk_use(engine.data_root)
    name = docker.detached("--annotation", f"{ANNOTATION}=true", BUSYBOX, "sh", "-c",
                           "head -c 20000000 /dev/urandom >/file; sleep 1000")  # fmt: skip
    docker.ok("exec", name, "sh", "-c", "while [ $(stat -c %s /file) != 20000000 ]; do sleep 0.02; done")
    assert disk_use(engine.data_root) - before < 1_000_000
    assert api.get(f"/containers/{name}/json").json["HostConfig"]["Annotations"] == {ANNOTATION: "true"}


def test_changes_can_be_seen_and_committed_while_it_runs(proa: Client) -> None:
    name = proa.detached("--ephemeral", BUSYBOX, "sh", "-c", "echo x >/file; sleep 1000")
    proa.ok("exec", name, "true")
    assert proa.ok("diff", name) == "A /file\n"
    proa.ok("commit", name, "kept:1")
    try:
        assert proa.ok("run", "--rm", "kept:1", "cat", "/file") == "x\n"
    finally:
        proa.ok("rmi", "kept:1")
