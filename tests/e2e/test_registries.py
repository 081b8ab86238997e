"""/auth and /distribution: what asks a registry and keeps nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rig.api import Api
from rig.images import base64
from rig.registry import PASSWORD, USER, Registry
from rig.standard import busybox, busybox_docker


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants a password, with an image and an index."""
    started = Registry(tmp_path_factory.mktemp("locked") / "registry", password=True)
    started.headers["Authorization"] = f"Basic {base64(f'{USER}:{PASSWORD}')}"
    try:
        started.start().push(busybox_docker(), "team/box", "one")
        started.push(busybox(), "team/box", "several")
        yield started
    finally:
        started.stop()


def headers(password: str) -> dict[str, str]:
    return {"X-Registry-Auth": base64(json.dumps({"username": USER, "password": password}))}


def distribution(api: Api, name: str, password: str = PASSWORD) -> Any:
    return api.request("GET", f"/distribution/{name}/json", headers=headers(password))


def test_distribution(api: Api, locked: Registry) -> None:
    image = busybox_docker()
    assert distribution(api, f"{locked.address}/team/box:one").json == {
        "Descriptor": {
            "mediaType": image.media_type, "digest": image.digest, "size": len(image.document),
        },
        "Platforms": [{"architecture": "amd64", "os": "linux"}],
    }  # fmt: skip
    index = busybox()
    found = distribution(api, f"{locked.address}/team/box:several").json
    assert found["Descriptor"]["digest"] == index.digest
    assert [each["architecture"] for each in found["Platforms"]] == ["amd64", "arm64"]
    by_digest = distribution(api, f"{locked.address}/team/box@{index.digest}").json
    assert by_digest == found


def test_distribution_errors(api: Api, locked: Registry) -> None:
    for name in ("box:none", "none"):
        answer = distribution(api, f"{locked.address}/team/{name}")
        assert (answer.status, answer.message) == (404, "manifest unknown: manifest unknown")
    answer = distribution(api, f"{locked.address}/team/box:one", "wrong")
    assert (answer.status, answer.message) == (401, "unauthorized: authentication required")
    answer = api.get(f"/distribution/{locked.address}/team/box:one/json")
    assert answer.message.endswith("no basic auth credentials")
    assert distribution(api, "127.0.0.1:9/box").message.endswith(
        "dial tcp 127.0.0.1:9: connect: connection refused"
    )
    assert distribution(api, "UPPER").status == 400


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://{}/v1/", "https://{}/v2/"])
def test_auth(api: Api, locked: Registry, form: str) -> None:
    config = {"username": USER, "password": PASSWORD, "serveraddress": form.format(locked.address)}
    answer = api.post("/auth", config)
    assert (answer.status, answer.json) == (200, {"IdentityToken": "", "Status": "Login Succeeded"})


def test_auth_errors(api: Api, locked: Registry, registry: Registry) -> None:
    url = f"http://{locked.address}/v2/"
    answer = api.post("/auth", {"username": USER, "password": "wrong", "serveraddress": locked.address})
    text = f"login attempt to {url} failed with status: 401 Unauthorized"
    assert (answer.status, answer.message) == (401, text)
    answer = api.post("/auth", {"serveraddress": locked.address})
    assert (answer.status, answer.message) == (401, f'Get "{url}": no basic auth credentials')
    answer = api.post("/auth", {"username": USER, "password": "x", "serveraddress": "127.0.0.1:9"})
    assert answer.message == 'Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused'
    answer = api.post("/auth", {"username": USER, "password": "x", "serveraddress": registry.address})
    assert answer.json["Status"] == "Login Succeeded"  # it asks nobody
