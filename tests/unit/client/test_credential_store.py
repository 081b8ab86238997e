"""What `login` keeps and `logout` forgets: docker's config.json, and helpers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proa.client.credential_store import erase, store
from proa.client.credentials import HUB, key_of, lookup
from proa.errors import InvalidArgument

# Keeps what it is given in files named by the server, as a keychain would.
HELPER = """#!/bin/sh
directory=$(dirname "$0")/kept; mkdir -p "$directory"
text=$(cat)
case $1 in
  store) echo "$text" >"$directory/$(echo "$text" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/')" ;;
  get) cat "$directory/$text" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
  erase) rm "$directory/$text" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
esac
"""
AUTH = {"username": "me", "password": "secret", "serveraddress": "reg.example"}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, script in (("test", HELPER), ("broken", "#!/bin/sh\necho locked\nexit 1\n")):
        helper = tmp_path / f"docker-credential-{name}"
        helper.write_text(script)
        helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return {"DOCKER_CONFIG": str(tmp_path / "config"), "PATH": f"{tmp_path}:/usr/bin:/bin"}


def config(environment: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(environment["DOCKER_CONFIG"]) / "config.json").read_text())
    return found


def configure(environment: dict[str, str], **fields: Any) -> None:
    Path(environment["DOCKER_CONFIG"]).mkdir()
    (Path(environment["DOCKER_CONFIG"]) / "config.json").write_text(json.dumps(fields))


def test_a_file(environment: dict[str, str]) -> None:
    path = Path(store(AUTH, environment))
    assert path.read_text() == '{\n\t"auths": {\n\t\t"reg.example": {\n\t\t\t"auth": "bWU6c2VjcmV0"\n\t\t}\n\t}\n}'
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert lookup("reg.example", environment) == AUTH
    assert list(path.parent.iterdir()) == [path]


def test_other_settings_stay(environment: dict[str, str]) -> None:
    configure(environment, psFormat="x", auths={"other.example": {"auth": "YTpi"}})
    store(AUTH, environment)
    assert config(environment)["psFormat"] == "x"
    assert set(config(environment)["auths"]) == {"other.example", "reg.example"}
    assert erase(["reg.example", "https://reg.example"], environment) == {}
    assert set(config(environment)["auths"]) == {"other.example"}


def test_a_token_replaces_the_password(environment: dict[str, str]) -> None:
    store({**AUTH, "password": "", "identitytoken": "t"}, environment)
    assert config(environment)["auths"]["reg.example"] == {"auth": "bWU6", "identitytoken": "t"}
    assert lookup("reg.example", environment)["identitytoken"] == "t"


@pytest.mark.parametrize("setting", [{"credsStore": "test"}, {"credHelpers": {"reg.example": "test"}}])
def test_a_helper(environment: dict[str, str], setting: dict[str, Any], tmp_path: Path) -> None:
    configure(environment, **setting)
    assert store(AUTH, environment) == ""
    assert config(environment)["auths"] == {"reg.example": {}}
    assert lookup("reg.example", environment) == AUTH
    assert (tmp_path / "kept/reg.example").exists()
    store({**AUTH, "identitytoken": "t"}, environment)
    assert lookup("reg.example", environment) == {"identitytoken": "t", "serveraddress": "reg.example"}
    assert erase(["reg.example"], environment) == {}
    assert not (tmp_path / "kept/reg.example").exists()
    assert config(environment)["auths"] == {}
    assert erase(["reg.example"], environment) == {}  # there is nothing, and that is no problem


def test_a_helper_that_fails(environment: dict[str, str]) -> None:
    configure(environment, credsStore="broken")
    with pytest.raises(InvalidArgument, match="error storing credentials - err: exit status 1, out: `locked`"):
        store(AUTH, environment)
    assert "locked" in erase(["reg.example"], environment)["reg.example"]
    configure_again = Path(environment["DOCKER_CONFIG"]) / "config.json"
    configure_again.write_text('{"credsStore": "nosuch"}')
    with pytest.raises(InvalidArgument, match="docker-credential-nosuch"):
        store(AUTH, environment)


def test_a_link_stays_one(environment: dict[str, str], tmp_path: Path) -> None:
    configure(environment)
    path = Path(environment["DOCKER_CONFIG"]) / "config.json"
    path.rename(tmp_path / "real.json")
    path.symlink_to(tmp_path / "real.json")
    store(AUTH, environment)
    assert path.is_symlink() and "auths" in json.loads((tmp_path / "real.json").read_text())


@pytest.mark.parametrize(
    ("server", "key"),
    [("", HUB), ("docker.io", HUB), (HUB, HUB), ("https://reg.example/v1/", "reg.example"), ("a:5", "a:5")],
)
def test_keys(server: str, key: str) -> None:
    assert key_of(server) == key
