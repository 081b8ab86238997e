"""Pulling with credentials, importing from anywhere, and global flags: what reaches the engine."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from proa import __version__
from rig.recorder import Recorder, Reply

from .conftest import Proa

ROOT = Path(__file__).parents[3]


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    engine.on("GET /containers/json", Reply(value=[]))
    return engine.on("POST /images/create", Reply(chunks=[b'{"status":"sha256:1"}\r\n']))


def test_credentials_go_along(engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    auths = {"reg.example": {"auth": base64.b64encode(b"me:secret").decode()}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": auths}))
    assert proa("pull", "reg.example/a/b:1", "--platform", "linux/arm64").code == 0
    assert proa("pull", "other.example/a").code == 0
    first, second = engine.asked("POST /images/create")
    assert first.query == {"fromImage": "reg.example/a/b", "tag": "1", "platform": "linux/arm64"}
    assert json.loads(base64.urlsafe_b64decode(first.headers["x-registry-auth"])) == {
        "username": "me", "password": "secret", "serveraddress": "reg.example",
    }  # fmt: skip
    assert "x-registry-auth" not in second.headers


NAMES = [
    (["busybox"], {"fromImage": "docker.io/library/busybox", "tag": "latest"}, "docker.io/library/busybox:latest"),
    (["a/b:c"], {"fromImage": "docker.io/a/b", "tag": "c"}, "docker.io/a/b:c"),
    (["-a", "a/b"], {"fromImage": "docker.io/a/b"}, "docker.io/a/b"),
    (
        ["x:5/b@sha256:" + "a" * 64],
        {"fromImage": "x:5/b", "tag": "sha256:" + "a" * 64},
        "x:5/b@sha256:" + "a" * 64,
    ),
]


@pytest.mark.parametrize(("words", "query", "name"), NAMES)
def test_pull(words: list[str], query: dict[str, str], name: str, engine: Recorder, proa: Proa) -> None:
    outcome = proa("pull", *words)
    assert outcome.out.splitlines()[-2:] == ["sha256:1", name]
    assert engine.only("POST /images/create").query == query
    assert proa("pull", "-q", *words).out == f"{name}\n"


def test_import_of_a_file(engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "root.tar").write_bytes(data)
    words = ["-c", "CMD a", "-c", "ENV b=c", "-m", "why", "--platform", "linux/arm64"]
    assert proa("import", *words, str(tmp_path / "root.tar"), "mine:1") == (0, "sha256:1\n", "")
    request = engine.only("POST /images/create")
    assert request.body == data
    assert request.query == {
        "fromSrc": "-", "repo": "mine", "tag": "1", "changes": "CMD a\nENV b=c", "message": "why",
        "platform": "linux/arm64",
    }  # fmt: skip


def test_import_of_a_url_is_the_engines_to_fetch(engine: Recorder, proa: Proa) -> None:
    proa("import", "http://x.example/a.tar")
    request = engine.only("POST /images/create")
    assert (request.query, request.body) == ({"fromSrc": "http://x.example/a.tar"}, b"")


def test_import_of_standard_input(engine: Recorder) -> None:
    command = [sys.executable, "-I", "-S", str(ROOT / "bin" / "proa"), "-H", engine.url, "import", "-"]
    done = subprocess.run(command, input=b"tar" * 100_000, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"sha256:1\n")
    assert engine.only("POST /images/create").body == b"tar" * 100_000


def test_global_flags(engine: Recorder, proa: Proa, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROA_HOST", "unix:///nowhere")
    assert proa("-H", engine.url, "ps", "-q") == (0, "", "")
    assert proa("--host", "unix:///nowhere", "ps").code == 1
    assert proa("-H", engine.url, "-H", "unix:///x", "ps").err.endswith(": Specify only one -H\n")
    assert proa("-c", "none", "--config", str(tmp_path), "ps").err.startswith(
        'Failed to initialize: unable to resolve docker endpoint: context "none": context not found'
    )
    assert proa("--version").out == proa("-v").out == f"Proa version {__version__}\n"


def test_debug_shows_where_an_error_comes_from(proa: Proa, engine: Recorder) -> None:
    assert "Traceback" in proa("-D", "-H", "unix:///nowhere", "ps").err
    assert "Traceback" not in proa("-H", "unix:///nowhere", "ps").err


def test_configured_formats(engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text('{"psFormat": "table {{.Names}}"}')
    assert proa("ps").out == "NAMES\n"
    assert proa("ps", "--format", "table {{.ID}}").out == "CONTAINER ID\n"
    (tmp_path / "docker" / "config.json").write_text("{")
    assert proa("ps").err.startswith("WARNING: Error parsing config file (")


def test_names_that_are_not_text(engine: Recorder, proa: Proa) -> None:
    """Bytes of arguments that are no UTF-8 reach the engine as they are in paths, and print as they were."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    engine.on("POST /containers/caf.*/stop", Reply(204))
    assert proa("stop", name).code == 0
    assert engine.requests[-1].path.startswith("/containers/caf")
