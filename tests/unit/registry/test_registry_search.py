"""Where a search goes: Docker Hub's index, or the registry that a term begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from proa.errors import ProaError
from proa.registry import Registry
from proa.registry.search import _split
from rig.hub import Hub


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("redis", ("docker.io", "redis")),
        ("team/redis", ("docker.io", "team/redis")),
        ("docker.io/redis", ("docker.io", "redis")),
        ("index.docker.io/team/redis", ("docker.io", "team/redis")),
        ("quay.example/redis", ("quay.example", "redis")),
        ("localhost/redis", ("localhost", "redis")),
        ("host:5000/a/b", ("host:5000", "a/b")),
        ("host:5000/", ("host:5000", "")),
        ("", ("docker.io", "")),
    ],
)
def test_terms(term: str, expected: tuple[str, str]) -> None:
    assert _split(term) == expected


async def test_a_registry_without_encryption(client: Registry) -> None:
    with Hub() as hub:
        assert [one.name for one in await client.search(f"{hub.address}/box")] == ["box", "team/box", "other/box"]
    with Hub(body=b'{"results":null}') as hub:
        assert await client.search(f"{hub.address}/box") == []


async def test_a_registry_that_must_be_encrypted(client: Registry) -> None:
    message = r"^invalid registry endpoint https://nobody\.invalid/v1/: Get .*no such host"
    with pytest.raises(ProaError, match=message):
        await client.search("nobody.invalid/x")


async def test_mirrors_are_not_searched(tmp_path: Path) -> None:
    (tmp_path / "reg.example").mkdir()
    with Hub() as hub, Hub(body=b'{"results":null}') as mirror:
        text = f'server = "http://{hub.address}"\n[host."http://{mirror.address}"]\n'
        (tmp_path / "reg.example/hosts.toml").write_text(text)
        client = Registry(places=[tmp_path])
        assert [one.name for one in await client.search("reg.example/box")] == ["box", "team/box", "other/box"]
        await client.close()
