"""Compose, both kinds of it: a project of three services on two networks, its life from `up` to `down`."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

from rig.compose import PLUGIN, SHOP, Compose, left
from rig.engine import Engine, eventually


def test_up_and_down(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(SHOP)
    assert set(compose.ok("config", "--services").split()) == {"db", "api", "web"}
    assert "apples" in compose.ok("config")
    begun = time.time()
    compose.ok("up", "-d")
    containers = {service: compose.container(service) for service in ("db", "api", "web")}
    started = {service: compose.state(name)["StartedAt"] for service, name in containers.items()}
    assert started["db"] < started["api"] < started["web"]
    assert compose.happened(begun)[:3] == ["db start", "db health_status: healthy", "api start"]
    eventually(lambda: compose.bought() == "apples\n")
    assert all(name in compose.ok("ps") for name in containers.values())
    assert len(compose.ids()) == 3
    assert compose.ok("logs", "--no-color", "web").splitlines()[-1].split("|")[1].strip() == "open"
    assert "httpd -f -p 5432" in compose.ok("top", "db")
    compose.ok("down", "-v", "-t", "0")
    assert left(compose.api) == []


def test_names(project: Callable[..., Compose], engine: Engine) -> None:
    """Aliases, services and containers, on the networks that both are on and no others; all of several."""
    compose = project(SHOP)
    compose.ok("up", "-d", "--scale", "api=3")
    assert len(compose.ids("api")) == 3 == len(compose.found("api"))
    assert compose.found("db") == compose.found("database") == set()
    one = compose.found("db", "api")
    assert len(one) == 1 and one == compose.found("database", "api")
    assert one == compose.found(compose.container("db"), "api") == compose.found("db.shop_back", "api")
    assert compose.found(compose.container("api", 2)) < compose.found("api")
    assert compose("exec", "-T", "db", "ping", "-c", "1", "-W", "1", "web").code == 1
    compose.ok("up", "-d", "-t", "0", "--scale", "api=1")
    assert len(compose.ids("api")) == 1 == len(compose.found("api"))


def test_exec_and_run(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(SHOP)
    assert (
        compose.ok("run", "--rm", "-T", "-e", "A=1", "api", "sh", "-c", "cat /etc/hosts >/dev/null; echo $A")
        == "1\n"
    )
    assert compose.state(compose.container("db"))["Health"]["Status"] == "healthy", "it was started first"
    compose.ok("up", "-d")
    assert compose.ok("exec", "-T", "api", "cat", "/www/goods") == "apples\n"
    assert compose.ok("exec", "-T", "db", "cat", stdin="through") == "through"
    assert compose("exec", "-T", "-u", "nobody", "db", "sh", "-c", "id -un; exit 7").code == 7
    assert compose("run", "--rm", "-T", "web", "sh", "-c", "exit 9").code == 9
    assert compose.ok("run", "--rm", "-T", "web", "wget", "-qO-", "http://api/goods") == "apples\n"
    port = compose.ok("run", "-d", "--service-ports", "--name", "second", "web").split()[-1]
    assert engine.api.get(f"/containers/{port}/json").json["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
    compose.ok("down", "-v", "--remove-orphans", "-t", "0")  # that of `run` is one
    assert left(compose.api) == []


def test_stops_and_starts(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(SHOP)
    compose.ok("up", "-d")
    web = compose.container("web")
    before = compose.state(web)["StartedAt"], compose.ids("web")
    with compose.start("events", "--json") as events:
        assert events.stdout
        time.sleep(1.0)  # for the request to be there
        compose.ok("restart", "-t", "0", "web")
        seen: list[str] = []
        while "restart" not in seen:
            event = json.loads(events.stdout.readline())
            seen += [event["action"]] if event["service"] == "web" else []
        events.kill()
    assert [action for action in seen if action in ("die", "start", "restart")] == ["die", "start", "restart"]
    assert compose.state(web)["StartedAt"] > before[0] and compose.ids("web") == before[1]
    eventually(lambda: compose.bought() == "apples\n")
    compose.ok("kill", "-s", "KILL", "api")
    assert compose.state(compose.container("api"))["ExitCode"] == 137
    assert len(compose.ids("api")) == 0
    compose.ok("start", "api")
    eventually(lambda: compose.bought() == "apples\n")
    compose.ok("pause", "db")
    assert compose.state(compose.container("db"))["Status"] == "paused"
    compose.ok("unpause", "db")
    compose.ok("stop", "-t", "0")
    assert {compose.state(compose.container(name))["Status"] for name in ("db", "api", "web")} == {"exited"}
    compose.ok("rm", "-f", "web")
    assert engine.api.get(f"/containers/{web}/json").status == 404


def test_what_changed_is_made_again(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(SHOP)
    compose.ok("up", "-d")
    before = {name: compose.ids(name) for name in ("db", "api", "web")}
    compose.ok("exec", "-T", "api", "touch", "/www/kept")
    compose.ok("up", "-d")
    assert {name: compose.ids(name) for name in before} == before, "nothing has changed"
    compose.ok("up", "-d", "-t", "0", env={"GOODS": "pears"})
    eventually(lambda: compose.ok("exec", "-T", "db", "cat", "/data/goods") == "pears\n")
    assert compose.ids("db") != before["db"] and compose.ids("web") == before["web"] and len(compose.ids()) == 3
    compose.ok("up", "-d", "-t", "0", "--force-recreate", "--no-deps", "api", env={"GOODS": "pears"})
    assert compose.ids("api") != before["api"]
    compose.ok("exec", "-T", "api", "ls", "/www/kept")  # anonymous volumes go with the service
    eventually(lambda: compose.bought() == "pears\n")


def test_attached(project: Callable[..., Compose], engine: Engine) -> None:
    """`up` in the foreground shows all output; an interrupt stops the services."""
    compose = project(SHOP)
    with compose.start("up", "-t", "0") as up:
        assert up.stdout
        said = b""
        while b"open" not in said:
            line = up.stdout.readline()
            assert line, said
            said += line
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=30)
    eventually(lambda: compose.ids() == [])
    assert compose.state(compose.container("web"))["Status"] == "exited"


def test_orphans(project: Callable[..., Compose], engine: Engine) -> None:
    """What an earlier version of the file had goes with --remove-orphans alone."""
    compose = project(SHOP)
    compose.ok("up", "-d")
    smaller = project("services: {db: {image: busybox, init: true, command: sleep 1000}}")
    smaller.ok("up", "-d", "-t", "0")
    assert engine.api.get(f"/containers/{compose.container('web')}/json").status == 200
    smaller.ok("up", "-d", "-t", "0", "--remove-orphans")
    assert len(engine.api.get("/containers/json", all=1).json) == 1
    compose.ok("down", "-v", "--remove-orphans", "-t", "0")
    volumes = engine.api.get("/volumes", filters='{"label":["com.docker.compose.project"]}').json["Volumes"]
    assert engine.api.get("/containers/json", all=1).json == volumes == []


def test_other_words(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(SHOP)
    compose.ok("create") if compose.kind == PLUGIN else compose.ok("up", "--no-start")
    assert compose.state(compose.container("web"))["Status"] == "created"
    compose.ok("up", "-d")
    assert "busybox" in compose.ok("images")
    if compose.kind != PLUGIN:
        return
    listed = json.loads(compose.ok("ls", "--format", "json"))
    assert [(row["Name"], row["Status"]) for row in listed] == [("shop", "running(3)")]
    (compose.directory / "sent").write_text("by cp")
    compose.ok("cp", str(compose.directory / "sent"), "db:/data/sent")
    assert compose.ok("exec", "-T", "db", "cat", "/data/sent") == "by cp"
    assert [row["Name"] for row in map(json.loads, compose.ok("volumes", "--format", "json").splitlines())] == [
        "shop_data"
    ]
    assert compose.ok("stats", "--no-stream", "--format", "{{.Name}}").count("shop-") == 3
    rows = [json.loads(line) for line in compose.ok("ps", "--format", "json").splitlines()]
    assert {row["Service"]: row["Health"] for row in rows} == {"db": "healthy", "api": "healthy", "web": ""}
    compose.ok("scale", "api=2")
    assert len(compose.ids("api")) == 2
    with compose.start("wait", "api") as waiting:
        time.sleep(1.0)
        compose.ok("kill", "api")
        assert waiting.wait(30) == 137
