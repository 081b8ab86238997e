"""`proa run`: what it asks of the engine and in which order, what it prints, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from rig.recorder import ID, Recorder, Reply, Request, error, frame, stream

from .conftest import Proa

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "bin" / "proa"


def steps(engine: Recorder) -> list[str]:
    return [str(request).replace(ID, "ID") for request in engine.requests]


def test_output_goes_where_the_container_wrote_it(engine: Recorder, proa: Proa) -> None:
    engine.on(
        f"POST /containers/{ID}/attach", stream(frame(1, b"out\n"), frame(2, b"err\n")[:9], b"rr\n", frame(1, b""))
    )
    engine.on(f"POST /containers/{ID}/wait", Reply(value={"StatusCode": 7}))
    assert proa("run", "busybox", "x") == (7, "out\n", "err\n")


def test_order(engine: Recorder, proa: Proa) -> None:
    assert proa("run", "--rm", "busybox").code == 0
    asked = steps(engine)
    assert asked[0] == "POST /containers/create"
    assert set(asked[1:3]) == {"POST /containers/ID/attach", "POST /containers/ID/wait"}
    assert asked[3:] == ["POST /containers/ID/start"]
    assert engine.only(f"POST /containers/{ID}/wait").query == {"condition": "removed"}
    assert engine.only(f"POST /containers/{ID}/attach").query == {"stream": "1", "stdout": "1", "stderr": "1"}
    assert engine.connections == 3


def test_without_rm_the_next_exit_is_waited_for(engine: Recorder, proa: Proa) -> None:
    proa("run", "busybox")
    assert engine.only(f"POST /containers/{ID}/wait").query == {"condition": "next-exit"}


def test_detached(engine: Recorder, proa: Proa) -> None:
    assert proa("run", "-d", "--name", "x", "busybox") == (0, f"{ID}\n", "")
    assert steps(engine) == ["POST /containers/create", "POST /containers/ID/start"]
    created = engine.requests[0]
    assert created.query == {"name": "x"}
    assert not created.json["AttachStdout"]


def test_warnings(engine: Recorder, proa: Proa) -> None:
    engine.on("POST /containers/create", Reply(201, {"Id": ID, "Warnings": ["one", "two"]}))
    assert proa("run", "-d", "busybox").err == "WARNING: one\nWARNING: two\n"


def test_missing_image_is_pulled(engine: Recorder, proa: Proa) -> None:
    engine.on("POST /containers/create", error(404, "No such image: busybox:latest"), Reply(201, {"Id": ID}))
    messages = [
        {"status": "Pulling from library/busybox", "id": "latest"},
        {"status": "Pull complete", "id": "abc"},
    ]
    engine.on(
        "POST /images/create", Reply(chunks=[json.dumps(message).encode() + b"\r\n" for message in messages])
    )
    outcome = proa("run", "busybox")
    assert outcome == (
        0,
        "",
        "Unable to find image 'busybox:latest' locally\n"
        "latest: Pulling from library/busybox\nabc: Pull complete\n",
    )
    assert engine.only("POST /images/create").query == {"fromImage": "docker.io/library/busybox", "tag": "latest"}


@pytest.mark.parametrize(
    ("flags", "pulled"),
    [(["--pull", "always"], True), (["--pull", "never"], False), (["--pull", "always", "-q"], True)],
)
def test_pull_policy(flags: list[str], pulled: bool, engine: Recorder, proa: Proa) -> None:
    engine.on("POST /images/create", Reply(chunks=[b'{"status":"Up to date"}\n']))
    if not pulled:
        engine.on("POST /containers/create", error(404, "No such image: busybox:latest"))
    outcome = proa("run", *flags, "busybox")
    assert bool(engine.asked("POST /images/create")) == pulled
    assert outcome.code == (0 if pulled else 125)
    assert ("Up to date" in outcome.err) == (pulled and "-q" not in flags)


STARTS = [
    ('exec: "nope": executable file not found in $PATH', 127),
    ("exec: /nope: no such file or directory", 127),
    ('exec: "/etc": permission denied', 126),
    ('exec: "/etc": is a directory', 126),
    ("no space left on device", 125),
]


@pytest.mark.parametrize(("message", "code"), STARTS)
def test_start_fails(message: str, code: int, engine: Recorder, proa: Proa) -> None:
    engine.on(f"POST /containers/{ID}/start", error(500, message))
    engine.on(f"POST /containers/{ID}/wait", Reply(value={"StatusCode": 127, "Error": {"Message": message}}))
    for flags in ([], ["--rm"], ["-d"]):
        outcome = proa("run", *flags, "busybox")
        text = f"proa: Error response from daemon: {message}\n\nRun 'proa run --help' for more information\n"
        assert outcome == (code, "", text)


def test_rm_returns_when_the_container_is_gone(engine: Recorder, proa: Proa) -> None:
    """A start that fails leaves the engine to remove; `run` ends after that."""
    gone = threading.Event()
    engine.on(f"POST /containers/{ID}/start", error(400, "no"))
    engine.on(f"POST /containers/{ID}/wait", Reply(value={"StatusCode": 127}, after=gone))
    timer = threading.Timer(0.2, gone.set)
    timer.start()
    assert proa("run", "--rm", "busybox").code == 125
    assert gone.is_set()
    timer.join()


def test_engine_that_cannot_tell_the_status(engine: Recorder, proa: Proa) -> None:
    engine.on(f"POST /containers/{ID}/wait", Reply(value={"StatusCode": 0, "Error": {"Message": "lost"}}))
    assert proa("run", "busybox") == (125, "", "Error waiting for container: lost\n")


def test_create_is_refused(engine: Recorder, proa: Proa) -> None:
    engine.on("POST /containers/create", error(409, 'Conflict. The container name "/x" is already in use'))
    assert proa("run", "--name", "x", "busybox").code == 125
    assert proa("create", "--name", "x", "busybox") == (
        1, "", 'Error response from daemon: Conflict. The container name "/x" is already in use\n',
    )  # fmt: skip


def test_stdin_is_passed_on_and_closed(engine: Recorder, tmp_path: Path) -> None:
    """`echo x | proa run -i`: the engine gets the bytes and then the end, and may answer after it."""
    got: list[bytes] = []

    def echo(connection: socket.socket, reader: BinaryIO) -> None:
        got.append(reader.read())
        connection.sendall(frame(1, got[0][::-1]))

    engine.on(f"POST /containers/{ID}/attach", Reply(101, takes_over=echo))
    data = bytes(range(256)) * 4096
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), "-H", engine.url, "run", "-i", "busybox"],
        input=data, capture_output=True, timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, data[::-1], b"")
    assert got == [data]


def test_signals_are_passed_on(engine: Recorder) -> None:
    ended, started = threading.Event(), threading.Event()

    def wait_for_end(connection: socket.socket, _reader: BinaryIO) -> None:
        started.set()
        assert ended.wait(20)

    def kill(_request: Request) -> Reply:
        ended.set()
        return Reply(204)

    engine.on(f"POST /containers/{ID}/attach", Reply(101, takes_over=wait_for_end))
    engine.on(f"POST /containers/{ID}/wait", Reply(value={"StatusCode": 143}, after=ended))
    engine.on(f"POST /containers/{ID}/kill", kill)
    command = [sys.executable, "-I", "-S", str(SCRIPT), "-H", engine.url, "run", "busybox"]
    with subprocess.Popen(command) as process:
        assert started.wait(20)
        while not engine.asked(f"POST /containers/{ID}/start"):
            threading.Event().wait(0.01)
        process.terminate()
        assert process.wait(20) == 143
    assert engine.only(f"POST /containers/{ID}/kill").query == {"signal": "SIGTERM"}


@pytest.mark.parametrize(
    ("flags", "both", "code"), [((), False, 1), ((), True, 1), (("--sig-proxy=false",), False, -signal.SIGPIPE)]
)
def test_closed_output(engine: Recorder, flags: tuple[str, ...], both: bool, code: int) -> None:
    """Whoever passes signals on hears of it as an error, as from docker; else it is an end like any program's."""

    def flood(connection: socket.socket, _reader: BinaryIO) -> None:
        try:
            while True:
                connection.sendall(frame(1, b"x" * 65536))
        except OSError:
            pass

    engine.on(f"POST /containers/{ID}/attach", Reply(101, takes_over=flood))
    command = [sys.executable, "-I", "-S", str(SCRIPT), "-H", engine.url, "run", *flags, "busybox"]
    err = subprocess.STDOUT if both else subprocess.PIPE
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err) as process:
        assert process.stdout
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(20) == code
        if process.stderr:
            assert process.stderr.read() == (b"write /dev/stdout: broken pipe\n" if code == 1 else b"")


