"""`--runtime`: containers run by another OCI runtime, here runc, are containers as any."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.terminal import Terminal

BUSYBOX = "busybox"
RUNC = ("--runtime", "runc")


@pytest.mark.cgroup2
def test_output_status_and_removal(client: Client, engine: Engine) -> None:
    result = client("run", "--rm", *RUNC, BUSYBOX, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (result.code, result.out, result.err) == (9, "out\n", "err\n")
    assert client.ok("ps", "-aq") == ""
    eventually(lambda: not list((engine.exec_root / "containers").iterdir()))


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        ((), "echo $HOME $PATH; pwd; id", "/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin / "
         "uid=0(root) gid=0(root) groups=0(root)"),
        (("-u", "nobody", "--group-add", "33"), "id -u; id -g; id -G", "65534 65534 65534 33"),
        (("-e", "A=b", "-w", "/srv/new"), "echo $A; pwd", "b /srv/new"),
        (("-h", "box", "--read-only"), "hostname; touch /x || echo read-only", "box read-only"),
        (("--tmpfs", "/scratch:size=1m"), "df -k /scratch | tail -n1 | awk '{print $2}'", "1024"),
        (("-v", "named:/data"), "echo kept >/data/f; cat /data/f", "kept"),
        (("--network", "none"), "ls /sys/class/net", "lo"),
        (("--ulimit", "nofile=64:64"), "ulimit -n", "64"),
        (("--cap-drop", "ALL"), "grep CapEff /proc/self/status", "CapEff: 0000000000000000"),
        (("--security-opt", "no-new-privileges"), "grep NoNewPrivs /proc/self/status", "NoNewPrivs: 1"),
        (("--privileged",), "test -w /sys/kernel && grep Seccomp: /proc/self/status", "Seccomp: 0"),
    ],
)  # fmt: skip
def test_options(client: Client, options: tuple[str, ...], script: str, expected: str) -> None:
    result = client("run", "--rm", *RUNC, *options, BUSYBOX, "sh", "-c", script)
    assert (result.code, result.out.split()) == (0, expected.split()), str(result)


def test_the_same_confinement(client: Client) -> None:
    """The filter decides alike: what runc compiles of the profile, and what Proa does."""
    look = "grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status; unshare -m true; mount -t tmpfs none /mnt; ls /dev"
    own, other = (client("run", "--rm", *words, BUSYBOX, "sh", "-c", look) for words in ((), RUNC))
    assert own.out == other.out and own.err == other.err and own.code == other.code


@pytest.mark.parametrize(
    ("command", "code", "match"),
    [
        (("nosuch",), 127, 'exec: "nosuch": executable file not found in \\$PATH'),
        (("/etc/passwd",), 126, "permission denied"),
    ],
)
def test_a_start_that_fails(client: Client, command: tuple[str, ...], code: int, match: str) -> None:
    said = client.fails("run", "--rm", *RUNC, BUSYBOX, *command, code=code, match=match)
    assert said.count("unable to start container process") == 1


def test_unknown_ones_are_refused(client: Client) -> None:
    client.fails("run", "--runtime", "nosuch", BUSYBOX, code=125, match="unknown or invalid runtime name: nosuch")
    client.fails("run", *RUNC, "--init", BUSYBOX, code=125, match="--init is a part of Proa's own runtime")


def test_life(client: Client, api: Api) -> None:
    """exec, pause, limits, stop, start on the same layer, commit, kill."""
    script = "trap 'exit 4' TERM; sleep 1000 & wait"
    box = client.detached(*RUNC, "-m", "32m", BUSYBOX, "sh", "-c", script)
    assert api.get(f"/containers/{box}/json").json["HostConfig"]["Runtime"] == "runc"
    assert client.ok("exec", "-u", "nobody", "-e", "A=b", box, "sh", "-c", "id -u; echo $A") == "65534\nb\n"
    assert client.ok("exec", "-i", box, "cat", stdin="typed\n") == "typed\n"
    assert client("exec", box, "sh", "-c", "exit 6").code == 6
    client.fails("exec", box, "nosuch", code=127)
    pid = int(client.inspect(box, "{{.State.Pid}}"))
    assert f"/proa/{box}" in Path(f"/proc/{pid}/cgroup").read_text()
    client.ok("pause", box)
    assert client.inspect(box, "{{.State.Status}}") == "paused"
    client.ok("unpause", box)
    client.ok("exec", box, "touch", "/made")
    assert "A /made" in client.ok("diff", box)
    client.ok("stop", box)
    assert client.inspect(box, "{{.State.ExitCode}}") == "4"
    client.ok("start", box)
    assert client.ok("exec", box, "ls", "/made") == "/made\n"
    client.ok("commit", box, "of-runc:1")
    assert client.ok("run", "--rm", "of-runc:1", "ls", "/made") == "/made\n"
    client.ok("rmi", "of-runc:1")
    client.ok("kill", box)
    assert client.inspect(box, "{{.State.ExitCode}}") == "137"


def test_terminals(client: Client) -> None:
    box = client.detached("-it", *RUNC, BUSYBOX, "sh", "-c", "tty; read word; echo got $word; read word")
    eventually(lambda: client.ok("logs", box) == "/dev/pts/0\r\n")
    with client.start("exec", "-i", box, "sh", "-c", "cat >/dev/pts/0") as typing:
        typing.communicate(b"seen\n", timeout=20)
    eventually(lambda: "seen" in client.ok("logs", box))
    with Terminal(client.command("exec", "-it", box, "tty"), client.environment) as terminal:
        terminal.expect("/dev/pts/1")


def test_an_engines_death_changes_nothing(fresh_engine: Engine) -> None:
    client = fresh_engine.docker
    box = client.detached(*RUNC, BUSYBOX, "sh", "-c", "sleep 1; echo done; exit 5")
    fresh_engine.kill()
    fresh_engine.start()
    assert client.ok("wait", box) == "5\n"
    assert client.ok("logs", box) == "done\n"


@pytest.mark.parametrize("options", [(), RUNC], ids=["proa", "runc"])
def test_a_killed_shim_leaves_nothing(fresh_engine: Engine, options: tuple[str, ...]) -> None:
    client = fresh_engine.docker
    box = client.detached(*options, BUSYBOX, "sleep", "1000")
    pid = int(client.inspect(box, "{{.State.Pid}}"))
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert Path(f"/proc/{parent}/comm").read_text() == "proa-shim\n"
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: client.inspect(box, "{{.State.Status}} {{.State.ExitCode}}") == "exited 255")
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    eventually(lambda: not list(Path("/sys/fs/cgroup").glob(f"**/{box}")))
    client.ok("start", box)
    client.ok("rm", "-f", box)


def test_configured_ones(engine_with: Callable[..., Engine], tmp_path: Path) -> None:
    """By option and as the default; `info` lists them."""
    program = tmp_path / "my-runtime"
    program.write_text('#!/bin/sh\necho "$@" >>"$0.calls"\nexec runc "$@"\n')
    program.chmod(0o755)
    engine = engine_with("--add-runtime", f"mine={program}", "--default-runtime", "mine")
    info = engine.api.get("/info").json
    assert info["DefaultRuntime"] == "mine" and info["Runtimes"]["mine"] == {"path": str(program)}
    assert set(info["Runtimes"]) >= {"proa", "runc", "mine"}
    engine.docker.ok("pull", "-q", BUSYBOX)
    assert engine.docker.ok("run", "--rm", BUSYBOX, "echo", "hello") == "hello\n"
    calls = program.with_name("my-runtime.calls").read_text()
    assert all(f" {word} " in calls for word in ("create", "start", "delete"))


def test_an_engine_that_stops_leaves_no_cgroup(engine_with: Callable[..., Engine]) -> None:
    """On hybrid hosts runc makes cgroups in the unified hierarchy, too, and the one above them."""
    parent = f"proa-parent-{os.getpid()}"
    engine = engine_with("--cgroup-parent", parent)
    engine.docker.ok("pull", "-q", BUSYBOX)
    engine.docker.ok("run", "--rm", *RUNC, BUSYBOX, "true")
    engine.docker.ok("run", "--rm", BUSYBOX, "true")
    assert list(Path("/sys/fs/cgroup").glob(f"**/{parent}"))
    engine.end()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{parent}"))
