"""Contexts: docker's command line and proa's read and write the same files and say the same."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.client.address import DEFAULT_URL
from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder, Reply

from .conftest import Outcome

SESSION = """
context ls
context show
context create a
context create d! --docker host=x
context create default
context create one
context create one --description other
context create two --from one
context create three --from default --description 'x y'
context create far --description 'Far away' --docker host=tcp://1.2.3.4:2376,skip-tls-verify=true
context create bad --docker host=tcp://1.2.3.4:1,skip-tls-verify=x
context create bad --docker bogus=tcp://1.2.3.4:1
context create bad --docker ca=/no/such
context create bad --docker x
context create bad --docker host=nohost
context create bad --docker from=none
context create bad --from none
context create bad --from one --docker host=tcp://x:1
context create bad --docker host=tcp://x:1,ca=FILES/text.pem
context create four --docker from=far
context create five --docker "host=unix:///a,ca="
context create safe --docker host=tcp://x:1,ca=FILES/cert.pem,cert=FILES/cert.pem,key=FILES/key.pem
context create half --docker host=tcp://x:1,ca=FILES/cert.pem
context create
context ls
context ls -q
context ls --format json
context ls --format '{{.Name}} {{.Current}} {{.Error}}'
context ls --format 'table {{.Name}}\\t{{.DockerEndpoint}}'
context inspect
context inspect one none two
context inspect safe half far
context inspect -f '{{.Name}} {{.Endpoints.docker.Host}} {{.Storage.MetadataPath}}' two
context inspect -f '{{json .Endpoints}}' far
context use one
context show
context ls
context use none
context use d!
DOCKER_HOST=unix:///x context show
DOCKER_HOST=unix:///x context use two
DOCKER_HOST=unix:///x context ls
DOCKER_CONTEXT=far context ls
DOCKER_CONTEXT=none context ls
DOCKER_CONTEXT=none context show
DOCKER_CONTEXT=none context inspect
--context none context ls
--context far context show
-H tcp://a:1 context show
-H tcp://a:1 context ls
-H tcp://a:1 -c far context ls
-H tcp://a:1 -c far ps
--context none ps
context rm two
context rm none
context rm default
context rm two one five
context rm -f none two
context rm
context show
context update far --description new
context update far --docker host=tcp://h:1
context update safe --docker host=tcp://h:1
context update safe
context update none
context update default --description x
context inspect far safe
context export far FILES/far.tar
context export far FILES/far.tar
context export half FILES/half.tar
context export none
context import far2 FILES/far.tar
context import far2 FILES/far.tar
context import half2 FILES/half.tar
context import bad FILES/none
context import bad FILES/text.pem
context import default FILES/far.tar
context inspect far2 half2
context use default
""".strip().splitlines()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(shutil.which("openssl"), "openssl")
    place = tmp_path_factory.mktemp("files")
    (place / "text.pem").write_text("text")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", place / "key.pem", "-out", place / "cert.pem", "-days", "2", "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return place


Program = Callable[..., Outcome]


def program(name: str, config: Path, files: Path) -> Program:
    """`call("DOCKER_HOST=x context ls")`, with a configuration of its own."""
    found = find(name)

    def call(words: str, **variables: str) -> Outcome:
        arguments = shlex.split(words.replace("FILES", str(files)))
        while "=" in arguments[0] and arguments[0].isascii() and arguments[0][0].isupper():
            variable, _, value = arguments.pop(0).partition("=")
            variables[variable] = value
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "PROA_"))}
        environment = {**kept, "DOCKER_CONFIG": str(config), "DOCKER_CLI_HINTS": "false", **variables}
        done = subprocess.run(
            [*found, *arguments], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=30, cwd=files,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


def neutral(outcome: Outcome, config: Path, files: Path) -> Outcome:
    """Without what may differ: places, the default socket, the width of columns, the program's name."""

    def text(written: str) -> str:
        for place in (config, files):
            written = written.replace(str(place), "PLACE")
        written = written.replace("unix:///var/run/docker.sock", DEFAULT_URL).replace("docker: ", "proa: ")
        written = written.replace("'docker ", "'proa ").replace("  docker ", "  proa ")
        return "\n".join(" ".join(line.split()) for line in written.split("\n"))

    return Outcome(outcome.code, text(outcome.out), text(outcome.err))


def test_same_as_docker(files: Path, tmp_path: Path) -> None:
    """One session, command by command, each with its own files; then each reads what the other has written."""
    need(docker_version(find("docker")) >= (28,), "docker 28")
    outcomes: dict[str, list[tuple[str, Outcome]]] = {}
    for name in ("docker", "proa"):
        own, config = tmp_path / f"{name}-files", tmp_path / f"{name}-config"
        shutil.copytree(files, own)
        call = program(name, config, own)
        outcomes[name] = [(words, neutral(call(words), config, own)) for words in SESSION]
    assert [one for one in outcomes["proa"] if one not in outcomes["docker"]] == [
        one for one in outcomes["docker"] if one not in outcomes["proa"]
    ]
    for reader, writer in (("docker", "proa"), ("proa", "docker")):
        config = tmp_path / f"{writer}-config"
        words = "context inspect far2 half2 safe three"
        crossed = program(reader, config, files)(words)
        assert crossed.code == 0
        assert crossed == program(writer, config, files)(words)
        archive = tmp_path / f"{writer}-files" / "half.tar"
        assert program(reader, config, files)(f"context import from-{writer} {archive}").code == 0
        again = program(writer, config, files)(f"context inspect -f '{{{{.TLSMaterial}}}}' from-{writer}")
        assert again.out == "map[docker:[ca.pem]]\n"


