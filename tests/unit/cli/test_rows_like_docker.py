"""Listings of many objects of all shapes: every row is docker's."""
# ruff: noqa: E501

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import time
from typing import Any

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder, Reply

from .conftest import Proa

NOW = int(time.time()) - 30  # so that no age is about to change
PICK = random.Random(7)
AGES = (
    45,
    600,
    3000,
    3650,
    5500,
    86400,
    86400 * 2 + 60,
    86400 * 13,
    86400 * 15,
    86400 * 61,
    86400 * 400,
    86400 * 800,
)
COMMANDS = (
    "sh",
    "sh -c 'echo \"hi\"'",
    "a\nb\tc",
    "ünïcödé and more of it than fits",
    "\\",
    "\x01",
    "\x7f",
    "a\u200bb",
    "",
    "emoji 😀 and more of it than fits",
    "日本語のコマンドがここにあります",
)
NAMES = ("busybox", "busybox:latest", "sha256:" + "1" * 64, "1" * 64, "1" * 12, "r.io:5/a/b:c", "a@sha256:" + "2" * 64,
         "a:t@sha256:" + "2" * 64, "")  # fmt: skip
MOUNTS: tuple[list[dict[str, str]], ...] = (
    [], [{"Type": "bind", "Source": "/a/very/long/path/name", "Destination": "/x"}],
    [{"Type": "volume", "Name": "v" * 64, "Driver": "local"}, {"Type": "volume", "Name": "short", "Driver": "nfs"}],
    [{"Type": "tmpfs", "Destination": "/t"}],
)  # fmt: skip


def port() -> dict[str, Any]:
    number, protocol = PICK.choice((80, 81, 82, 83, 443, 8080)), PICK.choice(("tcp", "tcp", "udp", "sctp"))
    if PICK.random() < 0.3:
        return {"PrivatePort": number, "Type": protocol}
    address = PICK.choice(("0.0.0.0", "::", "127.0.0.1"))
    public = PICK.choice((number, number, number + 1, 49153))
    return {"PrivatePort": number, "Type": protocol, "IP": address, "PublicPort": public}


def container(number: int) -> dict[str, Any]:
    return {
        "Id": f"{number:064x}", "Names": PICK.choice(([f"/c{number}"], [f"/x/l{number}", f"/c{number}"])),
        "Image": PICK.choice(NAMES), "ImageID": "sha256:" + "1" * 64, "Command": PICK.choice(COMMANDS),
        "Created": NOW - PICK.choice(AGES), "Ports": [port() for _ in range(PICK.randint(0, 6))],
        "Labels": PICK.choice(({}, None, {"b": "2", "a": "1", "c": ""})), "State": "running", "Status": "Up",
        "SizeRw": PICK.choice((0, 1, 999, 1000, 1234567)), "SizeRootFs": PICK.choice((0, 123456789)),
        "NetworkSettings": PICK.choice((None, {"Networks": {}}, {"Networks": {"b": {}}})),
        "HostConfig": {"NetworkMode": "bridge"}, "Mounts": PICK.choice(MOUNTS),
    }  # fmt: skip


def image(number: int) -> dict[str, Any]:
    tags: list[str] | None = PICK.choice(([], None, ["a:1"], ["a:1", "a:2"], ["r.io:5/x:y"]))
    digests: list[str] = PICK.choice(
        ([], ["a@sha256:" + "a" * 64], ["a@sha256:" + "a" * 64, "a@sha256:" + "c" * 64])
    )
    return {
        "Id": f"sha256:{number:064x}", "RepoTags": tags, "RepoDigests": digests if tags != ["r.io:5/x:y"] else [],
        "Created": NOW - PICK.choice(AGES), "Labels": None, "SharedSize": PICK.choice((-1, 0, 500)),
        "Size": PICK.choice((0, 1, 999, 999999, 10**6, 12345678, 10**9, 999499, 999500, 99950)),
        "Containers": PICK.choice((-1, 0, 2)),
    }  # fmt: skip


EVENTS = [
    {"Type": kind, "Action": action, "Actor": {"ID": "1" * 64, "Attributes": attributes}, "scope": "local",
     "time": NOW, "timeNano": NOW * 10**9 + nanoseconds}
    for kind, action, attributes, nanoseconds in (
        ("container", "exec_start: sh -c x", {"name": "web", "image": "b", "k": "<v>"}, 0),
        ("image", "pull", {}, 123456789), ("network", "connect", None, 1000), ("daemon", "reload", {"a": "b"}, 999999999),
    )
]  # fmt: skip

LISTED = """
ps -a
ps -as --no-trunc
ps -a --format json
ps -a --format '{{.Ports}}|{{.Command}}|{{.Mounts}}|{{.LocalVolumes}}|{{.Image}}|{{.Names}}|{{.Networks}}'
ps -a --no-trunc --format '{{.Command}}|{{.Mounts}}|{{.Image}}|{{.Names}}|{{.RunningFor}}|{{.Size}}|{{.Labels}}'
ps --format 'table {{.ID}} {{json .Names}}\t{{lower .Image}}'
images
images --digests
images -a --no-trunc --format json
images --format '{{.Repository}}@{{.Digest}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}} {{.VirtualSize}}'
images -q
events
events --format json
events --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.ID}}'
events --format '{{.ID}} {{.Status}} {{.From}} {{.TimeNano}} {{.Scope}} {{.Time}}'
events --format '{{.}}'
events --format '{{json .Actor.ID}}'
events --format '{{.Nope}}'
events --format '{{.Type'
""".strip().splitlines()


@pytest.mark.parametrize("words", LISTED)
def test_same(words: str, engine: Recorder, proa: Proa) -> None:
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    engine.on("GET /containers/json", Reply(value=[container(number) for number in range(150)]))
    engine.on("GET /images/json", Reply(value=[image(number) for number in range(100)]))
    engine.on("GET /events", Reply(chunks=[json.dumps(event).encode() + b"\n" for event in EVENTS]))
    arguments = shlex.split(words)
    environment = {**os.environ, "DOCKER_HOST": engine.url, "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run([*program, *arguments], env=environment, capture_output=True, text=True, timeout=30)
    outcome = proa(*arguments)
    assert (outcome.code, outcome.err) == (done.returncode, done.stderr)
    assert outcome.out.splitlines() == done.stdout.splitlines()
