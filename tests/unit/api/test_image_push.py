"""Pushes over the API: what is asked for, and what is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proa.engine.images.progress import Progress
from proa.errors import Forbidden, InvalidArgument
from rig.fake_engine import FakeEngine
from rig.raw_client import Client, Reply

AUX = {"progressDetail": {}, "aux": {"Tag": "1", "Digest": "sha256:" + "a" * 64, "Size": 527}}


def messages(reply: Reply) -> list[dict[str, Any]]:
    return [json.loads(line) for line in reply.body.split(b"\r\n")[:-1]]


@pytest.mark.parametrize(
    ("target", "name"),
    [("a/b/push?tag=1", "a/b:1"), ("host:5000/a/push", "host:5000/a"), ("a:2/push?tag=", "a:2")],
)
async def test_what_is_pushed(client: Client, engine: FakeEngine, target: str, name: str) -> None:
    auth = base64.urlsafe_b64encode(b'{"username":"me","password":"s"}').decode()
    headers = {"X-Registry-Auth": auth, "X-Meta-Team": "a"}
    reply = await client.call("POST", f"/images/{target}", headers=headers)
    assert messages(reply) == [AUX]
    options = engine.images.options
    assert (options["name"], options["platform"], options["headers"]) == (name, "", {"x-meta-team": "a"})
    assert options["credentials"].username == "me"


async def test_the_stream(client: Client, engine: FakeEngine) -> None:
    engine.images.steps = [
        Progress(status="The push refers to repository [docker.io/a/b]"),
        Progress(id="abc", status="Preparing"),
        Progress(id="abc", status="Pushing", current=512, total=2048),
        Progress(status="1: digest: sha256:1 size: 527"),
    ]
    assert messages(await client.post("/images/a/b/push?tag=1")) == [
        {"status": "The push refers to repository [docker.io/a/b]"},
        {"status": "Preparing", "progressDetail": {}, "id": "abc"},
        {"status": "Pushing", "progressDetail": {"current": 512, "total": 2048},
         "progress": "[============>                                      ]     512B/2.048kB", "id": "abc"},
        {"status": "1: digest: sha256:1 size: 527"},
        AUX,
    ]  # fmt: skip


async def test_errors(client: Client, engine: FakeEngine) -> None:
    engine.images.failure = InvalidArgument("invalid reference format")
    assert (await client.post("/images/a/push?tag=1")).status == 400
    engine.images.steps = [Progress(status="The push refers to repository [docker.io/library/a]")]
    engine.images.failure = Forbidden("no basic auth credentials")
    reply = await client.post("/images/a/push?tag=1")
    assert (reply.status, messages(reply)[-1]["error"]) == (200, "no basic auth credentials")
    assert (await client.post("/images/a/push?platform=linux")).status == 400
