"""Log drivers and their options: where output goes, what is kept here, and that it costs no container its life."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.clients import Client
from rig.engine import Engine, eventually
from rig.needs import need
from rig.syslog import SyslogServer

BUSYBOX = "busybox"
SAY = ("sh", "-c", "echo out; echo err >&2; printf part")


def log_directory(engine: Engine, client: Client, name: str) -> Path:
    return engine.data_root / "containers" / client.ok("inspect", "-f", "{{.Id}}", name).strip()


def test_details(client: Client) -> None:
    """What --log-opt labels, env and tag ask for stands before each line."""
    tag = "tag={{.Name}}/{{upper .ImageName}}"
    options = ("labels=a,none", "labels-regex=^x", "env=FOO", "env-regex=^BA", tag)
    asked = [word for option in options for word in ("--log-opt", option)]
    given = ["--label", "a=b", "--label", "x.y=c,d=e", "--label", "z=1", "-e", "FOO=1", "-e", "BAR=2", "-e", "C=3"]
    client("run", "--name", "said", *given, *asked, BUSYBOX, *SAY)
    attributes = "BAR=2,FOO=1,a=b,tag=said%2FBUSYBOX,x.y=c%2Cd%3De"
    result = client("logs", "--details", "said")
    assert (result.out, result.err) == (f"{attributes} out\n{attributes} part", f"{attributes} err\n")
    dated = client.ok("logs", "-t", "--details", "-n", "2", "said").splitlines()[0]
    assert re.fullmatch(rf"\S+Z {re.escape(attributes)} (out|part)", dated)
    assert client("logs", "said").out == "out\npart"
    client.ok("run", "--name", "bare", BUSYBOX, "echo", "x")
    assert client.ok("logs", "--details", "bare") == " x\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--log-driver", "bogus"], 'error looking up logging plugin bogus: plugin "bogus" not found'),
        (["--log-opt", "foo=bar"], "unknown log opt 'foo' for json-file log driver"),
        (["--log-driver", "local", "--log-opt", "env=x"], "unknown log opt 'env' for log driver local"),
        (["--log-opt", "mode=fast"], "logger: logging mode not supported: fast"),
        (
            ["--log-opt", "max-buffer-size=1m"],
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (["--log-driver", "syslog", "--log-opt", "syslog-address=http://x"], "unsupported scheme: 'http'"),
        (["--log-driver", "syslog", "--log-opt", "syslog-facility=x"], "invalid syslog facility"),
        (["--log-driver", "syslog", "--log-opt", "syslog-format=x"], "Invalid syslog format"),
    ],
)
def test_refused_at_create(client: Client, options: list[str], words: str) -> None:
    client.fails("create", *options, BUSYBOX, code=1, match=re.escape(f"Error response from daemon: {words}\n"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--log-opt", "max-size=abc"], "invalid size: 'abc'"),
        (["--log-opt", "max-size=0"], "max-size must be a positive number"),
        (["--log-opt", "max-file=0"], "max-file cannot be less than 1"),
        (["--log-opt", "max-file=x"], 'strconv.Atoi: parsing "x": invalid syntax'),
        (
            ["--log-opt", "compress=true", "--log-opt", "max-size=1m"],
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (["--log-opt", "tag={{.Foo"], "template: log-tag:1: unclosed action"),
        (
            ["--log-driver", "local", "--log-opt", "max-file=1"],
            "compression cannot be enabled when max file count is 1",
        ),
        (
            ["--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:1"],
            "dial tcp 127.0.0.1:1: connect: connection refused",
        ),
    ],
)
def test_refused_at_start(docker: Client, options: list[str], words: str) -> None:
    frame = "failed to create task for container: failed to initialize logging driver: "
    docker.fails("run", "--rm", *options, BUSYBOX, "true", code=125, match=re.escape(frame + words + "\n"))


def test_rotation_and_compression(client: Client, engine: Engine) -> None:
    options = ["--log-opt", "max-size=100k", "--log-opt", "max-file=4", "--log-opt", "compress=true"]
    name = client.detached("-i", *options, BUSYBOX, "sh", "-c", "seq 100000; cat")
    directory = log_directory(engine, client, name)

    def compressed() -> bool:
        found = sorted(path.name.rpartition("-json.log")[2] for path in directory.glob("*-json.log*"))
        return found == ["", ".1.gz", ".2.gz", ".3.gz"]

    eventually(compressed)
    assert all(path.stat().st_size < 110_000 for path in directory.glob("*-json.log*"))
    assert all(gzip.decompress(path.read_bytes()) for path in directory.glob("*.gz"))
    shown = client.ok("logs", name).split()
    assert shown == [str(number) for number in range(int(shown[0]), 100_001)] and len(shown) > 3000
    assert client.ok("logs", "-n", "4000", name).split() == shown[-4000:]
    client.ok("rm", "-f", name)


def test_a_log_does_not_grow_without_bound(docker: Client, engine: Engine) -> None:
    """Nothing is said of sizes: 100 MB are kept."""
    name = docker.detached(BUSYBOX, "sh", "-c", "yes 0123456789012345678901234567890123456789 | head -c 60000000")
    docker.ok("wait", name)
    files = list(log_directory(engine, docker, name).glob("*-json.log*"))
    assert len(files) == 5
    assert 60_000_000 < sum(path.stat().st_size for path in files) <= 100_010_000


def test_local(client: Client) -> None:
    client("run", "--name", "near", "--log-driver", "local", "--log-opt", "max-size=1m", BUSYBOX, *SAY)
    result = client("logs", "near")
    assert (result.out, result.err) == ("out\npart", "err\n")
    shown = json.loads(client.ok("inspect", "-f", "[{{json .LogPath}}, {{json .HostConfig.LogConfig}}]", "near"))
    assert shown == ["", {"Type": "local", "Config": {"max-size": "1m"}}]


@pytest.mark.parametrize("network", ["unix", "unixgram", "udp", "tcp", "tcp+tls"])
def test_syslog(docker: Client, tmp_path: Path, network: str) -> None:
    with SyslogServer(network, tmp_path) as server:
        options = ["--log-opt", f"syslog-address={server.address}", "--log-opt", "tag={{.Name}}"]
        if network == "tcp+tls":
            options += ["--log-opt", f"syslog-tls-ca-cert={server.certificate}"]
        docker("run", "--name", "far", "--log-driver", "syslog", *options, BUSYBOX, *SAY)
        err, out, part = server.messages(3)
    head = rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d far\[\d+\]: "
    assert re.fullmatch(rb"<27>" + head + b"err", err)
    assert re.fullmatch(rb"<30>" + head + b"out", out)
    assert re.fullmatch(rb"<30>" + head + b"part", part)
    result = docker("logs", "far")  # what Docker calls dual logging
    assert (result.out, result.err) == ("out\npart", "err\n")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("rfc3164", rb"<158>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [0-9a-f]{12}\[\d+\]: hello"),
        ("rfc5424", rb"<158>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S+ \S+ ([0-9a-f]{12}) \d+ \1 - hello"),
        ("rfc5424micro", rb"<158>1 \S+T\d\d:\d\d:\d\d\.\d{6}\S+ \S+ ([0-9a-f]{12}) \d+ \1 - hello"),
    ],
)
def test_syslog_formats(docker: Client, tmp_path: Path, form: str, expected: bytes) -> None:
    with SyslogServer("udp", tmp_path) as server:
        options = [f"syslog-address={server.address}", f"syslog-format={form}", "syslog-facility=local3"]
        words = [word for option in options for word in ("--log-opt", option)]
        docker.ok("run", "--log-driver", "syslog", *words, BUSYBOX, "echo", "hello")
        (message,) = server.messages(1)
        assert re.fullmatch(expected, message), message


def test_a_server_that_nobody_trusts(docker: Client, tmp_path: Path) -> None:
    with SyslogServer("tcp+tls", tmp_path) as server:
        options = ["--log-driver", "syslog", "--log-opt", f"syslog-address={server.address}"]
        docker.fails("run", *options, BUSYBOX, "true", code=125, match="initialize logging driver: tls: ")
        options += ["--log-opt", "syslog-tls-skip-verify=true"]
        docker.ok("run", *options, BUSYBOX, "echo", "hello")
        assert server.messages(1)[0].endswith(b": hello")


def test_without_a_cache(client: Client, tmp_path: Path) -> None:
    with SyslogServer("tcp", tmp_path) as server:
        options = ["--log-opt", f"syslog-address={server.address}", "--log-opt", "cache-disabled=true"]
        client.ok("run", "--name", "gone", "--log-driver", "syslog", *options, BUSYBOX, "echo", "hello")
        assert server.messages(1)[0].endswith(b": hello")
    client.fails("logs", "gone", code=1, match="configured logging driver does not support reading")


def test_a_syslog_server_that_restarts(docker: Client, tmp_path: Path) -> None:
    """What is written meanwhile waits for it."""
    with SyslogServer("tcp", tmp_path) as server:
        options = ["--log-driver", "syslog", "--log-opt", f"syslog-address={server.address}"]
        script = "echo 1; sleep 0.6; echo 2; sleep 0.2; echo 3; sleep 1000"
        name = docker.detached(*options, BUSYBOX, "sh", "-c", script)
        server.messages(1)
    time.sleep(1)
    with SyslogServer("tcp", tmp_path, server.port) as server:
        assert [message[-2:] for message in server.messages(2)] == [b" 2", b" 3"]
    docker.ok("kill", name)


@pytest.mark.parametrize("mode", ["blocking", "non-blocking"])
def test_a_dead_syslog_server_does_not_stop_a_container(docker: Client, tmp_path: Path, mode: str) -> None:
    with SyslogServer("tcp", tmp_path) as server:
        options = ["--log-driver", "syslog", "--log-opt", f"syslog-address={server.address}"]
        options += ["--log-opt", f"mode={mode}"]
        script = "echo begun; until [ -e /go ]; do sleep 0.1; done; seq 1000000; sleep 1000"
        name = docker.detached(*options, BUSYBOX, "sh", "-c", script)
        server.messages(1)
    docker.ok("exec", name, "touch", "/go")
    eventually(lambda: docker.ok("logs", "-n", "1", name) == "1000000\n", 40)
    docker.ok("rm", "-f", name)


@pytest.fixture
def v2() -> None:
    """Tests that take this run where cgroup v2 is tested: in a machine with systemd."""
    need(Path("/run/systemd/journal/socket").exists(), "systemd's journal")


@pytest.mark.cgroup2
def test_journald(docker: Client, v2: None) -> None:
    options = ["--log-driver", "journald", "--log-opt", "labels=com.x/y", "--log-opt", "tag={{.Name}}"]
    script = f"{SAY[2]}; head -c 20000 /dev/zero | tr '\\0' x"
    docker("run", "--name", "entered", "--label", "com.x/y=z", *options, BUSYBOX, "sh", "-c", script)
    identifier = docker.ok("inspect", "-f", "{{.Id}}", "entered").strip()

    def entries() -> list[dict[str, Any]]:
        command = ["journalctl", "-q", "-a", "-o", "json", "--all", f"CONTAINER_ID_FULL={identifier}"]
        found = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
        return [json.loads(line) for line in found]

    eventually(lambda: len(entries()) == 4, 30)
    error, out, first, last = sorted(entries(), key=lambda entry: str(entry["PRIORITY"]))
    expected = {
        "MESSAGE": "err", "PRIORITY": "3", "CONTAINER_NAME": "entered", "CONTAINER_TAG": "entered",
        "IMAGE_NAME": BUSYBOX,
    }  # fmt: skip
    assert {name: error[name] for name in expected} == expected
    assert (error["SYSLOG_IDENTIFIER"], error["COM_X_Y"]) == ("entered", "z")
    assert identifier.startswith(error["CONTAINER_ID"]) and len(error["CONTAINER_ID"]) == 12
    assert out["MESSAGE"] == "out"
    assert first["MESSAGE"] + last["MESSAGE"] == "part" + "x" * 20_000
    assert (first["CONTAINER_PARTIAL_MESSAGE"], last["CONTAINER_PARTIAL_LAST"]) == ("true", "true")
    result = docker("logs", "entered")
    assert (result.out, result.err) == ("out\npart" + "x" * 20_000, "err\n")


def test_non_blocking_to_a_file(client: Client) -> None:
    options = ["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=4m"]
    name = client.detached(*options, BUSYBOX, "sh", "-c", "seq 50000; printf half; sleep 1000")
    eventually(lambda: len(client.ok("logs", name).split()) == 50_000)
    client.ok("rm", "-f", name)
    client.ok("run", "--name", "brief", *options, BUSYBOX, *SAY)
    result = client("logs", "brief")
    assert (result.out, result.err) == ("out\npart", "err\n")


def test_defaults_of_the_engine(engine_with: Callable[..., Engine], tmp_path: Path) -> None:
    engine = engine_with("--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2")
    docker = engine.docker
    docker.ok("pull", "-q", BUSYBOX)
    assert docker.ok("info", "-f", "{{.LoggingDriver}}") == "local\n"
    shape = "{{json .HostConfig.LogConfig}}"
    for options, expected in (
        ([], {"Type": "local", "Config": {"max-file": "2", "max-size": "1m"}}),
        (["--log-opt", "max-file=3"], {"Type": "local", "Config": {"max-file": "3", "max-size": "1m"}}),
        (["--log-driver", "json-file"], {"Type": "json-file", "Config": {}}),
        (["--log-driver", "none"], {"Type": "none", "Config": {}}),
    ):
        name = docker.ok("create", *options, BUSYBOX, "echo", "x").strip()
        assert json.loads(docker.ok("inspect", "-f", shape, name)) == expected
    words = "unknown log opt 'labels' for log driver local"
    docker.fails("create", "--log-opt", "labels=x", BUSYBOX, code=1, match=words)
    assert docker.ok("run", BUSYBOX, "echo", "x") == "x\n"


def test_a_log_process_outlives_the_engine_and_not_the_shim(fresh_engine: Engine, tmp_path: Path) -> None:
    docker = fresh_engine.docker
    docker.ok("pull", "-q", BUSYBOX)
    script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
    with SyslogServer("tcp", tmp_path) as server:
        options = ["--log-driver", "syslog", "--log-opt", f"syslog-address={server.address}"]
        name = docker.detached(*options, BUSYBOX, "sh", "-c", script)
        server.messages(3)
        fresh_engine.kill()
        count = len(server.messages(3))
        server.messages(count + 5)
        fresh_engine.start()
        numbers = sorted(int(message.split()[-1]) for message in server.messages(count + 10))
        assert numbers == list(range(1, len(numbers) + 1))
        pid = int(server.messages(1)[0].partition(b"[")[2].partition(b"]")[0])
        status = Path(f"/proc/{pid}/status").read_text()
        assert "proa-log" in status
        os.kill(int(status.split("PPid:")[1].split()[0]), signal.SIGKILL)  # the shim
        eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert docker.ok("inspect", "-f", "{{.State.Running}}", name) == "false\n"
