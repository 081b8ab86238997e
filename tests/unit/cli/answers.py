"""What the engine answers in the comparisons with docker's command line."""
# ruff: noqa: E501

from __future__ import annotations

import json
import time
from typing import Any

from rig.recorder import ID, Recorder, Reply, error, frame, stream

from .test_listings import CONTAINERS

NOW = int(time.time())
IMAGES: list[dict[str, Any]] = [
    {
        "Id": f"sha256:{digit * 64}",
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": NOW - age,
        "Size": size,
        "Containers": int(digit) - 2,
        "SharedSize": -1 if digit == "1" else int(digit) * 1000,
    }
    for digit, tags, digests, age, size in (
        ("1", ["a:1", "a:2"], ["a@sha256:" + "a" * 64, "a@sha256:" + "b" * 64], 5 * 3600, 1_982_326),
        ("2", ["r.io:5/b:2"], [], 7 * 3600, 45_000),
        ("3", [], [], 86400 * 3, 1_500_000_000),
        ("4", None, ["d@sha256:" + "c" * 64], 86400 * 80, 0),
    )
]
CONTAINER: dict[str, Any] = {
    "Id": ID, "Name": "/web", "Created": "2026-01-02T03:04:05.678Z", "Path": "sh", "Args": ["-c", "a <b>"],
    "State": {"Status": "running", "Running": True, "Paused": False, "Restarting": False, "OOMKilled": False,
              "Dead": False, "Pid": 42, "ExitCode": 0, "Error": "", "StartedAt": "2026-01-02T03:04:06Z", "FinishedAt": ""},
    "Config": {"Tty": False, "OpenStdin": False, "Cmd": ["sh", "-c"], "Env": ["A=b"], "Labels": {"b": "2", "a": "1"},
               "Volumes": None, "Entrypoint": None, "Image": "busybox"},
    "HostConfig": {"NetworkMode": "bridge", "Memory": 0, "Binds": None, "AutoRemove": False,
                   "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                   "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}], "443/tcp": None},
        "Networks": {"bridge": {"IPAddress": "172.17.0.2"}},
    },
    "Mounts": [{"Type": "bind", "Source": "/a", "Destination": "/b", "RW": True}],
}  # fmt: skip
STOPPED = {**CONTAINER, "State": {**CONTAINER["State"], "Status": "exited", "Running": False}}
HISTORY = [
    {
        "Id": "sha256:" + "1" * 64,
        "Created": NOW - 5 * 86400,
        "CreatedBy": "/bin/sh -c echo\tone && echo two and more, much more",
        "Size": 12_345_678,
        "Comment": "c",
        "Tags": ["a:1"],
    },
    {
        "Id": "<missing>",
        "Created": NOW - 86400 * 400,
        "CreatedBy": "ADD file",
        "Size": 0,
        "Comment": "",
        "Tags": None,
    },
]
VOLUMES = {"Volumes": [
    {"Name": name, "Driver": "local", "Mountpoint": f"/v/{name}", "Scope": "local", "Labels": labels, "Options": None}
    for name, labels in (("v10", None), ("v9", {"a": "b"}), ("0" * 64, {}))
], "Warnings": None}  # fmt: skip
NETWORKS = [
    {"Name": name, "Id": letter * 64, "Driver": driver, "Scope": "local", "Created": "2026-01-02T03:04:05.678Z",
     "EnableIPv4": True, "EnableIPv6": False, "Internal": False, "Labels": {"a": "b"}}
    for name, letter, driver in (("none", "1", "null"), ("bridge", "2", "bridge"), ("host", "3", "host"))
]  # fmt: skip
WHOLE_NETWORK: dict[str, Any] = {
    "IPAM": {"Driver": "default", "Options": None, "Config": [
        {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"},
        {"Subnet": "fd00::/64", "IPRange": "fd00::/96", "AuxiliaryAddresses": {"b": "fd00::3", "a": "fd00::2"}},
    ]},
    "Attachable": False, "Ingress": False, "ConfigFrom": {"Network": ""}, "ConfigOnly": False,
    "Containers": {letter * 64: {"Name": name, "EndpointID": "9" * 64, "MacAddress": "02:42:ac:11:00:02",
                                 "IPv4Address": "172.17.0.2/16", "IPv6Address": ""}
                   for letter, name in (("b", "web"), ("a", "db"))},
    "Options": {"com.docker.network.driver.mtu": "1500", "a": "b"},
}  # fmt: skip

EVENTS = [
    {"Type": "container", "Action": "start", "Actor": {"ID": ID, "Attributes": {"name": "web", "image": "busybox"}},
     "scope": "local", "time": 1767323045, "timeNano": 1767323045678000001},
    {"Type": "network", "Action": "connect", "Actor": {"ID": "2" * 64, "Attributes": {}},
     "scope": "local", "time": 1767323046, "timeNano": 1767323046000000000},
]  # fmt: skip
PRUNED = {
    "ContainersDeleted": ["1" * 64, "2" * 64], "VolumesDeleted": ["v", "w"],
    "ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": "sha256:1"}], "CachesDeleted": ["c"],
    "SpaceReclaimed": 12_345_678,
}  # fmt: skip
_PORTS: dict[str, Any] = {"Ports": [], "Labels": {}, "NetworkSettings": {"Networks": {}}}
USAGE: dict[str, Any] = {
    "LayersSize": 5_000_000,
    "Images": [
        {"Id": f"sha256:{digit * 64}", "RepoTags": tags, "RepoDigests": [], "Created": NOW - 5 * 3600, "Size": size,
         "SharedSize": shared, "Containers": used, "Labels": None}
        for digit, tags, size, shared, used in (
            ("1", ["a:1", "a:2"], 3_000_000, 1_000_000, 1), ("2", ["b:1"], 2_500_000, 1_000_000, 0),
            ("3", [], 500_000, 0, 0),
        )
    ],
    "Containers": [
        {**_PORTS, "Id": "1" * 64, "Names": ["/web"], "Image": "a:1", "ImageID": "sha256:" + "1" * 64,
         "Command": "sh -c 'x y z w v u'", "Created": NOW - 60, "SizeRw": 1234, "SizeRootFs": 3_001_234,
         "State": "running", "Status": "Up 1 minute", "Mounts": [{"Type": "volume", "Name": "v", "Driver": "local"}]},
        {**_PORTS, "Id": "2" * 64, "Names": ["/old"], "Image": "b:1", "ImageID": "sha256:" + "2" * 64,
         "Command": "true", "Created": NOW - 3600, "SizeRw": 10_000, "SizeRootFs": 3_001_234, "State": "exited",
         "Status": "Exited (0) 1 minute ago", "Mounts": []},
    ],
    "Volumes": [
        {"Name": name, "Driver": "local", "Mountpoint": "/v", "Scope": "local", "Labels": None, "Options": None,
         "UsageData": {"RefCount": count, "Size": size}}
        for name, count, size in (("v", 1, 1000), ("w", 0, 5000), ("x", -1, -1))
    ],
    "BuildCache": [
        {"ID": "abc" * 8, "Type": "regular", "Description": "x", "InUse": False, "Shared": False, "Size": 7000,
         "CreatedAt": "2026-01-02T03:04:05Z", "LastUsedAt": None, "UsageCount": 2},
        {"ID": "zzz" * 8, "Type": "source.local", "Description": "y", "InUse": True, "Shared": True, "Size": 9000,
         "CreatedAt": "2026-01-02T03:04:05Z", "LastUsedAt": "2026-01-03T03:04:05Z", "UsageCount": 2},
    ],
}  # fmt: skip


