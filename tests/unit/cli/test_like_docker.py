"""The same words to docker's command line and to proa's, before one engine: the same output and exit code."""
# ruff: noqa: E501

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import ID, Recorder, Reply, error, frame, stream

from .conftest import Proa
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
    "State": {"Status": "running", "Running": True, "Paused": False, "Restarting": False, "Pid": 42, "ExitCode": 0},
    "Config": {"Tty": False, "OpenStdin": False, "Cmd": ["sh", "-c"], "Env": ["A=b"], "Labels": {"b": "2", "a": "1"},
               "Volumes": None, "Entrypoint": None, "Image": "busybox"},
    "HostConfig": {"NetworkMode": "bridge", "Memory": 0, "Binds": None, "AutoRemove": False},
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

EVENTS = [
    {"Type": "container", "Action": "start", "Actor": {"ID": ID, "Attributes": {"name": "web", "image": "busybox"}},
     "scope": "local", "time": 1767323045, "timeNano": 1767323045678000001},
    {"Type": "network", "Action": "connect", "Actor": {"ID": "2" * 64, "Attributes": {}},
     "scope": "local", "time": 1767323046, "timeNano": 1767323046000000000},
]  # fmt: skip

SAME = """
ps
ps -a --no-trunc
ps -as
ps -q
ps --format json
ps --format '{{json .}}'
ps --format '{{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.Status}}|{{.Size}}|{{.Labels}}|{{.Mounts}}|{{.Networks}}'
ps --format 'table {{.Names}}\\t{{.Label "com.example.the-team"}}\\t{{.RunningFor}}'
ps --format 'table {{.Names | upper}}\\t{{.CreatedAt}}'
ps --format '{{.Nope}}'
ps --format '{{.ID'
ps -f x
ps x
images
images --digests
images --no-trunc
images -q
images -a --format json
images --format '{{.Repository}}:{{.Tag}} {{.Size}} {{.CreatedSince}} {{.VirtualSize}}'
images --format 'table {{.ID}}\\t{{.Digest}}'
history busybox
history --no-trunc busybox
history -q busybox
history -H=false busybox
history --format json busybox
history --format '{{.ID}}: {{.CreatedBy}}' busybox
volume ls
volume ls -q
volume ls --format json
volume ls --format '{{.Name}} {{.Labels}} {{.Label "a"}}'
network ls
network ls --no-trunc
network ls -q
network ls --format '{{.ID}} {{.Name}} {{.IPv4}} {{.Internal}} {{.Labels}} {{.CreatedAt}}'
top web
top web -o pid,comm
port web
port web 80
port web 80/tcp
port web 81
diff web
diff empty
inspect web
inspect -f '{{.Name}} {{.Config.Cmd}} {{.Config.Labels}} {{json .State.Running}}' web
inspect -f '{{json .Args}}' web
inspect -f '{{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}' web
inspect -f '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}' web
inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}}{{end}}' web stopped
inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' web
inspect -f '{{.HostConfig.Binds}} {{.Config.Volumes}} {{.HostConfig.Memory}}' web
inspect -f '{{.Nope}}' web
inspect -f '{{.Nope' web
inspect -f json web
inspect none
inspect none web -f '{{.Name}}'
inspect --type image none
inspect
container inspect none web
image inspect none
volume inspect none
network inspect none
start web none web
start -a none
start -a web stopped
start -a web
stop web none
stop -t 3 -s INT web
restart web none
kill web
kill -s HUP none
rm web none
rm -f none
rm -fv web none
pause web none
unpause web
rename web other
rename none other
wait web none
tag busybox other:1
tag none other
tag busybox Other
tag busybox@ other
rmi busybox none
rmi -f none
rmi busy
commit web mine:1
commit web Mine
commit none
commit
import /no/such/file
import
exec web true
exec web fails
exec none true
exec -d web true
exec -it web true
exec web
logs web
logs -f -n 5 -t --since 1 --until 2.5 web
logs --since nonsense web
logs none
events
events --since 1h --until 0s -f type=container
events --format json
events --format '{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Time}}'
events --format '{{json .Actor}}'
events --since x
attach none
attach stopped
attach web
pull
pull A
pull -a busybox:1
pull none.example/x
pull known.example/x
pull -q known.example/x:1
create busybox
create none.example/x
create --name used busybox
run busybox
run -d busybox
run --name used busybox
run --pull never missing
run --pull sometimes busybox
run none.example/x
run -it busybox
run -d -a stdout busybox
run --rm --restart always busybox
run
run --nope
run -x busybox
run --memory
run -m 4q busybox
run -m x busybox
run --memory 1kbb busybox
run --cpus x busybox
run --cpus 0.0000000001 busybox
run --tty=x busybox
run --pids-limit x busybox
run --blkio-weight 70000 busybox
run -e = busybox
run --env-file /no/such busybox
run --label-file /no/such busybox
run --ulimit x busybox
run --ulimit x=1 busybox
run --ulimit nofile=2:1 busybox
run --ulimit nofile=1:2:3 busybox
run --ulimit nofile=x busybox
run --device x busybox
run --device-cgroup-rule x busybox
run --device-read-bps /dev/sda:x busybox
run --device-read-iops /dev/sda:x busybox
run --blkio-weight-device /dev/sda:5 busybox
run --blkio-weight-device sda:500 busybox
run --add-host x busybox
run --add-host x:y busybox
run --dns x busybox
run --dns-search / busybox
run --sysctl a=b busybox
run --label = busybox
run --mac-address x busybox
run --security-opt x busybox
run --security-opt seccomp=/no/such busybox
run --health-interval 5 busybox
run --health-interval=-5s busybox
run --no-healthcheck --health-cmd x busybox
run --log-driver none --log-opt a=b busybox
run --pid x busybox
run --uts x busybox
run --userns x busybox
run --cgroupns x busybox
run --network a --network a busybox
run --network name=a,x=y busybox
run --network name=a,ip=1.2.3.4 --ip 1.2.3.4 busybox
run --mount x busybox
run --mount type=bind busybox
run --mount target=/x,x=y busybox
run --mount type=bind,target=/x,volume-nocopy busybox
run --mount type=tmpfs,target=/x,tmpfs-size=q busybox
run --mount type=tmpfs,target=/x,tmpfs-mode=9 busybox
run --mount type=bind,target=/x,readonly=x busybox
run --mount type=bind,target=/x,bind-recursive=x busybox
run --mount type=bind,source=/,target=/x,bind-recursive=readonly busybox
run -v '' busybox
run -a x busybox
run --expose x busybox
run --expose 1:2 busybox
run -p x:80 busybox
run -p 80:x busybox
run -p 1-2:3-5 busybox
run -p 80/x busybox
run -p 1.2.3:80:80 busybox
run --memory-swappiness 200 busybox
run --storage-opt x busybox
run --link a:b:c busybox
run --gpus x busybox
run --stop-timeout x busybox
run A
run ''
volume create mine
volume rm web none
nope
container nope
--nope
-X ps
-H tcp:// ps
-H x://y ps
ps --no-trunc=x
stop
""".strip().splitlines()


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
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
    engine.on("GET /volumes", Reply(value=VOLUMES)).on("GET /volumes/none", error(404, "get none: no such volume"))
    engine.on("DELETE /volumes/web", Reply(204)).on("DELETE /volumes/none", error(404, "get none: no such volume"))
    engine.on("POST /volumes/create", Reply(201, VOLUMES["Volumes"][0]))
    engine.on("GET /networks", Reply(value=NETWORKS)).on(
        "GET /networks/none", error(404, "network none not found")
    )
    engine.on(
        "POST /commit",
        lambda request: missing if request.query["container"] == "none" else Reply(201, {"Id": "sha256:1"}),
    )
    engine.on("POST /images/create", lambda request: _pull(request.query))
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


def _create(query: dict[str, str], image: str) -> Reply:
    if query.get("name") == "used":
        return error(409, 'Conflict. The container name "/used" is already in use')
    if image in ("missing", "none.example/x"):
        return error(404, f"No such image: {image}:latest")
    return Reply(201, {"Id": ID, "Warnings": ["Your kernel is old"]})


@pytest.mark.parametrize("words", SAME)
def test_same(words: str, engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    arguments = shlex.split(words)
    environment = {**os.environ, "DOCKER_HOST": engine.url, "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run(
        [*program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    outcome = proa(*arguments)
    expected = (done.returncode, done.stdout, _ours(done.stderr))
    assert outcome == expected


def _ours(text: str) -> str:
    """Docker's words with our names."""
    text = (
        text.replace("docker: ", "proa: ")
        .replace("'docker", "'proa")
        .replace("  docker", "  proa")
        .replace(": docker ", ": proa ")
    )
    return text.replace("the Docker daemon", "the Proa daemon").replace(
        "Is the docker daemon", "Is the proad daemon"
    )
