"""What the engine tells of: each verb's events in Docker's words, with Docker's attributes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine

Event = dict[str, Any]


def moment() -> str:
    """Now, as `since` and `until` take it; a little later, since both are inclusive."""
    time.sleep(0.002)
    return f"{time.time():.9f}"


def replay(api: Api, since: str, until: str = "", **filters: list[str]) -> list[Event]:
    answer = api.get("/events", since=since, until=until or moment(), filters=json.dumps(filters))
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def told(events: list[Event]) -> list[str]:
    return [f"{event['Type']} {event['Action']}" for event in events]


def test_a_container_from_creation_to_removal(client: Client, api: Api) -> None:
    since = moment()
    client.ok("run", "-d", "--name", "heard", "--label", "l=1", "-v", "heard:/v:ro", "busybox", "sleep", "600")
    client.ok("exec", "heard", "true")
    client.fails("exec", "heard", "sh", "-c", "exit 3", code=3)
    client.ok("top", "heard")
    client.ok("pause", "heard")
    client.ok("unpause", "heard")
    client.ok("rename", "heard", "herd")
    client.ok("commit", "herd", "heard:image")
    client.ok("kill", "--signal", "HUP", "herd")
    client.ok("stop", "-t", "0", "herd")
    client.ok("rm", "herd")
    client.ok("volume", "rm", "heard")
    client.ok("rmi", "heard:image")
    events = replay(api, since)
    seen = told(events)
    if seen.index("container stop") < seen.index("container die"):  # Docker itself tells it either way round
        seen.remove("container stop")
        seen.insert(seen.index("container die") + 1, "container stop")
    assert seen == [
        "volume create", "container create", "volume mount", "network connect", "container start",
        "container exec_create: true ", "container exec_start: true ", "container exec_die",
        "container exec_create: sh -c exit 3", "container exec_start: sh -c exit 3", "container exec_die",
        "container top", "container pause", "container unpause", "container rename",
        "container pause", "image create", "image tag", "container commit", "container unpause",
        "container kill", "container kill", "container kill",
        "network disconnect", "volume unmount", "container die", "container stop", "container destroy",
        "volume destroy", "image untag", "image delete",
    ]  # fmt: skip
    _check_attributes(events)


def _check_attributes(events: list[Event]) -> None:
    by_action: dict[str, dict[str, str]] = {}
    for event in events:
        assert event["scope"] == "local" and event["timeNano"] // 10**9 == event["time"]
        if event["Type"] == "container":
            attributes = event["Actor"]["Attributes"]
            legacy = (event["status"], event["id"], event["from"])
            assert legacy == (event["Action"], event["Actor"]["ID"], "busybox")
            assert attributes["l"] == "1" and attributes["image"] == "busybox"
        by_action.setdefault(f"{event['Type']} {event['Action'].partition(':')[0]}", event["Actor"]["Attributes"])
    identifier = next(event["Actor"]["ID"] for event in events if event["Type"] == "container")
    assert by_action["volume mount"] == {
        "container": identifier, "destination": "/v", "driver": "local", "propagation": "", "read/write": "false",
    }  # fmt: skip
    assert by_action["volume unmount"] == {"container": identifier, "driver": "local"}
    assert by_action["network connect"] == {"container": identifier, "name": "bridge", "type": "bridge"}
    assert by_action["container rename"]["oldName"] == "/heard"
    assert by_action["container kill"]["signal"] == "1"
    assert by_action["container die"]["exitCode"] == "137"
    assert by_action["container die"]["execDuration"].isdecimal()
    assert by_action["container commit"]["imageRef"] == "heard:image"
    assert by_action["container commit"]["imageID"] == by_action["image create"]["name"]
    assert len(by_action["container exec_die"]["execID"]) == 64


def test_prunes_tell_what_they_freed(api: Api) -> None:
    since = moment()
    for noun in ("containers", "volumes", "images"):
        api.post(f"/{noun}/prune", filters=json.dumps({"label": ["nothing"]}))
    events = replay(api, since)
    assert told(events) == ["container prune", "volume prune", "image prune"]
    for event in events:
        assert event["Actor"] == {"ID": "", "Attributes": {"reclaimed": "0"}}
        assert "id" not in event


@pytest.fixture
def history(api: Api) -> str:
    """The moment before two containers have lived and a volume was made."""
    since = moment()
    for name, label in (("first", "a"), ("second", "b")):
        body = {"Image": "busybox", "Cmd": ["true"], "Labels": {"l": label}}
        identifier = api.post("/containers/create", body, name=name).json["Id"]
        api.post(f"/containers/{identifier}/start")
        api.post(f"/containers/{identifier}/wait")
    api.post("/volumes/create", {"Name": "kept"})
    return since


FILTERS: list[tuple[dict[str, list[str]], list[str]]] = [
    ({"type": ["volume"]}, ["volume create"]),
    ({"event": ["die"]}, ["container die", "container die"]),
    ({"event": ["die", "create"], "container": ["first"]}, ["container create", "container die"]),
    ({"container": ["fir"], "event": ["create"]}, ["container create"]),
    ({"label": ["l=b"], "event": ["start"]}, ["container start"]),
    ({"label": ["l"], "event": ["start"]}, ["container start", "container start"]),
    ({"image": ["busybox"], "event": ["start"]}, ["container start", "container start"]),
    ({"image": ["other"]}, []),
    ({"network": ["bridge"], "event": ["connect"]}, ["network connect", "network connect"]),
    ({"volume": ["kept"]}, ["volume create"]),
    ({"scope": ["swarm"]}, []),
    ({"daemon": ["nobody"]}, []),
]


@pytest.mark.parametrize(("filters", "wanted"), FILTERS)
def test_filters(api: Api, history: str, filters: dict[str, list[str]], wanted: list[str]) -> None:
    assert told(replay(api, history, **filters)) == wanted


def test_a_stream_is_live_when_its_head_comes_and_ends_at_its_time(api: Api) -> None:
    with api.stream("GET", "/events", since=moment(), until=f"{time.time() + 1:.3f}") as stream:
        assert stream.getheader("Content-Type") == "application/json"
        api.post("/volumes/create", {"Name": "soon"})
        assert json.loads(stream.readline())["Action"] == "create"
        assert stream.read() == b""
    assert api.get("/events", since="2", until="1").status == 400
    assert replay(api, "1", "2") == []


def test_only_the_last_256_are_kept(api: Api) -> None:
    since = moment()
    for number in range(140):
        api.post("/volumes/create", {"Name": f"one-of-many-{number}"})
        api.delete(f"/volumes/one-of-many-{number}")
    assert len(replay(api, since)) == 256


def test_an_image_that_is_made_is_told_of_since_1_46(engine: Engine, api: Api) -> None:
    since = moment()
    identifier = api.post("/containers/create", {"Image": "busybox"}).json["Id"]
    image = api.post("/commit", {}, container=identifier).json["Id"]
    until = moment()
    for version, wanted in (("v1.45", 0), ("v1.46", 1)):
        events = replay(Api(api.path, version), since, until, type=["image"], event=["create"])
        assert len(events) == wanted
    api.delete(f"/images/{image}")