SEARCH = [
    {"name": name, "description": text, "star_count": stars, "is_official": official, "is_automated": False}
    for name, text, stars, official in (
        ("known", "What is known\nof this goes on for longer than a line of a table", 12, True),
        ("team/known", "", 3, False),
    )
]


def answer(engine: Recorder) -> Recorder:
    """Give `engine` routes for containers web, stopped and empty; `none` exists in no kind."""
    found, missing = r"(web|stopped|empty|busybox|1+)", error(404, "No such container: none")
    engine.on(r"(GET|POST|DELETE) /containers/none.*", missing)
    engine.on("GET /containers/json", Reply(value=CONTAINERS))
    engine.on(rf"GET /containers/{found}/json", Reply(value=CONTAINER)).on(
        "GET /containers/stopped/json", Reply(value=STOPPED)
    )
    engine.on(
        rf"GET /containers/{found}/top",
        Reply(value={"Titles": ["PID", "CMD"], "Processes": [["1", "sh -c x"], ["22", "y"]]}),
    )
    engine.on(
        rf"GET /containers/{found}/changes",
        Reply(value=[{"Path": "/a", "Kind": 0}, {"Path": "/b", "Kind": 1}, {"Path": "/c", "Kind": 2}]),
    )
    engine.on("GET /containers/empty/changes", Reply(text=b"null", headers={"Content-Type": "application/json"}))
    engine.on(rf"GET /containers/{found}/logs", Reply(chunks=[frame(1, b"out\n"), frame(2, b"err\n")]))
    engine.on(rf"POST /containers/{found}/(start|stop|restart|kill|pause|unpause|rename|resize)", Reply(204))
    engine.on(rf"POST /containers/{found}/attach", stream(frame(1, b"hello\n"))).on(
        rf"POST /containers/{found}/wait", Reply(value={"StatusCode": 3})
    )
    engine.on(rf"DELETE /containers/{found}", Reply(204))
    engine.on(
        rf"POST /containers/{found}/exec",
        lambda request: Reply(201, {"Id": "bad" if "fails" in request.json["Cmd"] else "good"}),
    )
    engine.on(
        "POST /exec/(good|bad)/start",
        lambda request: Reply(200) if request.json.get("Detach") else stream(frame(1, b"done\n")),
    )
    engine.on("GET /exec/good/json", Reply(value={"ID": "good", "Running": False, "ExitCode": 0}))
    engine.on("GET /exec/bad/json", Reply(value={"ID": "bad", "Running": False, "ExitCode": 7}))
    engine.on("GET /images/json", Reply(value=IMAGES)).on("GET /images/busybox/history", Reply(value=HISTORY))
    engine.on("GET /events", Reply(chunks=[json.dumps(event).encode() + b"\n" for event in EVENTS]))
    engine.on("GET /system/df", Reply(value=USAGE))
    engine.on("GET /info", Reply(value={"Swarm": {"LocalNodeState": "inactive"}}))
    engine.on("GET /plugins/none/json", error(404, 'plugin "none" not found'))
    engine.on("GET /images/none/json", error(404, "No such image: none:latest"))
    engine.on(
        "POST /images/(busybox|none).*/tag",
        lambda request: error(404, "No such image: none:latest") if "none" in request.path else Reply(201),
    )
    engine.on("DELETE /images/busybox", Reply(value=[{"Untagged": "busybox:latest"}, {"Deleted": "sha256:1"}]))
    engine.on("DELETE /images/none", error(404, "No such image: none:latest")).on(
        "DELETE /images/busy", error(409, "conflict: unable to delete busy")
    )
    engine.on("GET /volumes/web", Reply(value=VOLUMES["Volumes"][0]))
    engine.on("GET /volumes", Reply(value=VOLUMES)).on("GET /volumes/none", error(404, "get none: no such volume"))
    engine.on("DELETE /volumes/web", Reply(204)).on("DELETE /volumes/none", error(404, "get none: no such volume"))
    engine.on("POST /volumes/create", Reply(201, VOLUMES["Volumes"][0]))
    engine.on("DELETE /networks/(web|two)", Reply(204)).on(
        "DELETE /networks/none", error(404, "network none not found")
    )
    engine.on("GET /networks/(web|two)", Reply(value={**NETWORKS[0], **WHOLE_NETWORK}))
    engine.on("POST /networks/create", Reply(201, {"Id": "5" * 64, "Warning": ""}))
    engine.on("POST /networks/web/(dis)?connect", Reply(200)).on(
        "POST /networks/none/(dis)?connect", error(404, "network none not found")
    )
    engine.on("GET /networks", Reply(value=NETWORKS)).on(
        "GET /networks/none", error(404, "network none not found")
    )
    engine.on(
        "POST /commit",
        lambda request: missing if request.query["container"] == "none" else Reply(201, {"Id": "sha256:1"}),
    )
    engine.on("POST /(containers|volumes|images|build)/prune", Reply(value=PRUNED))
    engine.on("POST /networks/prune", Reply(value={"NetworksDeleted": ["n"]}))
    engine.on("POST /images/create", lambda request: _pull(request.query))
    archive = Reply(chunks=[b"tar of ", b"images"], headers={"Content-Type": "application/x-tar"})
    engine.on("GET /images/get", lambda request: missing if "none" in request.query["names"] else archive)
    loaded = [b'{"stream":"Loaded image: a:1\\n"}\r\n', b'{"stream":"Loaded image ID: sha256:1\\n"}\r\n']
    engine.on("POST /images/load", Reply(chunks=loaded, headers={"Content-Type": "application/json"}))
    engine.on("POST /images/.*/push", lambda request: _push("none" in request.path))
    engine.on(
        "POST /auth",
        lambda request: (
            error(401, "login attempt failed")
            if request.json["password"] == "wrong"
            else Reply(value={"Status": "Login Succeeded", "IdentityToken": ""})
        ),
    )
    engine.on(
        "GET /images/search",
        lambda request: (
            error(500, "Unexpected status code 404") if request.query["term"] == "none" else Reply(value=SEARCH)
        ),
    )
    engine.on(
        "POST /images/prune",
        Reply(value={"ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": "sha256:1"}], "SpaceReclaimed": 12345}),
    )
    engine.on("POST /containers/create", lambda request: _create(request.query, request.json["Image"]))
    return engine


