"""The API's letter: headers, streams and orders that clients rely on but do not show."""

from __future__ import annotations

import json
import struct
import threading
import time

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import eventually

BUSYBOX = "busybox"


def create(api: Api, *command: str, **more: object) -> str:
    answer = api.post("/containers/create", {"Image": BUSYBOX, "Cmd": list(command), **more})
    assert answer.status == 201, answer
    assert answer.json["Warnings"] == []
    return str(answer.json["Id"])


@pytest.mark.cgroup2
def test_ping(api: Api) -> None:
    plain = Api(api.path, "")
    got, head = plain.get("/_ping"), plain.request("HEAD", "/_ping")
    assert (got.status, got.body, head.status, head.body) == (200, b"OK", 200, b"")
    for answer in (got, head):
        assert answer.headers["api-version"] and answer.headers["ostype"] == "linux"
        assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
        assert answer.headers["server"].startswith("Docker/")


def test_errors_are_json_exactly(api: Api) -> None:
    answer = api.get("/containers/nobody/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {"message": "No such container: nobody"}


def frames(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, size = struct.unpack(">B3xI", data[:8])
        found.append((kind, data[8 : 8 + size]))
        data = data[8 + size :]
    return found


def test_attach_gets_the_first_byte(api: Api) -> None:
    name = create(api, "sh", "-c", "echo out; echo err >&2")
    stream = api.hijack(f"/containers/{name}/attach", stream=1, stdout=1, stderr=1)
    assert api.post(f"/containers/{name}/start").status == 204
    data = b""
    while piece := stream.recv(65536):
        data += piece
    stream.close()
    assert sorted(frames(data)) == [(1, b"out\n"), (2, b"err\n")]


def test_end_of_input_is_no_hang_up(api: Api) -> None:
    """A client without input shuts its writing side at once, and still wants the output."""
    name = create(api, "sh", "-c", "sleep 0.3; echo late")
    stream = api.hijack(f"/containers/{name}/attach", stream=1, stdout=1, stderr=1)
    stream.shutdown(1)
    api.post(f"/containers/{name}/start")
    data = b""
    while piece := stream.recv(65536):
        data += piece
    stream.close()
    assert frames(data) == [(1, b"late\n")]


def test_wait_answers_its_header_at_once(api: Api) -> None:
    name = create(api, "sh", "-c", "exit 5")
    with api.stream("POST", f"/containers/{name}/wait", condition="next-exit") as waiting:
        assert waiting.status == 200
        api.post(f"/containers/{name}/start")
        assert json.loads(waiting.read()) == {"StatusCode": 5}
    assert api.post(f"/containers/{name}/wait").json == {"StatusCode": 5}


def test_wait_for_removal(api: Api) -> None:
    name = create(api, "sh", "-c", "exit 6", HostConfig={"AutoRemove": True})
    with api.stream("POST", f"/containers/{name}/wait", condition="removed") as waiting:
        api.post(f"/containers/{name}/start")
        assert json.loads(waiting.read()) == {"StatusCode": 6}
    assert api.get(f"/containers/{name}/json").status == 404


def test_removal_wakes_waiters_of_the_never_started(api: Api) -> None:
    name = create(api, "true")
    with api.stream("POST", f"/containers/{name}/wait", condition="removed") as waiting:
        assert api.delete(f"/containers/{name}").status == 204
        assert json.loads(waiting.read())["StatusCode"] == 0


def test_exec_is_over_when_its_stream_ends(api: Api, docker: Client) -> None:
    name = docker.detached(BUSYBOX, "sleep", "1000")
    for code in range(5):
        made = api.post(
            f"/containers/{name}/exec", {"Cmd": ["sh", "-c", f"echo x; exit {code}"], "AttachStdout": True}
        )
        stream = api.hijack(f"/exec/{made.json['Id']}/start", {"Detach": False, "Tty": False})
        data = b""
        while piece := stream.recv(65536):
            data += piece
        stream.close()
        assert frames(data) == [(1, b"x\n")]
        seen = api.get(f"/exec/{made.json['Id']}/json").json
        assert (seen["Running"], seen["ExitCode"]) == (False, code)


def test_progress_is_chunked_lines(api: Api) -> None:
    answer = api.post("/images/create", fromImage=BUSYBOX, tag="latest")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body.endswith(b"\r\n")
    messages = [json.loads(line) for line in answer.body.splitlines()]
    assert messages[0] == {"status": "Pulling from library/busybox", "id": "latest"}
    assert messages[-1]["status"].startswith("Status: ")


def test_events_subscription_is_live_with_its_header(api: Api) -> None:
    seen: list[dict[str, object]] = []
    with api.stream("GET", "/events", filters=json.dumps({"container": ["watched"]})) as events:
        api.post("/containers/create", {"Image": BUSYBOX, "Cmd": ["true"]}, name="watched")
        api.post("/containers/watched/start")
        while not seen or seen[-1]["Action"] != "die":
            seen.append(json.loads(events.readline()))
    assert [event["Action"] for event in seen] == ["create", "start", "die"]
    assert seen[-1]["Actor"]["Attributes"]["exitCode"] == "0"  # type: ignore[index]
    assert {"status", "id", "from", "Type", "time", "timeNano", "scope"} <= set(seen[0])


def test_logs_flush_their_header(api: Api) -> None:
    name = create(api, "sleep", "1000")
    api.post(f"/containers/{name}/start")
    begun = time.monotonic()
    with api.stream("GET", f"/containers/{name}/logs", stdout=1, follow=1) as logs:
        assert logs.status == 200
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("method", "target", "body", "answers"),
    [
        ("POST", "/commit?container={}", None, {201}),
        ("POST", "/containers/{}/pause", None, {204, 409}),
        ("GET", "/containers/{}/top", None, {200, 409}),
        ("POST", "/containers/{}/update", {"CpuShares": 500}, {200}),
        ("POST", "/containers/{}/exec", {"Cmd": ["true"]}, {201, 409}),
        ("POST", "/containers/{}/kill", None, {204, 409}),
        ("POST", "/containers/{}/stop", None, {204, 304}),
    ],
)
def test_what_is_asked_of_a_container_that_just_ends(
    api: Api, method: str, target: str, body: object, answers: set[int]
) -> None:
    """It still runs or it does not: never is its shim's end the answer."""
    for _ in range(12):
        name = create(api, "true")
        api.post(f"/containers/{name}/start")
        answer = api.request(method, target.format(name), body)
        assert answer.status in answers, answer


def test_abandoned_waits_are_freed(api: Api) -> None:
    name = create(api, "sleep", "1000")
    api.post(f"/containers/{name}/start")
    for _ in range(50):
        with api.stream("POST", f"/containers/{name}/wait", condition="next-exit"):
            pass
    assert api.delete(f"/containers/{name}", force=1).status == 204


def test_parallel_requests_on_connections_of_one_client(api: Api) -> None:
    names = [create(api, "sh", "-c", "exit 3") for _ in range(20)]
    codes: list[int] = []

    def run(name: str) -> None:
        with api.stream("POST", f"/containers/{name}/wait", condition="next-exit") as waiting:
            api.post(f"/containers/{name}/start")
            codes.append(json.loads(waiting.read())["StatusCode"])

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [3] * 20


def test_inspect_has_what_clients_index(api: Api) -> None:
    name = create(api, "true")
    seen = api.get(f"/containers/{name}/json").json
    assert seen["Name"].startswith("/") and seen["Mounts"] == [] and seen["Config"]["Labels"] == {}
    assert seen["NetworkSettings"]["Ports"] == {} and "bridge" in seen["NetworkSettings"]["Networks"]
    assert "Health" not in seen["State"] and seen["RestartCount"] == 0
    listed = api.get("/containers/json", all=1).json[0]
    assert listed["Id"] == name and listed["Names"] == [seen["Name"]] and isinstance(listed["Created"], int)
    assert api.get("/volumes").json["Volumes"] in ([], None)


def test_resize(api: Api) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    name = create(api, "sh", "-c", script, Tty=True, HostConfig={"ConsoleSize": [11, 22]})
    stream = api.hijack(f"/containers/{name}/attach", stream=1, stdout=1)
    api.post(f"/containers/{name}/start")
    data = b""
    while b"ready" not in data:
        data += stream.recv(100)
    assert api.post(f"/containers/{name}/resize", h=33, w=44).status == 200
    while b"33 44" not in data:
        data += stream.recv(100)
    stream.close()
    api.post(f"/containers/{name}/kill")
    eventually(lambda: api.post(f"/containers/{name}/resize", h=1, w=1).status == 409)


# Requests that dockerd answers in the same way: status, and where it matters what it says.
ANSWERS = [
    ("POST", "/containers/create", None, 400, "invalid JSON: got EOF while reading request body"),
    ("POST", "/containers/create", b"{", 400, "invalid JSON: unexpected EOF"),
    ("POST", "/containers/x/rename", None, 400, "Neither old nor new names may be empty"),
    ("POST", "/containers/x/resize?w=1", None, 400, 'invalid resize height "": invalid syntax'),
    ("GET", "/containers/json?filters=[]", None, 400, "invalid filter"),
    (
        "GET", '/containers/json?filters={"status":["bad"]}', None, 400,
        "invalid filter 'status=bad': invalid value for state (bad): "
        "must be one of created, running, paused, restarting, removing, exited, dead",
    ),
    ("POST", "/swarm/leave", None, 503, "This node is not part of a swarm"),
    (
        "GET", "/services", None, 503,
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
        "swarm and try again.",
    ),
    ("POST", "/nodes/create", b"{}", 404, "page not found"),
    ("PATCH", "/info", None, 404, "page not found"),
    ("PUT", "/volumes/x", b"{}", 503, "volume update only valid for cluster volumes, but swarm is unavailable"),
    ("POST", "/build/cancel", None, 400, "build ID not provided"),
    ("POST", "/session", None, 400, "no upgrade proto in request"),
    (
        "GET", "/containers/x/checkpoints", None, 501,
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order "
        "to enable it.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "body", "status", "message"), ANSWERS)
def test_answers_in_docker_s_words(
    api: Api, method: str, target: str, body: bytes | None, status: int, message: str
) -> None:
    answer = api.request(method, target, body)
    assert (answer.status, answer.message) == (status, message)


def test_clients_from_before_json_get_errors_as_text(api: Api) -> None:
    answer = Api(api.path, "v1.23").get("/info")
    assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.body == (
        b"client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a "
        b"newer version\n"
    )
    answer = Api(api.path, "v1.99").get("/info")
    assert answer.message == "client version 1.99 is too new. Maximum supported API version is 1.51"


def test_nothing_to_prune_in_the_builder(api: Api) -> None:
    answer = api.post("/build/prune")
    assert (answer.status, answer.json) == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})
