"""SIGKILL to proad, its launcher, or both, at any time: what runs runs on and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from rig.api import Api
from rig.engine import Engine, eventually, running
from rig.needs import rounds
from rig.ports import SERVE, free_ports, is_free, led, served
from rig.registry import Registry

BUSYBOX = "busybox"
TICKER = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done"
VICTIMS = {"proad": (True, False), "launcher": (False, True), "both": (True, True)}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def strike(engine: Engine, victim: str) -> None:
    """Kill, and bring proad back when it was hit."""
    daemon, launcher = VICTIMS[victim]
    for pid in engine.children() if launcher else ():
        os.kill(pid, signal.SIGKILL)
    if daemon:
        engine.kill()
        engine.start()


@pytest.fixture
def engine(fresh_engine: Engine) -> Engine:
    fresh_engine.pull(BUSYBOX)
    return fresh_engine


@pytest.mark.cgroup2
@pytest.mark.parametrize("victim", VICTIMS)
def test_what_runs_runs_on(engine: Engine, victim: str) -> None:
    docker = engine.docker
    name = docker.detached("--name", "ticker", BUSYBOX, "sh", "-c", TICKER)
    pid = int(docker.inspect(name, "{{.State.Pid}}"))
    strike(engine, victim)
    assert alive(pid)
    assert docker.ok("ps", "-q", "--no-trunc").strip() == name
    assert int(docker.inspect(name, "{{.State.Pid}}")) == pid
    assert docker.ok("exec", name, "echo", "still here") == "still here\n"
    with docker.start("logs", "-f", "-n", "1", name) as logs:
        assert logs.stdout
        first = int(logs.stdout.readline().split()[1])
        assert int(logs.stdout.readline().split()[1]) == first + 1
        logs.kill()
    with docker.start("attach", "--no-stdin", "--sig-proxy=false", name) as attached:
        assert attached.stdout and attached.stdout.readline().startswith(b"tick ")
        attached.kill()
    ticks = [int(line.split()[1]) for line in docker.ok("logs", name).splitlines()]
    assert ticks == list(range(1, len(ticks) + 1)), "a line is missing or there twice"
    with docker.start("wait", name) as waiting:
        docker.ok("kill", name)
        assert waiting.communicate(timeout=20)[0] == b"137\n"
    docker.ok("run", "--rm", BUSYBOX, "true")


def test_an_end_that_nobody_saw(engine: Engine) -> None:
    """The container ends while there is no proad: status, time and output are kept."""
    docker = engine.docker
    name = docker.detached(BUSYBOX, "sh", "-c", "echo begun; sleep 0.6; echo ended; exit 23")
    engine.kill()
    time.sleep(1.2)
    engine.start()
    eventually(lambda: docker.inspect(name, "{{.State.Status}}") == "exited")
    assert docker.inspect(name, "{{.State.ExitCode}}") == "23"
    assert docker.ok("logs", name) == "begun\nended\n"
    again = docker("start", "-a", name)
    assert (again.code, again.out) == (23, "begun\nended\n")


def test_a_run_whose_start_nobody_recorded(engine: Engine) -> None:
    """proad is killed between its request to start and the answer: the run counts, it is not run again."""
    docker = engine.docker
    name = _ended_while_proad_stood_still(engine)
    engine.kill()
    engine.start()
    assert docker.inspect(name, "{{.State.Status}} {{.State.ExitCode}}") == "exited 23"
    assert docker.ok("logs", name) == "ran\n"
    assert not docker.inspect(name, "{{.State.StartedAt}}").startswith("0001")


def _ended_while_proad_stood_still(engine: Engine) -> str:
    """Stop proad as soon as the specification is written; it may be too early, so several times."""
    assert engine.process
    for _ in range(30):
        name = engine.docker.ok("create", BUSYBOX, "sh", "-c", "echo ran; exit 23").strip()
        directory = engine.exec_root / "containers" / name
        with engine.docker.start("start", name) as starting:
            deadline = time.monotonic() + 10
            while not (directory / "config.json").exists() and time.monotonic() < deadline:
                pass
            engine.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            if (directory / "exit.json").exists():
                return name
            engine.process.send_signal(signal.SIGCONT)
            starting.wait(10)
    raise AssertionError("proad never stood still at the right moment")


def test_automatic_removal_is_made_up_for(engine: Engine) -> None:
    docker = engine.docker
    name = docker.detached("--rm", "-v", "/data", BUSYBOX, "sleep", "0.5")
    engine.kill()
    time.sleep(1)
    engine.start()
    eventually(lambda: docker.ok("ps", "-aq") == "" and docker.ok("volume", "ls", "-q") == "")
    eventually(lambda: not (engine.data_root / "containers" / name).exists())


def test_a_terminal_session_survives(engine: Engine) -> None:
    docker = engine.docker
    name = docker.detached("-it", BUSYBOX)
    strike(engine, "both")
    out, err = b"", b""
    with docker.start("exec", name, "sh", "-c", "echo typed >/dev/pts/0") as typing:
        out, err = typing.communicate(timeout=20)
    assert (out, err) == (b"", b"")
    eventually(lambda: "typed" in docker.ok("logs", name))


@pytest.mark.timeout(300)
def test_at_many_points(engine: Engine) -> None:
    """proad dies at arbitrary moments of work; afterwards every record is whole and nothing lies about."""
    docker, chance = engine.docker, random.Random(9)
    kept = docker.detached(
        "--name", "kept", "-v", "kept:/data", BUSYBOX, "sh", "-c", "echo x >/data/f; sleep 1000"
    )
    works = [
        ("run", "--rm", BUSYBOX, "echo", "x"),
        ("run", "-d", BUSYBOX, "sleep", "0.1"),
        ("create", "-v", "/vol", BUSYBOX),
        ("commit", "kept", "mine:1"),
        ("exec", "kept", "true"),
        ("pull", "busybox:1.36"),
        ("rmi", "-f", "busybox:1.36"),
        ("run", "--rm", "-e", "A=1", "-m", "32m", BUSYBOX, "true"),
    ]
    for round_ in range(rounds(2 * len(works), 4 * len(works))):
        with docker.start(*works[round_ % len(works)]) as working:
            time.sleep(chance.uniform(0, 0.12))
            strike(engine, chance.choice(["proad", "proad", "both"]))
            working.kill()
        assert docker.inspect("kept", "{{.State.Running}}") == "true"
    assert docker.ok("exec", "kept", "cat", "/data/f") == "x\n"
    for line in docker.ok("ps", "-aq", "--no-trunc").split():
        if line != kept:
            docker.ok("rm", "-f", "-v", line)
    docker.ok("pull", "busybox:1.36")
    assert docker.ok("run", "--rm", "busybox:1.36", "echo", "whole") == "whole\n"
    eventually(lambda: [path.name for path in (engine.data_root / "containers").iterdir()] == [kept], 20)
    eventually(lambda: [path.name for path in (engine.exec_root / "containers").iterdir()] == [kept], 20)


def test_stopping_politely_leaves_containers(engine: Engine) -> None:
    docker = engine.docker
    name = docker.detached(BUSYBOX, "sleep", "1000")
    pid = int(docker.inspect(name, "{{.State.Pid}}"))
    assert engine.end() == 0
    assert alive(pid) and not engine.pidfile.exists()
    engine.start()
    assert docker.inspect(name, "{{.State.Pid}}") == str(pid)


def test_the_launchers_loss_is_noticed(engine: Engine) -> None:
    (launcher,) = engine.children()
    os.kill(launcher, signal.SIGKILL)
    assert engine.docker.ok("run", "--rm", BUSYBOX, "echo", "on") == "on\n"
    assert engine.children() != [launcher]


def test_killed_while_pulling(fresh_engine: Engine, big_image: object) -> None:
    """A half pulled image is not there; the next pull completes it."""
    docker = fresh_engine.docker
    for pause in (0.05, 0.3, 0.8):
        with docker.start("pull", "-q", "big") as pulling:
            time.sleep(pause)
            fresh_engine.kill()
            pulling.wait(20)
        fresh_engine.start()
        if docker.ok("images", "-q"):
            docker.ok("rmi", "-f", "big")
    docker.ok("pull", "-q", "big")
    assert docker.ok("images", "--format", "{{.Repository}}") == "big\n"
    partial = [
        path.name for path in fresh_engine.data_root.rglob("*") if "tmp" in path.name or "partial" in path.name
    ]
    assert not [name for name in partial if name not in ("tmp", "ingest")], partial


def test_two_engines_side_by_side(engine: Engine, registry: Registry) -> None:
    with running(registry.url) as other:
        other.docker.ok("run", "-d", "--name", "same", BUSYBOX, "sleep", "1000")
        engine.docker.ok("run", "-d", "--name", "same", BUSYBOX, "sleep", "1000")
        assert other.docker.ok("ps", "-q") != engine.docker.ok("ps", "-q")
        other.kill()
        other.start()
        assert other.docker.inspect("same", "{{.State.Running}}") == "true"
        assert engine.docker.inspect("same", "{{.State.Running}}") == "true"
    assert engine.docker.inspect("same", "{{.State.Running}}") == "true"


def test_one_engine_for_one_data_root(engine: Engine) -> None:
    second = Engine(engine.mirror, directory=engine.directory)
    second.socket = engine.directory / "second.sock"
    second.pidfile = engine.directory / "second.pid"
    second.log = engine.directory / "second.log"
    second.api = Api(str(second.socket))
    with pytest.raises(RuntimeError, match="did not start"):
        second.start()


def test_no_port_is_lost_or_left(engine: Engine) -> None:
    """Killed at any moment of a start or an end: what runs has its port, and no other is held or led anywhere."""
    count = rounds(4, 8)
    docker, first = engine.docker, free_ports(count)
    for number in range(count):
        port = first + number
        with docker.start("run", "-d", "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE) as command:
            time.sleep(random.uniform(0.0, 0.12))
            engine.kill()
            command.wait(20)
        engine.start()
        if number % 2 and (running := docker.ok("ps", "-q").split()):
            with docker.start("kill", *running) as command:
                time.sleep(random.uniform(0.0, 0.1))
                engine.kill()
                command.wait(20)
            engine.start()
        published = {("tcp", each["PublicPort"]) for row in engine.api.get("/containers/json").json
                     for each in row["Ports"]}  # fmt: skip
        assert len(published) == len(docker.ok("ps", "-q").split())
        assert set(led(engine)) == published
        for each in range(first, first + count):
            taken = ("tcp", each) in published
            assert is_free(each) is not taken, each
            if taken:
                served("127.0.0.1", each)


def test_a_killed_shim_takes_its_ports_along(engine: Engine) -> None:
    docker, port = engine.docker, free_ports()
    name = docker.detached("-p", f"{port}:80", "-p", f"{port}:80/udp", BUSYBOX, "sleep", "100")
    pid = engine.api.get(f"/containers/{name}/json").json["State"]["Pid"]
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    eventually(lambda: docker.ok("ps", "-q") == "")
    assert is_free(port) and not led(engine)
    docker.ok("start", name)
    assert set(led(engine)) == {("tcp", port), ("udp", port)}