def _pull(query: dict[str, str]) -> Reply:
    if not query["fromImage"].startswith("known.example"):
        return error(500, 'Get "https://none.example/v2/": no such host')
    lines = [
        b'{"status":"Pulling from x","id":"1"}\r\n', b'{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}\r\n',
        b'{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"aa"}\r\n',
        b'{"status":"Download complete","progressDetail":{},"id":"aa"}\r\n',
        b'{"status":"Digest: sha256:1"}\r\n', b'{"errorDetail":{"message":"it broke"},"error":"it broke"}\r\n',
    ]  # fmt: skip
    return Reply(chunks=lines[:-1] if query["tag"] == "1" else lines)


def _push(fails: bool) -> Reply:
    lines = [
        b'{"status":"The push refers to repository [known.example/x]"}\r\n',
        b'{"status":"Preparing","progressDetail":{},"id":"aa"}\r\n',
        b'{"status":"Pushing","progressDetail":{"current":5,"total":10},"id":"aa"}\r\n',
        b'{"status":"Pushed","progressDetail":{},"id":"aa"}\r\n',
        b'{"status":"1: digest: sha256:1 size: 5"}\r\n',
        b'{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:1","Size":5}}\r\n',
    ]
    failed = b'{"errorDetail":{"message":"no basic auth credentials"},"error":"no basic auth credentials"}\r\n'
    return Reply(chunks=[*lines[:1], failed] if fails else lines)


def _create(query: dict[str, str], image: str) -> Reply:
    if query.get("name") == "used":
        return error(409, 'Conflict. The container name "/used" is already in use')
    if image in ("missing", "none.example/x"):
        return error(404, f"No such image: {image}:latest")
    return Reply(201, {"Id": ID, "Warnings": ["Your kernel is old"]})