def test_files_are_kept_private(files: Path, tmp_path: Path) -> None:
    call = program("proa", tmp_path, files)
    made = "context create safe --docker host=tcp://x:1,ca=FILES/cert.pem,cert=FILES/cert.pem,key=FILES/key.pem"
    assert call(made).code == 0
    kept = list((tmp_path / "contexts" / "tls").rglob("*"))
    assert {path.name: path.stat().st_mode & 0o777 for path in kept if path.is_file()} == dict.fromkeys(
        ("ca.pem", "cert.pem", "key.pem"), 0o600
    )
    assert {path.stat().st_mode & 0o077 for path in kept if path.is_dir()} == {0}
    assert call("context export safe FILES/safe.tar").code == 0
    assert (files / "safe.tar").stat().st_mode & 0o777 == 0o600


def test_using_a_context_keeps_the_rest_of_the_configuration(files: Path, tmp_path: Path) -> None:
    call = program("proa", tmp_path, files)
    path = tmp_path / "config.json"
    settings = {"auths": {"r.example": {"auth": "eDp5"}}, "own": ["ünknown"]}
    path.write_text(json.dumps(settings))
    path.chmod(0o640)
    assert call("context create far --docker host=tcp://1.2.3.4:1").code == 0
    assert call("context use far").code == 0
    assert json.loads(path.read_text()) == {**settings, "currentContext": "far"}
    assert path.stat().st_mode & 0o777 == 0o640
    assert call("context use default").code == 0
    assert json.loads(path.read_text()) == settings
    path.write_text("{broken")
    outcome = call("context use far")
    assert (outcome.code, path.read_text()) == (1, "{broken")
    assert f"cannot change {path}" in outcome.err


def test_the_chosen_context_is_followed(files: Path, tmp_path: Path) -> None:
    """As with docker: flags, then hosts and contexts of the environment, then `context use`."""
    call = program("proa", tmp_path / "config", files)
    with Recorder(tmp_path / "engine.sock") as engine:
        engine.on("GET /containers/json", Reply(value=[]))
        assert call(f"context create mine --docker host={engine.url}").code == 0
        assert call("context use mine").code == 0
        assert call("ps").code == 0
        assert len(engine.asked("GET /containers/json")) == 1
        assert call("DOCKER_HOST=unix:///nowhere ps").code == 1
        assert call("-H unix:///nowhere ps").code == 1
        assert call("-c none ps").code == 1
        assert len(engine.asked("GET /containers/json")) == 1
        assert call("DOCKER_HOST=unix:///nowhere -c mine ps").code == 0
        assert call("version -f '{{.Client.Context}}'").out == "mine\n"


ARCHIVES = [
    ({"other": "{}"}, "no metadata found"),
    ({"meta.json": "{"}, "meta.json cannot be read"),
    ({"meta.json": "[]"}, "meta.json cannot be read"),
    ({"meta.json": '{"Endpoints":{}}'}, "meta.json cannot be read"),
    ({"meta.json": '{"Endpoints":{"docker":{}}}', "tls/../../x": ""}, "unexpected file tls/../../x"),
    ({"meta.json": '{"Endpoints":{"docker":{}}}', "tls/docker/x.pem": ""}, "unexpected file tls/docker/x.pem"),
]


@pytest.mark.parametrize(("content", "problem"), ARCHIVES)
def test_wrong_archives_write_nothing(content: dict[str, str], problem: str, files: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    outcome = program("proa", tmp_path / "config", files)(f"context import mine {tmp_path}/x.zip")
    assert (outcome.code, outcome.out) == (1, "")
    assert problem in outcome.err
    assert not (tmp_path / "config" / "contexts").exists()
    assert not (tmp_path / "x").exists()


def test_import_of_a_zip_archive(files: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(
            "meta.json", '{"Name":"x","Metadata":{"k":"v"},"Endpoints":{"docker":{"Host":"ssh://h"}}}'
        )
        archive.writestr("tls/docker/ca.pem", "ca")
    call = program("proa", tmp_path / "config", files)
    assert call(f"context import mine {tmp_path}/x.zip").out == "mine\n"
    shown = call("context inspect -f '{{.Metadata}} {{.Endpoints.docker.Host}} {{.TLSMaterial}}' mine").out
    assert shown == "map[k:v] ssh://h map[docker:[ca.pem]]\n"


@pytest.mark.parametrize(("size", "problem"), [(100, "invalid tar header"), (512 + 100, "unexpected EOF")])
def test_half_an_archive(size: int, problem: str, files: Path, tmp_path: Path) -> None:
    call = program("proa", tmp_path / "config", tmp_path)
    assert call(f"context create mine --docker host=tcp://x:1,ca={files}/cert.pem").code == 0
    assert call("context export mine whole.tar").code == 0
    (tmp_path / "half.tar").write_bytes((tmp_path / "whole.tar").read_bytes()[: 4 * 512 + size])
    outcome = call("context import other half.tar")
    assert outcome.code == 1
    assert problem in outcome.err
