"""System, events, volumes, networks, registries, and what Proa has not."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from proa.api.endpoints import ENDPOINTS
from proa.errors import Unauthorized
from rig.fake_engine import FakeEngine
from rig.raw_client import Client


def test_every_endpoint_has_a_handler() -> None:
    assert len(ENDPOINTS) > 100
    for endpoint in ENDPOINTS:
        assert callable(endpoint.resolve()), endpoint.pattern
    assert len({(endpoint.method, endpoint.pattern) for endpoint in ENDPOINTS}) == len(ENDPOINTS)


async def test_version_is_what_clients_read(client: Client) -> None:
    document = (await client.get("/version")).json
    assert (document["ApiVersion"], document["MinAPIVersion"], document["Os"]) == ("1.51", "1.24", "linux")
    assert document["Components"][0]["Name"] == "Engine"
    assert document["Components"][0]["Details"]["ApiVersion"] == "1.51"


async def test_the_api_describes_itself(client: Client) -> None:
    document = (await client.get("/proa/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    assert "/containers/{name}/logs" in document["paths"]
    assert "Mounts" in document["components"]["schemas"]["HostConfig"]["properties"]


async def test_info_has_what_clients_read(client: Client, engine: FakeEngine) -> None:
    await client.create()
    document = (await client.get("/info")).json
    for name in (
        "ID", "ServerVersion", "OSType", "Architecture", "OperatingSystem", "KernelVersion", "NCPU", "MemTotal",
        "Driver", "DriverStatus", "CgroupDriver", "CgroupVersion", "DockerRootDir", "SecurityOptions", "Runtimes",
        "DefaultRuntime", "IndexServerAddress", "LoggingDriver",
    ):  # fmt: skip
        assert document[name], name
    assert (document["Containers"], document["ContainersStopped"], document["Images"]) == (1, 1, 1)
    assert document["Swarm"]["LocalNodeState"] == "inactive"
    assert document["RegistryConfig"]["IndexConfigs"]["docker.io"]["Official"] is True
    assert (await client.get("/info")).json["ID"] == document["ID"]


async def test_info_keeps_the_proxy_s_password_to_itself(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    monkeypatch.setenv("no_proxy", "localhost,.example.com")
    monkeypatch.delenv("NO_PROXY", raising=False)
    document = (await client.get("/info")).json
    assert document["HttpsProxy"] == "http://xxxxx:xxxxx@proxy:3128"
    assert document["NoProxy"] == "localhost,.example.com"


async def test_disk_usage(client: Client) -> None:
    identifier = await client.create()
    await client.post("/volumes/create", {"Name": "data"})
    document = (await client.get("/system/df")).json
    assert document["LayersSize"] == 1000
    assert document["Images"][0]["SharedSize"] == 0
    assert (document["Containers"][0]["Id"], document["Containers"][0]["SizeRw"]) == (identifier, 42)
    assert document["Volumes"][0]["UsageData"] == {"RefCount": 0, "Size": 0}
    assert document["BuildCache"] == []
    document = (await client.get("/system/df?type=volume")).json
    assert (document["Images"], document["Containers"]) == (None, None)
    assert (await client.get("/system/df?type=x")).status == 400


async def test_events_are_live_when_the_headers_come(client: Client, engine: FakeEngine) -> None:
    listener = await client.connect()
    await listener.request("GET", "/v1.44/events?filters=" + '{"event":["create"]}')
    _, headers = await listener.head()
    assert headers["content-type"] == "application/json"
    identifier = await client.create("web")
    event = json.loads(await listener.chunk())
    assert event == {
        "status": "create", "id": identifier, "from": "busybox", "Type": "container", "Action": "create",
        "Actor": {"ID": identifier, "Attributes": {"name": "web", "image": "busybox"}},
        "scope": "local", "time": event["timeNano"] // 10**9, "timeNano": event["timeNano"],
    }  # fmt: skip


async def test_past_events_are_replayed(client: Client, engine: FakeEngine) -> None:
    engine.events.emit("image", "create", "sha256:1", {"name": "x"})
    engine.events.emit("network", "connect", "n", {"name": "bridge"})
    for version, actions in (("1.45", ["connect"]), ("1.46", ["create", "connect"])):
        reply = await client.get(f"/v{version}/events?since=0&until=9999999.5")
        assert reply.body == b""
        from proa import times

        until = times.now() // times.SECOND + 1
        listener = await client.connect()
        await listener.request("GET", f"/v{version}/events?since=1&until={until}")
        await listener.head()
        assert [json.loads(await listener.chunk())["Action"] for _ in actions] == actions


@pytest.mark.parametrize("query", ["since=x", "since=5&until=3", 'filters={"nothing":["x"]}'])
async def test_bad_events_are_refused_before_the_stream(client: Client, query: str) -> None:
    assert (await client.get(f"/events?{query}")).status == 400


async def test_volumes(client: Client) -> None:
    assert (await client.get("/volumes")).json == {"Volumes": [], "Warnings": None}
    reply = await client.post("/volumes/create", {"Name": "data", "Labels": {"a": "b"}, "DriverOpts": {"o": "1"}})
    assert (reply.status, reply.json) == (201, {
        "CreatedAt": "2023-11-14T22:13:20Z", "Driver": "local", "Labels": {"a": "b"},
        "Mountpoint": "/volumes/data/_data", "Name": "data", "Options": {"o": "1"}, "Scope": "local",
    })  # fmt: skip
    assert (await client.get("/volumes/data")).json["Name"] == "data"
    assert (await client.call("DELETE", "/volumes/data")).status == 204
    reply = await client.call("DELETE", "/volumes/data")
    assert (reply.status, reply.message) == (404, "get data: no such volume")
    assert (await client.call("DELETE", "/volumes/data?force=1")).status == 204
    assert (await client.call("PUT", "/volumes/data", {})).status == 503


async def test_pruning_volumes_depends_on_the_version(client: Client, engine: FakeEngine) -> None:
    await client.post("/volumes/create", {"Name": "named"})
    anonymous = (await client.post("/volumes/create")).json["Name"]
    assert (await client.post("/v1.42/volumes/prune")).json["VolumesDeleted"] == [anonymous]
    assert (await client.post('/v1.41/volumes/prune?filters={"all":["1"]}')).status == 400
    assert (await client.post("/v1.41/volumes/prune")).json["VolumesDeleted"] == ["named"]


async def test_networks(client: Client, engine: FakeEngine) -> None:
    rows = (await client.get("/networks")).json
    assert [row["Name"] for row in rows] == ["bridge", "host", "none"]
    assert rows[0]["IPAM"]["Config"][0]["Subnet"] == "172.17.0.0/16"
    assert [row["Name"] for row in (await client.get('/networks?filters={"name":["ho"]}')).json] == ["host"]
    assert (await client.get('/networks?filters={"driver":["null"]}')).json[0]["Name"] == "none"
    assert (await client.get('/networks?filters={"type":["custom"]}')).json == []
    engine.containers.runs_until_stopped = True
    identifier = await client.create("web")
    await client.post(f"/containers/{identifier}/start")
    members = (await client.get("/networks/bridge")).json["Containers"]
    assert members[identifier]["IPv4Address"] == "172.17.0.2/16"
    reply = await client.get("/networks/mine")
    assert (reply.status, reply.message) == (404, "network mine not found")
    reply = await client.call("DELETE", "/networks/bridge")
    assert (reply.status, reply.message) == (403, "bridge is a pre-defined network and cannot be removed")


async def test_making_and_using_networks(client: Client, engine: FakeEngine) -> None:
    body = {"Name": "mine", "Labels": {"a": "b"}, "CheckDuplicate": True, "IPAM": {"Config": None}}
    made = await client.post("/networks/create", body)
    assert (made.status, made.json["Warning"]) == (201, "")
    reply = await client.post("/networks/create", body)
    assert (reply.status, reply.message) == (409, "network with name mine already exists")
    shown = (await client.get("/networks/mine")).json
    assert (shown["Id"], shown["Labels"], shown["Containers"]) == (made.json["Id"], {"a": "b"}, {})
    identifier = await client.create("web")
    settings = {"Aliases": ["www"], "GwPriority": 7, "IPAMConfig": {"IPv4Address": "10.0.0.9"}}
    wanted = {"Container": "web", "EndpointConfig": settings}
    assert (await client.post("/networks/mine/connect", wanted)).status == 200
    place = engine.containers.records[identifier].endpoints["mine"].wishes
    assert (place.aliases, place.gateway_priority, place.address) == (["www"], 7, "10.0.0.9")
    assert (await client.post("/v1.47/networks/mine/connect", wanted)).status == 200
    assert engine.containers.records[identifier].endpoints["mine"].wishes.gateway_priority == 0
    names = (await client.get(f"/containers/{identifier}/json")).json["NetworkSettings"]["Networks"]
    assert list(names) == ["bridge", "mine"] and names["mine"]["Aliases"] == ["www"]
    assert (await client.post("/networks/mine/disconnect", {"Container": "web"})).status == 200
    assert [row["Name"] for row in (await client.get('/networks?filters={"dangling":["1"]}')).json] == ["mine"]
    assert [row["Name"] for row in (await client.get('/networks?filters={"label":["a=b"]}')).json] == ["mine"]
    assert (await client.post('/networks/prune?filters={"label":["c"]}')).json == {"NetworksDeleted": None}
    assert (await client.post("/networks/prune")).json == {"NetworksDeleted": ["mine"]}
    assert (await client.call("DELETE", "/networks/mine")).status == 404


async def test_registries_are_asked(client: Client, engine: FakeEngine) -> None:
    asked: list[Any] = []

    async def login(server: str, given: Any) -> str:
        asked.append((server, given.username, given.password))
        if given.password != "right":
            raise Unauthorized("unauthorized: incorrect username or password")
        return "token"

    engine.registry = SimpleNamespace(login=login)
    body = {"username": "me", "password": "right", "serveraddress": "localhost:5000"}
    reply = await client.post("/auth", body)
    assert reply.json == {"IdentityToken": "token", "Status": "Login Succeeded"}
    reply = await client.post("/auth", {**body, "password": "wrong"})
    assert reply.status == 401
    assert asked == [("localhost:5000", "me", "right"), ("localhost:5000", "me", "wrong")]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/build", 501), ("POST", "/build/prune", 200), ("POST", "/grpc", 400), ("POST", "/session", 400),
        ("POST", "/build/cancel", 400), ("POST", "/build/cancel?id=x", 200),
        ("POST", "/nodes/create", 404), ("POST", "/tasks/create", 404), ("POST", "/swarm/leave", 503),
        ("PUT", "/volumes/x", 503), ("GET", "/services/x/logs", 503), ("GET", "/containers/x/checkpoints", 501),
        ("POST", "/networks/create", 400), ("POST", "/networks/bridge/connect", 400),

        ("GET", "/swarm", 503), ("POST", "/swarm/init", 501),
        ("GET", "/services", 503), ("GET", "/nodes/x", 503), ("POST", "/secrets/create", 503),
        ("GET", "/plugins", 200), ("GET", "/plugins/x/json", 404), ("POST", "/plugins/pull", 501),
        ("POST", "/networks/prune", 200), ("OPTIONS", "/anything", 200),
    ],
)  # fmt: skip
async def test_what_proa_has_not_is_told_clearly(client: Client, method: str, target: str, status: int) -> None:
    reply = await client.call(method, target, b"")
    assert reply.status == status
    if status >= 400:
        assert reply.message
