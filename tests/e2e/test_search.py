"""`search`, by a server that stands in for Docker Hub's."""

from __future__ import annotations

import json

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig.api import Api
from rig.clients import Client
from rig.hub import Hub
from rig.images import base64

TABLE = """\
NAME        DESCRIPTION                                     STARS     OFFICIAL
box         The box of all boxes, and a text that is too…   30        [OK]
team/box                                                    4         \n\
other/box   small                                           0         \n"""

UNREACHED = 'Get "{}://127.0.0.1:9/v1/_ping": dial tcp 127.0.0.1:9: connect: connection refused'


def test_what_it_prints(client: Client) -> None:
    with Hub() as hub:
        term = f"{hub.address}/box"
        assert client.ok("search", term) == TABLE
        assert "too long for a table" in client.ok("search", "--no-trunc", term)
        assert client.ok("search", "--limit", "7", "--format", "{{.Name}} {{.StarCount}}", term) == (
            "box 30\nteam/box 4\nother/box 0\n"
        )
        names = ("--format", "{{.Name}}")
        assert client.ok("search", *names, "-f", "stars=4", term) == "box\nteam/box\n"
        assert client.ok("search", *names, "-f", "is-official=true", term) == "box\n"
        assert client.ok("search", *names, "-f", "is-official=false", term) == "team/box\nother/box\n"
        assert client.ok("search", *names, "-f", "is-automated=true", term) == ""
    assert [query for query, _ in hub.asked[:3]] == [
        {"q": "box", "n": "25"}, {"q": "box", "n": "25"}, {"q": "box", "n": "7"},
    ]  # fmt: skip
    assert hub.asked[0][1]["x-docker-token"] == "true"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--limit", "101", "x"), r"limit 101 is outside the range of \[1, 100\]"),
        (("-f", "nosuch=1", "x"), "invalid filter 'nosuch'"),
        (("-f", "stars=x", "x"), "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax"),
        (("-f", "is-official=3", "x"), r"invalid filter 'is-official=\[3\]'"),
        (("http://127.0.0.1/x",), r"invalid repository name: repository name \(.*\) should not have a scheme"),
        (
            ("127.0.0.1:9/x",),
            f'invalid registry endpoint "http://127.0.0.1:9/v1/". HTTPS attempt: {UNREACHED.format("https")}. '
            f"HTTP attempt: {UNREACHED.format('http')}$",
        ),
    ],
)
def test_errors(client: Client, arguments: tuple[str, ...], message: str) -> None:
    client.fails("search", *arguments, code=1, match=f"^Error response from daemon: {message}")


def test_answers_that_are_none(client: Client) -> None:
    with Hub(500) as hub:
        client.fails("search", f"{hub.address}/x", match="Unexpected status code 500$")
    with Hub(body=b"junk") as hub:
        client.fails("search", f"{hub.address}/x", match="error decoding registry search results: ")


def test_credentials(client: Client) -> None:
    with Hub() as hub:
        auths = {"auths": {hub.address: {"auth": base64("me:secret")}}}
        (client.home / "docker/config.json").write_text(json.dumps(auths))
        try:
            client.ok("search", f"{hub.address}/x")
        finally:
            (client.home / "docker/config.json").unlink()
    assert hub.asked[0][1]["authorization"] == f"Basic {base64('me:secret')}"


def test_api(api: Api, sdk: docker_sdk.DockerClient) -> None:
    with Hub() as hub:
        found = sdk.images.search(f"{hub.address}/library/box", limit=2)
        assert found[0] == {
            "star_count": 30, "is_official": True, "name": "box", "is_automated": False,
            "description": "The box\nof all boxes, and a text that is too long for a table",
        }  # fmt: skip
    assert hub.asked[0][0] == {"q": "library/box", "n": "2"}
    assert api.get("/images/search", term="x", limit="a").message == (
        'invalid limit specified: strconv.Atoi: parsing "a": invalid syntax'
    )