def test_terminal_is_refused_without_one(engine: Recorder, proa: Proa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda fd: False)
    assert proa("run", "-it", "busybox") == (1, "", "the input device is not a TTY\n")
    assert engine.requests == []


def test_proxies_of_the_configuration(engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    directory = tmp_path / "docker"
    directory.mkdir()
    settings = {"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "localhost"}}}
    (directory / "config.json").write_text(json.dumps(settings))
    proa("run", "-e", "http_proxy=mine", "busybox")
    assert engine.requests[0].json["Env"] == [
        "HTTP_PROXY=http://p:1", "NO_PROXY=localhost", "no_proxy=localhost", "http_proxy=mine",
    ]  # fmt: skip


def test_ephemeral(engine: Recorder, proa: Proa) -> None:
    proa("create", "--ephemeral", "busybox")
    assert engine.requests[0].json["HostConfig"]["Annotations"] == {"org.proa.ephemeral": "true"}


def test_publish_policy(engine: Recorder, proa: Proa) -> None:
    proa("create", "--publish-policy", "host-input", "busybox")
    assert engine.requests[0].json["HostConfig"]["Annotations"] == {"org.proa.publish-policy": "host-input"}


def test_unexpected_end_of_the_engine(engine: Recorder, proa: Proa) -> None:
    def drop(connection: socket.socket, _reader: BinaryIO) -> None:
        connection.close()

    engine.on(f"POST /containers/{ID}/start", Reply(101, takes_over=drop))
    engine.on("POST /containers/create", Reply(201, text=b'{"Id": "x'))
    outcome = proa("run", "busybox")
    assert outcome.code == 125
    assert "the engine's answer is not JSON" in outcome.err


# What `run` may import: whatever is not in this list costs every `proa run` its time.
LEAN = {
    "__future__", "__main__", "_abc", "_codecs", "_collections_abc", "_frozen_importlib",
    "_frozen_importlib_external", "_imp", "_io", "_json", "_signal", "_socket", "_stat", "_thread", "_warnings",
    "_weakref", "abc", "builtins", "codecs", "encodings", "encodings.aliases", "encodings.utf_8", "errno",
    "genericpath", "io", "marshal", "os", "os.path", "posix", "posixpath", "select", "stat", "sys", "time",
    "winreg", "zipimport",
}  # fmt: skip
LEAN_PROA = {
    "proa", "proa.cli", "proa.cli.attached", "proa.cli.catalogue", "proa.cli.command", "proa.cli.commands",
    "proa.cli.commands.run", "proa.cli.creation", "proa.cli.errors", "proa.cli.flags", "proa.cli.images",
    "proa.cli.main", "proa.cli.options", "proa.cli.options.container_body",
    "proa.cli.options.container_flags", "proa.client", "proa.client.address", "proa.client.client",
    "proa.client.configuration", "proa.client.errors", "proa.client.http",
    "proa.client.session", "proa.client.signals", "proa.client.stdcopy", "proa.client.wire", "proa.errors",
}  # fmt: skip


def test_run_imports_nothing_dear(engine: Recorder) -> None:
    code = (
        "import os, sys; sys.path.append(sys.argv[1]); from proa.cli.main import run; "
        "status = run(['-H', sys.argv[2], 'run', '--rm', 'busybox', 'echo', 'hello']); "
        "os.write(1, repr((status, sorted(sys.modules))).encode())"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT / "src"), engine.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    status, modules = eval(done.stdout)
    assert status == 0
    own = {name for name in modules if name.split(".")[0] == "proa"}
    assert own <= LEAN_PROA, own - LEAN_PROA
    assert set(modules) - own <= LEAN, set(modules) - own - LEAN
