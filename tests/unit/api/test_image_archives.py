"""Images as archives over the API: what is asked for, how progress and errors are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proa.engine.images.progress import Progress
from proa.errors import InvalidArgument
from rig.fake_engine import FakeEngine
from rig.raw_client import Client, Reply

ARM = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D"
LOADED = {"stream": "Loaded image: busybox:latest\n"}


def messages(reply: Reply) -> list[dict[str, Any]]:
    return [json.loads(line) for line in reply.body.split(b"\r\n")[:-1]]


@pytest.mark.parametrize("target", ["/images/busybox/get?", "/images/get?names=busybox&"])
async def test_save(client: Client, engine: FakeEngine, target: str) -> None:
    reply = await client.get(f"{target}platform={ARM}")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-tar")
    assert reply.body == f"{engine.images.images[0].id} linux/arm64;".encode()


async def test_save_several(client: Client, engine: FakeEngine) -> None:
    reply = await client.get("/images/get?names=busybox&names=busybox:latest")
    assert reply.body.count(engine.images.images[0].id.encode()) == 2
    assert (await client.get("/images/get")).body == b""


async def test_save_of_nothing_known_has_a_status(client: Client) -> None:
    reply = await client.get("/images/nosuch/get")
    assert (reply.status, reply.message) == (404, "No such image: nosuch")


@pytest.mark.parametrize("target", ["/images/busybox/get", "/images/load"])
async def test_platforms_are_json_and_one(client: Client, target: str) -> None:
    method = "GET" if target.endswith("get") else "POST"
    assert (await client.call(method, f"{target}?platform=linux/arm64")).status == 400
    reply = await client.call(method, f"{target}?platform={ARM}&platform={ARM}")
    assert (reply.status, reply.message) == (400, "multiple platform parameters are not supported")


async def test_older_versions_know_no_platform(client: Client, engine: FakeEngine) -> None:
    assert (await client.get("/v1.47/images/busybox/get?platform=x")).body.endswith(b" ;")
    assert (await client.post("/v1.45/images/a/push?tag=1&platform=x")).status == 200
    assert engine.images.options["platform"] == ""


@pytest.mark.parametrize("quiet", ["", "&quiet=1"])
async def test_load(client: Client, engine: FakeEngine, quiet: str) -> None:
    engine.images.steps = [Progress(id="abc", status="Loading layer", current=512, total=2048)]
    reply = await client.call("POST", f"/images/load?platform={ARM}{quiet}", b"tar" * 9)
    assert (engine.images.loaded, engine.images.options) == (b"tar" * 9, {"platform": "linux/arm64"})
    step = {
        "status": "Loading layer", "progressDetail": {"current": 512, "total": 2048},
        "progress": "[============>                                      ]     512B/2.048kB", "id": "abc",
    }  # fmt: skip
    assert messages(reply) == ([] if quiet else [step]) + [LOADED]
    assert reply.headers["content-type"] == "application/json"


async def test_errors_of_a_load_are_in_its_stream(client: Client, engine: FakeEngine) -> None:
    engine.images.failure = InvalidArgument("invalid archive: unexpected end")
    reply = await client.call("POST", "/images/load", b"tar")
    assert reply.status == 200
    assert messages(reply) == [
        {"errorDetail": {"code": 400, "message": "invalid archive: unexpected end"},
         "error": "invalid archive: unexpected end"},
    ]  # fmt: skip
