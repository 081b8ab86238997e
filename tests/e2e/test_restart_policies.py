"""`--restart`: containers that start again by themselves, also with the engine."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"
FAILS = ("sh", "-c", "echo run >>/runs; sleep 0.05; exit 3")
UNTIL_GONE = 20  # seconds; delays double from 0.1 s on


def inspect(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json").json
    return found


def restarts(api: Api, name: str) -> int:
    count: int = inspect(api, name)["RestartCount"]
    return count


def restarting(client: Client, api: Api, *options: str) -> str:
    """Return a container that fails and waits for its next start: it has failed a few times."""
    name = client.detached("--restart", "always", *options, BUSYBOX, *FAILS)
    eventually(lambda: inspect(api, name)["State"]["Restarting"] and restarts(api, name) >= 4)
    return name


def test_on_failure_with_a_limit(client: Client, api: Api) -> None:
    name = client.detached("--restart", "on-failure:2", BUSYBOX, *FAILS)
    eventually(lambda: inspect(api, name)["State"]["Status"] == "exited" and restarts(api, name) == 2)
    assert inspect(api, name)["State"]["ExitCode"] == 3
    assert inspect(api, name)["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    done = client.detached("--restart", "on-failure", BUSYBOX, "true")
    client.ok("wait", done)
    assert restarts(api, done) == 0


def test_waiting_for_a_restart(client: Client, api: Api) -> None:
    name = restarting(client, api)
    state = inspect(api, name)["State"]
    assert (state["Status"], state["Running"], state["ExitCode"], state["Pid"]) == ("restarting", True, 3, 0)
    assert "Restarting (3)" in client.ok("ps", "--format", "{{.Status}}")
    wait = "is restarting, wait until the container is running"
    client.fails("exec", name, "true", code=1, match=wait)
    client.fails("pause", name, code=1, match=wait)
    client.fails("top", name, code=1, match=wait)
    client.fails("rm", name, code=1, match="container is restarting: stop the container before removing")
    client.fails("attach", name, code=1, match="(?i)restarting")
    client.ok("rm", "-f", name)


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_ending_a_container_that_waits(client: Client, api: Api, verb: str) -> None:
    name = restarting(client, api)
    client.ok(verb, name)
    state = inspect(api, name)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 3)
    before = state["FinishedAt"]
    time.sleep(1.0)
    assert inspect(api, name)["State"]["FinishedAt"] == before, "it stays ended"
    client.ok("start", name)
    eventually(lambda: restarts(api, name) == 1)  # counted anew


@pytest.mark.parametrize(
    ("verb", "again"), [(("stop", "-t", "0"), False), (("kill",), False), (("kill", "-s", "HUP"), True)]
)
def test_an_end_that_somebody_asked_for(client: Client, api: Api, verb: tuple[str, ...], again: bool) -> None:
    program = "trap 'exit 0' HUP; touch /ready; while :; do sleep 0.02; done"
    name = client.detached("--restart", "unless-stopped", BUSYBOX, "sh", "-c", program)
    eventually(lambda: client("exec", name, "test", "-e", "/ready").code == 0)
    client.ok(*verb, name)
    if again:
        eventually(lambda: restarts(api, name) == 1 and inspect(api, name)["State"]["Status"] == "running")
    else:
        assert inspect(api, name)["State"]["Status"] == "exited"


def test_waiters_hear_of_each_end(client: Client, api: Api) -> None:
    name = client.ok("create", "--restart", "always", BUSYBOX, "sh", "-c", "sleep 0.2; exit 3").strip()
    client.ok("start", name)
    assert client.ok("wait", name) == "3\n"
    assert next(row["State"] for row in api.get("/containers/json").json) in ("restarting", "running")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--restart", "sometimes"), "invalid restart policy: unknown policy 'sometimes'"),
        (("--restart", "always:3"), "maximum retry count can only be used with 'on-failure'"),
        (("--restart", "on-failure:-1"), "maximum retry count cannot be negative"),
        (("--restart", "always", "--rm"), "cannot specify both --restart and --rm"),
    ],
)
def test_nonsense(client: Client, options: tuple[str, ...], message: str) -> None:
    client.fails("run", *options, BUSYBOX, "true", code=125, match=message)


def test_a_host_that_comes_back(fresh_engine: Engine) -> None:
    """Engine and containers are killed, as by a crash of the host; who is started again says the policy."""
    engine = fresh_engine
    docker, api = engine.docker, engine.api
    docker.ok("pull", "-q", BUSYBOX)
    names = {policy: docker.detached("--restart", policy, BUSYBOX, "sleep", "1000") for policy in
             ("no", "always", "unless-stopped", "on-failure")}  # fmt: skip
    shared = docker.detached("--restart", "always", "--network", f"container:{names['always']}", BUSYBOX, "top")
    stopped = {policy: docker.detached("--restart", policy, BUSYBOX, "sleep", "1000") for policy in
               ("always", "unless-stopped")}  # fmt: skip
    docker.ok("stop", "-t", "0", *stopped.values())
    never = docker.ok("create", "--restart", "always", BUSYBOX, "top").strip()
    engine.crash()
    engine.start()

    def state(name: str) -> str:
        return str(inspect(api, name)["State"]["Status"])

    for name in (names["always"], names["unless-stopped"], names["on-failure"], stopped["always"], shared):
        eventually(lambda name=name: state(name) == "running")  # type: ignore[misc]
    assert [state(names["no"]), state(stopped["unless-stopped"]), state(never)] == ["exited", "exited", "created"]
    docker.ok("rm", "-f", *names.values(), *stopped.values(), shared, never)


def test_a_restart_that_was_waited_for_outlives_the_engine(fresh_engine: Engine) -> None:
    fresh_engine.docker.ok("pull", "-q", BUSYBOX)
    name = restarting(fresh_engine.docker, fresh_engine.api)
    count = restarts(fresh_engine.api, name)
    fresh_engine.kill()
    fresh_engine.start()
    eventually(lambda: restarts(fresh_engine.api, name) > count)
    fresh_engine.docker.ok("rm", "-f", name)
