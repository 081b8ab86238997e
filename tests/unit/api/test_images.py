"""The image endpoints: streams of progress, credentials, shapes of the versions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proa.api import credentials, jsonstream
from proa.engine.images.progress import Progress
from proa.errors import NotFound
from rig.fake_engine import FakeEngine
from rig.raw_client import Client, Reply


def messages(reply: Reply) -> list[dict[str, Any]]:
    assert reply.body.endswith(b"\r\n")
    return [json.loads(line) for line in reply.body.split(b"\r\n")[:-1]]


async def test_a_pull_streams_dockers_messages(client: Client, engine: FakeEngine) -> None:
    engine.images.steps = [
        Progress(status="Pulling from library/busybox", id="latest"),
        Progress(status="Pulling fs layer", id="abc"),
        Progress(status="Downloading", id="abc", current=512, total=2048),
        Progress(status="Pull complete", id="abc"),
        Progress(status="Digest: sha256:1"),
    ]
    reply = await client.post("/v1.44/images/create?fromImage=docker.io%2Flibrary%2Fbusybox&tag=latest")
    assert reply.status == 200
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.headers["content-type"] == "application/json"
    assert messages(reply) == [
        {"status": "Pulling from library/busybox", "id": "latest"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "abc"},
        {
            "status": "Downloading", "progressDetail": {"current": 512, "total": 2048},
            "progress": "[============>                                      ]     512B/2.048kB", "id": "abc",
        },
        {"status": "Pull complete", "progressDetail": {}, "id": "abc"},
        {"status": "Digest: sha256:1"},
    ]  # fmt: skip
    assert engine.images.pulls[0][0] == "docker.io/library/busybox:latest"


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("query", "name", "all_tags"),
    [
        ("fromImage=busybox&tag=1", "busybox:1", False),
        (f"fromImage=busybox&tag={DIGEST}", f"busybox@{DIGEST}", False),
        (f"fromImage=busybox@{DIGEST}", f"busybox@{DIGEST}", False),
        ("fromImage=busybox:1", "busybox:1", False),
        ("fromImage=busybox", "busybox", True),
        ("fromImage=busybox:", "busybox", True),
        ("fromImage=host:5000/busybox", "host:5000/busybox", True),
    ],
)
async def test_what_is_pulled(client: Client, engine: FakeEngine, query: str, name: str, all_tags: bool) -> None:
    await client.post(f"/images/create?{query}&platform=linux/arm64")
    pulled, options = engine.images.pulls[0]
    assert (pulled, options["all_tags"], options["platform"]) == (name, all_tags, "linux/arm64")


async def test_credentials_and_headers_go_along(client: Client, engine: FakeEngine) -> None:
    auth = base64.urlsafe_b64encode(b'{"username":"me","password":"s?>"}').decode()
    headers = {"X-Registry-Auth": auth, "X-Meta-Team": "a"}
    await client.call("POST", "/images/create?fromImage=x&tag=1", headers=headers)
    options = engine.images.pulls[0][1]
    assert (options["credentials"].username, options["credentials"].password) == ("me", "s?>")
    assert options["headers"] == {"x-meta-team": "a"}


async def test_an_error_before_the_first_message_has_a_status(client: Client, engine: FakeEngine) -> None:
    engine.images.failure = NotFound("manifest unknown")
    reply = await client.post("/images/create?fromImage=x&tag=1")
    assert (reply.status, reply.message) == (404, "manifest unknown")


async def test_an_error_after_it_is_the_last_message(client: Client, engine: FakeEngine) -> None:
    engine.images.steps = [Progress(status="Pulling from library/x", id="1")]
    engine.images.failure = NotFound("blob unknown")
    reply = await client.post("/images/create?fromImage=x&tag=1")
    assert reply.status == 200
    assert messages(reply)[-1] == {
        "errorDetail": {"code": 404, "message": "blob unknown"},
        "error": "blob unknown",
    }


async def test_an_import_reads_the_body(client: Client, engine: FakeEngine) -> None:
    reply = await client.call("POST", "/images/create?fromSrc=-&repo=new&tag=1&changes=CMD%20x", b"tar" * 9)
    assert messages(reply) == [{"status": "sha256:" + "b" * 64}]
    assert engine.images.imported == b"tar" * 9


@pytest.mark.parametrize(
    ("version", "present", "absent"),
    [
        ("1.24", {"VirtualSize"}, set()),
        ("1.43", {"VirtualSize"}, set()),
        ("1.44", {"Labels", "RepoTags"}, {"VirtualSize"}),
        ("1.51", {"Containers"}, {"VirtualSize"}),
    ],
)
async def test_the_list_has_the_shape_of_the_version(
    client: Client, version: str, present: set[str], absent: set[str]
) -> None:
    (row,) = (await client.get(f"/v{version}/images/json")).json
    assert present <= set(row)
    assert not absent & set(row)
    assert row["Created"] == 1704164645
    assert (row["Size"], row["SharedSize"], row["Labels"]) == (1000, -1, {"vendor": "us"})


@pytest.mark.parametrize(("version", "tags"), [("1.42", ["<none>:<none>"]), ("1.43", [])])
async def test_images_without_names(client: Client, engine: FakeEngine, version: str, tags: list[str]) -> None:
    engine.images.images[0].names = []
    (row,) = (await client.get(f"/v{version}/images/json")).json
    assert row["RepoTags"] == tags


@pytest.mark.parametrize(
    ("version", "container_config", "empty_fields"),
    [("1.24", True, True), ("1.44", True, True), ("1.45", False, True), ("1.51", False, False)],
)
async def test_inspect_has_the_shape_of_the_version(
    client: Client, version: str, container_config: bool, empty_fields: bool
) -> None:
    document = (await client.get(f"/v{version}/images/busybox/json")).json
    assert ("ContainerConfig" in document) is container_config
    assert ("Tty" in document["Config"]) is empty_fields
    assert document["Config"]["Cmd"] == ["sh"]
    assert document["RepoTags"] == ["busybox:latest"]
    assert document["RootFS"] == {"Type": "layers", "Layers": ["sha256:" + "d" * 64]}
    assert document["Created"] == "2024-01-02T03:04:05Z"


async def test_compose_in_python_finds_the_volumes(client: Client) -> None:
    agent = {"User-Agent": "docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1.0"}
    document = (await client.call("GET", "/v1.51/images/busybox/json", headers=agent)).json
    assert document["ContainerConfig"] == document["Config"]


async def test_names_with_slashes_reach_the_engine(client: Client, engine: FakeEngine) -> None:
    engine.images.images[0].names = ["host:5000/a/b:1"]
    assert (await client.get("/images/host:5000/a/b:1/json")).status == 200
    assert (await client.get("/images/host:5000%2Fa%2Fb:1/history")).json[0]["CreatedBy"] == "ADD rootfs"
    assert (await client.post("/images/host:5000/a/b:1/tag?repo=x/y&tag=2")).status == 201
    assert engine.images.images[0].names[-1] == "x/y:2"
    reply = await client.call("DELETE", "/images/host:5000/a/b:1")
    assert reply.json == [{"Untagged": "host:5000/a/b:1"}, {"Deleted": document_id(reply)}]


def document_id(reply: Reply) -> str:
    return str(reply.json[-1]["Deleted"])


async def test_platforms_are_json_here(client: Client) -> None:
    good = "/images/busybox/json?platform=%7B%22os%22:%22linux%22,%22architecture%22:%22amd64%22%7D"
    assert (await client.get(good)).status == 200
    for text in ("linux/amd64", "{}", "[]", '{"os":1}'):
        assert (await client.get(f"/images/busybox/json?platform={text}")).status == 400


async def test_commit(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create()
    reply = await client.post(
        f"/commit?container={identifier}&repo=new&tag=1&comment=c&author=a&pause=0&changes=CMD%20x",
        {"Env": ["A=b c"], "Cmd": ["run"], "Labels": {"k": 'say "x"'}},
    )
    assert (reply.status, reply.json) == (201, {"Id": "sha256:" + "c" * 64})
    (call,) = engine.containers.calls
    assert call[2] == {
        "repository": "new", "tag": "1", "comment": "c", "author": "a", "pause": False,
        "changes": ['ENV A="b c"', 'LABEL k="say \\"x\\""', 'CMD ["run"]', "CMD x"],
    }  # fmt: skip


async def test_prune_keeps_names_unless_told_otherwise(client: Client, engine: FakeEngine) -> None:
    reply = await client.post("/images/prune")
    assert reply.json == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    reply = await client.post('/images/prune?filters={"dangling":["false"]}')
    assert reply.json["ImagesDeleted"][0] == {"Untagged": "busybox:latest"}
    assert reply.json["SpaceReclaimed"] == 1000
    assert (await client.post('/images/prune?filters={"reference":["x"]}')).status == 400


@pytest.mark.parametrize(
    ("header", "username"),
    [
        ("", None), ("e30=", None), ("e30", None), ("!!", None), ("bm9qc29u", None), ("W10=", None),
        (base64.urlsafe_b64encode(b'{"username":"u","password":"\xc3\xbf?"}').decode(), "u"),
        (base64.b64encode(b'{"username":"u","password":"\xc3\xbf?"}').decode().rstrip("="), "u"),
        (base64.b64encode(b'{"auth":"dTpw"}').decode(), "u"),
    ],
)  # fmt: skip
def test_registry_auth_is_read_in_every_dialect(header: str, username: str | None) -> None:
    config = credentials.decode(header)
    assert (config.username if config else None) == username


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (999, "999B"), (1000, "1kB"), (1234567, "1.235MB"), (10**12, "1TB")]
)
def test_sizes_are_told_as_docker_tells_them(size: int, text: str) -> None:
    assert jsonstream.human_size(size) == text


def test_bars() -> None:
    assert jsonstream.bar(5, 0) == "      5B"
    assert jsonstream.bar(0, 10).startswith("[>" + " " * 50 + "]")
    assert jsonstream.bar(10, 10).startswith("[" + "=" * 50 + ">]")
