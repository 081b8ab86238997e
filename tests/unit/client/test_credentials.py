"""What `docker login` left."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from proa.client.credentials import HUB, registry_auth
from proa.errors import InvalidArgument

HELPER = """#!/bin/sh
read server
case $server in
  known.example) echo '{"ServerURL":"known.example","Username":"u","Secret":"p"}' ;;
  token.example) echo '{"Username":"<token>","Secret":"t"}' ;;
  broken.example) echo 'nonsense' ;;
  fails.example) echo 'locked' ; exit 1 ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


def configured(tmp_path: Path, config: dict[str, Any]) -> dict[str, str]:
    (tmp_path / "config.json").write_text(json.dumps(config))
    helper = tmp_path / "docker-credential-test"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}


def auth(domain: str, environment: dict[str, str]) -> dict[str, str]:
    text = registry_auth(domain, environment)
    return dict(json.loads(base64.urlsafe_b64decode(text))) if text else {}


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.fixture(autouse=True)
def helper_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_auths(tmp_path: Path) -> None:
    environment = configured(
        tmp_path,
        {
            "auths": {
                HUB: encoded("hub:se:cret"),
                "https://reg.example/v2/": encoded("a:b\0"),
                "plain.example": {"username": "x", "password": "y"},
                "token.example": {"auth": "", "identitytoken": "t"},
                "empty.example": {},
            }
        },
    )
    assert auth("docker.io", environment) == {"username": "hub", "password": "se:cret", "serveraddress": HUB}
    assert auth("reg.example", environment) == {"username": "a", "password": "b", "serveraddress": "reg.example"}
    assert auth("plain.example", environment)["password"] == "y"
    assert auth("token.example", environment)["identitytoken"] == "t"
    assert auth("empty.example", environment) == {}
    assert auth("other.example", environment) == {}


def test_helpers(tmp_path: Path) -> None:
    environment = configured(
        tmp_path,
        {"credHelpers": {"known.example": "test", "token.example": "test"}, "auths": {"a": encoded("u:p")}},
    )
    known = {"username": "u", "password": "p", "serveraddress": "known.example"}
    assert auth("known.example", environment) == known
    assert auth("token.example", environment) == {"identitytoken": "t", "serveraddress": "token.example"}
    assert auth("a", environment)["username"] == "u"


def test_store(tmp_path: Path) -> None:
    environment = configured(tmp_path, {"credsStore": "test", "auths": {"known.example": {}}})
    assert auth("known.example", environment)["username"] == "u"
    assert auth("unknown.example", environment) == {}


@pytest.mark.parametrize("server", ["broken.example", "fails.example"])
def test_helper_fails(server: str, tmp_path: Path) -> None:
    environment = configured(tmp_path, {"credsStore": "test"})
    with pytest.raises(InvalidArgument, match="error getting credentials - err: docker-credential-test"):
        registry_auth(server, environment)


def test_helper_is_missing(tmp_path: Path) -> None:
    environment = configured(tmp_path, {"credsStore": "nosuch"})
    with pytest.raises(InvalidArgument, match="docker-credential-nosuch"):
        registry_auth("docker.io", environment)


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_broken_configuration(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Warned of, and as good as none."""
    (tmp_path / "config.json").write_text(text)
    assert registry_auth("docker.io", {"DOCKER_CONFIG": str(tmp_path)}) == ""
    assert f"WARNING: Error parsing config file ({tmp_path}/config.json): " in capsys.readouterr().err


def test_broken_auth(tmp_path: Path) -> None:
    environment = configured(tmp_path, {"auths": {"a": {"auth": "%%%"}}})
    with pytest.raises(InvalidArgument, match=r"invalid auth of a in config\.json"):
        registry_auth("a", environment)


def test_environment_goes_first(tmp_path: Path) -> None:
    environment = configured(tmp_path, {"auths": {"a": encoded("file:x")}})
    environment["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {"a": encoded("env:x")}})
    assert auth("a", environment)["username"] == "env"


def test_no_configuration(tmp_path: Path) -> None:
    assert registry_auth("docker.io", {"DOCKER_CONFIG": str(tmp_path)}) == ""
