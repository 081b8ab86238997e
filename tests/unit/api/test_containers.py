"""The container endpoints: what reaches the engine, and what clients get back in each version."""

from __future__ import annotations

from typing import Any

import pytest

from proa import times
from proa.engine.records import MountPoint
from rig.fake_engine import FakeEngine
from rig.raw_client import Client


async def test_a_container_is_created_listed_and_inspected(client: Client) -> None:
    identifier = await client.create("web", Cmd=["sleep", "a b"], Labels={"a": "b"}, Tty=True)
    (row,) = (await client.get("/containers/json?all=1")).json
    assert row["Id"] == identifier
    assert row["Names"] == ["/web"]
    assert row["Image"] == "busybox"
    assert row["ImageID"].startswith("sha256:")
    assert row["Command"] == "sleep 'a b'"
    assert row["Labels"] == {"a": "b"}
    assert (row["State"], row["Status"]) == ("created", "Created")
    assert (row["Ports"], row["Mounts"]) == ([], [])
    assert isinstance(row["Created"], int)
    document = (await client.get("/containers/web/json")).json
    assert (document["Id"], document["Name"]) == (identifier, "/web")
    assert (document["Path"], document["Args"]) == ("sleep", ["a b"])
    assert document["Config"]["Tty"] is True
    assert times.parse_time(document["Created"]) // times.SECOND == row["Created"]


