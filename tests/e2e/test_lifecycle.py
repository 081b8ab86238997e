"""`create`, `start`, `stop`, `restart`, `kill`, `pause`, `rm`: a container's life."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"


def state(api: Api, name: str) -> dict[str, object]:
    found: dict[str, object] = api.get(f"/containers/{name}/json").json["State"]
    return found


@pytest.mark.cgroup2
def test_the_writable_layer_stays(client: Client) -> None:
    name = client.ok("create", BUSYBOX, "sh", "-c", "date +%N >>/count; wc -l </count").strip()
    for run in ("1\n", "2\n", "3\n"):
        assert client.ok("start", "-a", name) == run


def test_stop(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    begun = time.monotonic()
    assert client.ok("stop", "-t", "1", name) == f"{name}\n"
    assert 0.9 < time.monotonic() - begun < 6, "process 1 ignores SIGTERM; SIGKILL follows after a second"
    assert (state(api, name)["Status"], state(api, name)["ExitCode"]) == ("exited", 137)
    client.ok("stop", name)


def test_stop_with_a_signal(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "trap 'exit 4' HUP; while :; do sleep 0.05; done")
    time.sleep(0.2)
    client.ok("stop", "-s", "HUP", "-t", "20", name)
    assert state(api, name)["ExitCode"] == 4


def test_kill(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "trap 'echo usr1' USR1; while :; do sleep 0.05; done")
    time.sleep(0.2)
    client.ok("kill", "-s", "USR1", name)
    eventually(lambda: client.ok("logs", name) == "usr1\n")
    assert state(api, name)["Running"] is True
    assert client.ok("kill", name) == f"{name}\n"
    eventually(lambda: state(api, name)["Status"] == "exited")
    client.fails("kill", name, code=1, match="is not running")
    client.fails("kill", "-s", "NOSUCH", name, code=1, match="(?i)invalid signal: ?NOSUCH")


def test_restart(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    before = state(api, name)["Pid"]
    client.ok("restart", "-t", "0", name)
    assert state(api, name)["Running"] is True and state(api, name)["Pid"] != before
    client.ok("stop", "-t", "0", name)
    client.ok("restart", name)
    assert state(api, name)["Running"] is True


@pytest.mark.cgroup2
def test_pause(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "while :; do echo x; sleep 0.02; done")
    client.ok("pause", name)
    first = client.ok("logs", name)
    time.sleep(0.3)
    assert client.ok("logs", name) == first
    client.fails("pause", name, code=1, match="is already paused")
    client.ok("unpause", name)
    eventually(lambda: client.ok("logs", name) != first)
    client.fails("unpause", name, code=1, match="is not paused")
    client.ok("pause", name)
    client.ok("rm", "-f", name)


def test_remove(client: Client, api: Api, engine: Engine) -> None:
    name = client.detached("--name", "busy", BUSYBOX, "sleep", "1000")
    client.fails(
        "rm", "busy", code=1,
        match='cannot remove container "/?busy": container is running: '
        "stop the container before removing or force remove",
    )  # fmt: skip
    assert client.ok("rm", "-f", "busy") == "busy\n"
    assert api.get(f"/containers/{name}/json").status == 404
    assert not (engine.data_root / "containers" / name).exists()
    client.fails("rm", "busy", code=1, match="No such container: busy")
    client.ok("rm", "-f", "busy")
    client.ok("create", "--name", "busy", BUSYBOX)


def test_remove_at_once_frees_the_name(client: Client) -> None:
    for _ in range(5):
        client.detached("--name", "again", BUSYBOX, "sleep", "1000")
        client.ok("rm", "-f", "again")


def test_automatic_removal(client: Client, api: Api) -> None:
    name = client.detached("--rm", BUSYBOX, "sh", "-c", "sleep 0.2; exit 3")
    with client.start("wait", name) as waiting:
        assert waiting.communicate(timeout=20)[0] == b"3\n"
    eventually(lambda: api.get(f"/containers/{name}/json").status == 404)


def test_start_of_a_running_one_is_no_error(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    assert client.ok("start", name) == f"{name}\n"
    assert api.post(f"/containers/{name}/start").status == 304
    client.ok("kill", name)
    eventually(lambda: api.post(f"/containers/{name}/stop").status == 304)


def test_events(client: Client, api: Api) -> None:
    since = str(time.time() - 0.001)
    client.ok("run", "--rm", "--name", "observed", BUSYBOX, "true")
    eventually(lambda: api.get("/containers/observed/json").status == 404)
    out = client.ok("events", "--since", since, "--until", str(time.time()), "--filter", "type=container",
                    "--format", "{{.Action}} {{.Actor.Attributes.name}}")  # fmt: skip
    actions = [line.split()[0] for line in out.splitlines() if line.endswith(" observed")]
    assert actions == ["create", "attach", "start", "die", "destroy"]


def test_processes_left_behind_end_with_process_one(client: Client) -> None:
    assert client.ok("run", "--rm", BUSYBOX, "sh", "-c", "sleep 1000 & echo done") == "done\n"


def test_nothing_stays_on_the_host(client: Client, engine: Engine) -> None:
    """Mounts, sockets, directories: what one container made is gone with it."""
    before = set(container_directories(engine))
    client.ok("run", "--rm", BUSYBOX, "true")
    client("run", "--rm", BUSYBOX, "nosuchprogram")
    client("run", "--rm", "-u", "nosuchuser", BUSYBOX, "true")
    client("run", "--rm", "--cpuset-cpus", "999", BUSYBOX, "true")

    eventually(lambda: not set(container_directories(engine)) - before)


def container_directories(engine: Engine) -> list[Path]:
    return [*engine.data_root.glob("containers/*"), *engine.exec_root.glob("containers/*")]


@pytest.mark.parametrize("verb", [("start",), ("restart", "-t", "0")])
def test_removal_beside_a_start_leaves_nothing(client: Client, verb: tuple[str, ...]) -> None:
    """Whichever comes first: afterwards there is neither a record nor a process."""
    for _ in range(8):
        make = client.detached if verb[0] == "restart" else lambda *words: client.ok("create", *words).strip()
        box = make(BUSYBOX, "sleep", "1000")
        with client.start(*verb, box) as starting, client.start("rm", "-f", box) as removing:
            assert removing.wait(20) == 0
            starting.wait(20)
        assert client("inspect", box).code == 1
        assert not [path for path in Path("/proc").glob("[0-9]*/cgroup") if box in _text_of(path)]


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # it has just ended


def test_a_failed_start_says_so_once(client: Client) -> None:
    """No exit is told to those who wait for one: there was none."""
    for options in ((), ("--rm",)):
        for _ in range(5):
            said = client.fails("run", *options, BUSYBOX, "nosuch", code=127, match="executable file not found")
            assert "level=error" not in said and said.count("nosuch") == 1
