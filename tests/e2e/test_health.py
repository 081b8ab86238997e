"""Health checks: states, their log, events, what follows from them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"
OFTEN = ("--health-interval", "100ms", "--health-retries", "2")
CHECK = ("--health-cmd", "echo looking; test -e /well", *OFTEN)


def health(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json").json["State"]["Health"]
    return found


def becomes(api: Api, name: str, status: str) -> None:
    eventually(lambda: health(api, name)["Status"] == status)


@pytest.mark.cgroup2
def test_from_starting_to_unhealthy_to_healthy(client: Client, api: Api) -> None:
    since = str(int(time.time()))
    name = client.detached(*CHECK, BUSYBOX, "sleep", "1000")
    assert health(api, name)["Status"] == "starting"
    becomes(api, name, "unhealthy")
    assert "(unhealthy)" in client.ok("ps", "--filter", "health=unhealthy", "--format", "{{.Status}}")
    assert client.ok("ps", "-q", "--filter", "health=healthy") == ""
    log = health(api, name)["Log"]
    assert (log[-1]["ExitCode"], log[-1]["Output"]) == (1, "looking\n")
    client.ok("exec", name, "touch", "/well")
    becomes(api, name, "healthy")
    assert health(api, name)["FailingStreak"] == 0
    eventually(lambda: len(health(api, name)["Log"]) == 5)
    client.ok("pause", name)
    assert health(api, name)["Status"] == "unhealthy"
    client.ok("unpause", name)
    becomes(api, name, "healthy")
    client.ok("stop", "-t", "0", name)
    assert health(api, name)["Status"] == "unhealthy"
    until = str(int(time.time()) + 1)  # clients cut off fractions
    events = client.ok("events", "--since", since, "--until", until, "--filter", "event=health_status",
                       "--filter", f"container={name}", "--format", "{{.Action}}").splitlines()  # fmt: skip
    assert events[:2] == ["health_status: unhealthy", "health_status: healthy"]


def test_a_check_that_takes_too_long_is_ended(client: Client, api: Api) -> None:
    name = client.detached("--health-cmd", "echo begun; sleep 61 & sleep 60", "--health-timeout", "200ms", *OFTEN,
                           BUSYBOX, "sleep", "1000")  # fmt: skip
    becomes(api, name, "unhealthy")
    last = health(api, name)["Log"][-1]
    assert last["ExitCode"] == -1
    assert last["Output"].startswith("Health check exceeded timeout (0.2s): begun")
    eventually(lambda: len(health(api, name)["Log"]) >= 3)
    client.ok("pause", name)
    client.ok("unpause", name)
    # One check may be running at any moment; what the earlier ones have started is gone.
    eventually(lambda: client.ok("top", name).count("sleep 61") <= 1)


def test_a_check_that_can_not_run(client: Client, api: Api) -> None:
    body = {"Image": BUSYBOX, "Cmd": ["sleep", "1000"],
            "Healthcheck": {"Test": ["CMD", "nosuch"], "Interval": 100_000_000, "Retries": 1}}  # fmt: skip
    name = api.post("/containers/create", body).json["Id"]
    client.ok("start", name)
    becomes(api, name, "unhealthy")
    last = health(api, name)["Log"][-1]
    assert last["ExitCode"] == -1
    assert "executable file not found" in last["Output"]


def test_long_output_is_cut(client: Client, api: Api) -> None:
    command = "yes | head -c 100000"
    name = client.detached("--health-cmd", command, "--health-interval", "100ms", BUSYBOX, "sleep", "1000")
    becomes(api, name, "healthy")
    assert len(health(api, name)["Log"][0]["Output"]) == 4096 + len("...")


def test_the_check_of_the_image(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    check = 'HEALTHCHECK --interval=100ms --retries=1 CMD test "$WELL" = yes'
    client.ok("commit", "-c", check, name, "checked")
    well, ill, none = (
        client.detached("-e", "WELL=yes", "checked"),
        client.detached("checked"),
        client.detached("--no-healthcheck", "checked"),
    )
    becomes(api, well, "healthy")
    becomes(api, ill, "unhealthy")
    assert "Health" not in api.get(f"/containers/{none}/json").json["State"]
    merged = client.detached("--health-retries", "77", "checked")
    shown = json.loads(client.ok("inspect", "-f", "{{json .Config.Healthcheck}}", merged))
    assert (shown["Retries"], shown["Interval"], shown["Test"][0]) == (77, 100_000_000, "CMD-SHELL")
    client.ok("rm", "-f", well, ill, none, merged)
    client.ok("rmi", "checked")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--health-retries", "-1"), "--health-retries cannot be negative"),
        (("--health-interval", "-1s"), "--health-interval cannot be negative"),
        (("--health-interval", "1us"), "Interval in Healthcheck cannot be less than 1ms"),
        (("--no-healthcheck", "--health-cmd", "true"), "--no-healthcheck conflicts with --health-"),
        (("--label", "org.proa.health-on-failure=dance"), 'invalid action on a failing health check: "dance"'),
        (("--label", "org.proa.health-on-failure=kill"), "cannot kill an unhealthy container: it has no"),
        (
            ("--no-healthcheck", "--label", "org.proa.health-on-failure=stop"),
            "cannot stop an unhealthy container: it has no health check",
        ),
    ],
)
def test_nonsense(client: Client, option: tuple[str, ...], message: str) -> None:
    client.fails("run", *option, BUSYBOX, "true", code=125, match=message)


class TestHealthOnFailure:
    """What Docker has not: `--health-on-failure`, by proa's flag or by a label."""

    ILL = ("--health-cmd", "false", "--health-interval", "100ms", "--health-retries", "1")

    def test_kill(self, engine: Engine) -> None:
        name = engine.proa.ok("run", "-d", "--health-on-failure", "kill", *self.ILL, BUSYBOX, "top").strip()
        assert engine.proa.ok("wait", name) == "137\n"

    def test_a_kill_is_followed_by_the_restart_policy(self, engine: Engine) -> None:
        label = "org.proa.health-on-failure=kill"
        name = engine.docker.detached("--restart", "always", "--label", label, *self.ILL, BUSYBOX, "top")
        eventually(lambda: engine.api.get(f"/containers/{name}/json").json["RestartCount"] >= 1)

    def test_restart(self, engine: Engine) -> None:
        name = engine.proa.ok("run", "-d", "--stop-timeout", "0", "--health-on-failure", "restart", *self.ILL,
                              BUSYBOX, "top").strip()  # fmt: skip
        first = engine.api.get(f"/containers/{name}/json").json["State"]["Pid"]
        eventually(lambda: engine.api.get(f"/containers/{name}/json").json["State"]["Pid"] not in (0, first))

    def test_stop(self, engine: Engine) -> None:
        name = engine.proa.ok("run", "-d", "--restart", "unless-stopped", "--stop-timeout", "0",
                              "--health-on-failure", "stop", *self.ILL, BUSYBOX, "top").strip()  # fmt: skip
        eventually(lambda: engine.api.get(f"/containers/{name}/json").json["State"]["Status"] == "exited")


def test_checks_go_on_after_the_engine(fresh_engine: Engine) -> None:
    fresh_engine.docker.ok("pull", "-q", BUSYBOX)
    name = fresh_engine.docker.detached(*CHECK, BUSYBOX, "sleep", "1000")
    becomes(fresh_engine.api, name, "unhealthy")
    fresh_engine.kill()
    fresh_engine.start()
    assert health(fresh_engine.api, name)["Status"] == "unhealthy"
    fresh_engine.docker.ok("exec", name, "touch", "/well")
    becomes(fresh_engine.api, name, "healthy")
    fresh_engine.docker.ok("rm", "-f", name)