async def test_running_containers_are_listed_without_all(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    first, second = await client.create("first"), await client.create("second")
    await client.post(f"/containers/{second}/start")
    (row,) = (await client.get("/containers/json")).json
    assert (row["Id"], row["State"]) == (second, "running")
    assert row["Status"] == "Up Less than a second"
    assert row["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "172.17.0.2"
    rows = (await client.get("/containers/json?limit=5")).json
    assert [row["Id"] for row in rows] == [second, first]


async def test_a_moved_tag_is_shown_as_the_image_it_was(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create()
    engine.containers.records[identifier].image_id = "sha256:" + "0" * 64
    (row,) = (await client.get("/containers/json?all=1")).json
    assert row["Image"] == row["ImageID"] == "sha256:" + "0" * 64


async def test_sizes_are_measured_on_demand(client: Client) -> None:
    identifier = await client.create()
    (row,) = (await client.get("/containers/json?all=1&size=1")).json
    assert (row["SizeRw"], row["SizeRootFs"]) == (42, 1042)
    assert "SizeRw" not in (await client.get(f"/containers/{identifier}/json")).json
    assert (await client.get(f"/containers/{identifier}/json?size=true")).json["SizeRw"] == 42


async def test_inspect_fills_in_what_docker_fills_in(client: Client) -> None:
    identifier = await client.create(
        HostConfig={"Memory": 64 << 20, "Binds": ["/tmp:/x:ro"], "CapAdd": ["net_admin"], "Unknown": 1}
    )
    host = (await client.get(f"/containers/{identifier}/json")).json["HostConfig"]
    assert host["Memory"] == 64 << 20
    assert host["MemorySwap"] == 128 << 20
    assert host["Binds"] == ["/tmp:/x:ro"]
    assert host["CapAdd"] == ["CAP_NET_ADMIN"]
    assert host["CapDrop"] is None
    assert host["NetworkMode"] == "bridge"
    assert host["IpcMode"] == "private"
    assert host["ShmSize"] == 64 << 20
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert host["PortBindings"] is None  # as they were not given
    assert host["ConsoleSize"] == [0, 0]
    assert host["Runtime"] == "proa"
    assert "/proc/kcore" in host["MaskedPaths"]
    assert "/proc/sys" in host["ReadonlyPaths"]
    assert host["PidsLimit"] is None
    assert "Unknown" not in host
    assert "Tmpfs" not in host


async def test_inspect_never_has_null_where_clients_index(client: Client) -> None:
    document = (await client.get(f"/containers/{await client.create()}/json")).json
    settings = document["NetworkSettings"]
    assert settings["Ports"] == {}
    assert settings["Networks"]["bridge"]["IPAddress"] == settings["IPAddress"] == ""
    assert document["Mounts"] == []
    assert document["Config"]["Labels"] == {}
    assert document["ExecIDs"] is None
    state = document["State"]
    assert state == {
        "Status": "created", "Running": False, "Paused": False, "Restarting": False, "OOMKilled": False,
        "Dead": False, "Pid": 0, "ExitCode": 0, "Error": "", "StartedAt": times.ZERO_TEXT,
        "FinishedAt": times.ZERO_TEXT,
    }  # fmt: skip


async def test_inspect_shows_mounts(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create()
    engine.containers.records[identifier].mounts = [
        MountPoint(
            type="volume", name="data", source="/v/data/_data", destination="/data", driver="local", mode="z"
        ),
        MountPoint(type="bind", source="/tmp", destination="/t", read_write=False, propagation="rprivate"),
    ]
    assert (await client.get(f"/containers/{identifier}/json")).json["Mounts"] == [
        {
            "Type": "volume", "Name": "data", "Source": "/v/data/_data", "Destination": "/data",
            "Driver": "local", "Mode": "z", "RW": True, "Propagation": "",
        },
        {
            "Type": "bind", "Source": "/tmp", "Destination": "/t", "Mode": "", "RW": False,
            "Propagation": "rprivate",
        },
    ]  # fmt: skip


async def test_exposed_ports_are_shown_while_running(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create(ExposedPorts={"80/tcp": {}, "5000-5001/udp": None})
    await client.post(f"/containers/{identifier}/start")
    document = (await client.get(f"/containers/{identifier}/json")).json
    expected = {"80/tcp": None, "5000/udp": None, "5001/udp": None}
    assert document["NetworkSettings"]["Ports"] == expected
    assert document["Config"]["ExposedPorts"] == {port: {} for port in expected}
    (row,) = (await client.get("/containers/json")).json
    assert {"PrivatePort": 80, "Type": "tcp"} in row["Ports"]


@pytest.mark.parametrize(("version", "shown"), [("1.45", False), ("1.46", True)])
async def test_annotations_are_listed_since_1_46(client: Client, version: str, shown: bool) -> None:
    await client.create(HostConfig={"Annotations": {"a": "b"}})
    (row,) = (await client.get(f"/v{version}/containers/json?all=1")).json
    assert ("Annotations" in row["HostConfig"]) is shown


async def test_starting_and_stopping_twice_changes_nothing(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    assert (await client.post(f"/containers/{identifier}/start")).status == 204
    again = await client.post(f"/containers/{identifier}/start")
    assert (again.status, again.body) == (304, b"")
    assert (await client.post(f"/containers/{identifier}/stop?t=3&signal=INT")).status == 204
    assert (await client.post(f"/containers/{identifier}/stop")).status == 304
    assert engine.containers.calls == [("stop", 3, "INT"), ("stop", None, "")]


async def test_old_clients_have_no_stop_signal(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create()
    await client.post(f"/v1.41/containers/{identifier}/stop?t=-1&signal=INT")
    assert engine.containers.calls == [("stop", -1, "")]


async def test_a_start_has_no_body(client: Client) -> None:
    identifier = await client.create()
    reply = await client.post(f"/containers/{identifier}/start", {"HostConfig": {}})
    assert reply.status == 400
    assert "non-empty request body" in reply.message
    assert (await client.post(f"/containers/{identifier}/start", {})).status == 204


async def test_kill_needs_a_running_container(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    reply = await client.post(f"/containers/{identifier}/kill")
    assert (reply.status, reply.message) == (409, f"container {identifier} is not running")
    await client.post(f"/containers/{identifier}/start")
    assert (await client.post(f"/containers/{identifier}/kill?signal=HUP")).status == 204
    assert engine.containers.calls == [("kill", "KILL"), ("kill", "HUP")]


async def test_removal_passes_its_options_on(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create()
    assert (await client.call("DELETE", f"/containers/{identifier}?v=1&force=True")).status == 204
    assert engine.containers.calls == [("remove", True, True)]
    reply = await client.call("DELETE", f"/containers/{identifier}")
    assert (reply.status, reply.message) == (404, f"No such container: {identifier}")


async def test_names_are_found_with_a_slash_and_by_prefix(client: Client) -> None:
    identifier = await client.create("web")
    for name in ("web", "/web", "%2Fweb", identifier[:12], identifier):
        assert (await client.get(f"/containers/{name}/json")).json["Id"] == identifier


async def test_a_taken_name_is_a_conflict(client: Client) -> None:
    identifier = await client.create("web")
    reply = await client.post("/containers/create?name=web", {"Image": "busybox"})
    assert reply.status == 409
    assert f'The container name "/web" is already in use by container "{identifier}"' in reply.message


async def test_a_missing_image_makes_clients_pull(client: Client) -> None:
    reply = await client.post("/containers/create", {"Image": "nothing:1"})
    assert (reply.status, reply.message) == (404, "No such image: nothing:1")


async def test_waiting_for_removal(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create(HostConfig={"AutoRemove": True})
    exchange = await client.connect()
    await exchange.request("POST", f"/containers/{identifier}/wait?condition=removed")
    await exchange.head()
    await client.post(f"/containers/{identifier}/start")
    await client.post(f"/containers/{identifier}/kill")
    assert await exchange.chunk() == b'{"StatusCode":137}\n'


async def test_waits_are_checked_before_the_headers(client: Client) -> None:
    reply = await client.post("/containers/nobody/wait")
    assert reply.status == 404
    reply = await client.post(f"/containers/{await client.create()}/wait?condition=sometime")
    assert (reply.status, reply.message) == (400, 'invalid condition: "sometime"')


async def test_small_verbs(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create("old")
    await client.post(f"/containers/{identifier}/start")
    assert (await client.post(f"/containers/{identifier}/rename?name=new")).status == 204
    assert (await client.post("/containers/new/pause")).status == 204
    assert (await client.get("/containers/new/json")).json["State"]["Status"] == "paused"
    assert (await client.post("/containers/new/unpause")).status == 204
    assert (await client.post("/containers/new/resize?h=24&w=80")).status == 200
    assert engine.containers.calls == [("resize", 24, 80)]
    top = (await client.get("/containers/new/top?ps_args=aux")).json
    assert top == {"Titles": ["PID", "CMD"], "Processes": [["1", "aux"]]}
    changes = (await client.get("/containers/new/changes")).json
    assert changes == [{"Path": "/etc", "Kind": 0}, {"Path": "/etc/x", "Kind": 1}]


async def test_prune_removes_stopped_containers_by_filter(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    running = await client.create("running", Labels={"a": "1"})
    await client.post(f"/containers/{running}/start")
    labelled, plain = await client.create("labelled", Labels={"a": "1"}), await client.create("plain")
    reply = await client.post('/containers/prune?filters={"label":["a=1"]}')
    assert reply.json == {"ContainersDeleted": [labelled], "SpaceReclaimed": 42}
    reply = await client.post("/containers/prune")
    assert reply.json == {"ContainersDeleted": [plain], "SpaceReclaimed": 42}
    assert (await client.post("/containers/prune")).json["ContainersDeleted"] is None
    assert list(engine.containers.records) == [running]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("/resize?h=a&w=1", 'invalid resize height "a": invalid syntax'),
        ("/resize?h=4294967296&w=1", 'invalid resize height "4294967296": value out of range'),
        ("/stop?t=x", 'strconv.Atoi: parsing "x": invalid syntax'),
        ("/rename", "Neither old nor new names may be empty"),
    ],
)
async def test_bad_parameters_are_named(client: Client, query: str, message: str) -> None:
    reply = await client.post(f"/containers/{await client.create()}{query}")
    assert (reply.status, reply.message) == (400, message)


async def test_a_failure_nobody_expected_is_one_line(
    client: Client, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*arguments: Any) -> None:
        raise RuntimeError("first line\nsecond line")

    engine.containers.start = broken  # type: ignore[method-assign]
    reply = await client.post(f"/containers/{await client.create()}/start")
    assert (reply.status, reply.message) == (500, "internal error: RuntimeError: first line")
    assert "unexpected failure" in caplog.text
