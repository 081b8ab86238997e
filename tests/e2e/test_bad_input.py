"""Whatever is asked wrongly gets one clear line that names it, the right status, and nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig import images
from rig.api import Api, UnixConnection
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.registry import Registry
from rig.standard import busybox_layer
from rig.trees import Tree

BUSYBOX = "busybox"

# What is typed -> exit status, and what the message has to contain.
OPTIONS = {
    "reference": (("run", "Busybox", "true"), 125, "must be lowercase"),
    "reference-form": (("run", "busybox::x", "true"), 125, "invalid reference format"),
    "env-file": (("run", "--env-file", "/no/such/file", BUSYBOX), 125, "/no/such/file"),
    "memory": (("run", "-m", "lots", BUSYBOX), 125, "invalid (size|argument)"),
    "memory-small": (("run", "-m", "1k", BUSYBOX), 125, "(?i)minimum memory limit allowed is 6MB"),
    "cpus": (("run", "--cpus", "many", BUSYBOX), 125, "many"),
    "cpus-more-than-there-are": (("run", "--cpus", "4096", BUSYBOX), 125, "(?i)range of CPUs is from 0.01 to"),
    "cpuset": (("run", "--cpuset-cpus", "999", BUSYBOX, "true"), 125, "999"),
    "mount-type": (("run", "--mount", "type=nosuch,dst=/x", BUSYBOX), 125, "nosuch"),
    "mount-key": (("run", "--mount", "type=bind,colour=red,dst=/x", BUSYBOX), 125, "colour"),
    "mount-target": (("run", "--mount", "type=bind,src=/tmp", BUSYBOX), 125, "required|must not be empty"),
    "volume-relative-target": (("run", "-v", "/tmp:relative", BUSYBOX), 125, "relative"),
    "volume-name": (("run", "-v", "a b:/x", BUSYBOX), 125, "a b"),
    "volume-mode": (("run", "-v", "/tmp:/x:nosuch", BUSYBOX), 125, "invalid mode: nosuch"),
    "duplicate-mount": (("run", "-v", "/tmp:/x", "-v", "/var:/x", BUSYBOX), 125, "(?i)duplicate mount point: /x"),
    "name": (("run", "--name", "no good", BUSYBOX), 125, "Invalid container name"),
    "user": (("run", "--rm", "-u", "nosuchuser", BUSYBOX, "true"), 125, "nosuchuser"),
    "group": (("run", "--rm", "-u", "0:nosuchgroup", BUSYBOX, "true"), 125, "nosuchgroup"),
    "workdir": (("run", "-w", "relative", BUSYBOX), 125, "relative"),
    "network": (("run", "--network", "nosuch", BUSYBOX), 125, "network nosuch not found"),
    "network-of": (("run", "--network", "container:nosuch", BUSYBOX), 125, "No such container: nosuch"),
    "pid-of": (("run", "--pid", "container:nosuch", BUSYBOX), 125, "No such container: nosuch"),
    "ipc-of": (("run", "--ipc", "container:nosuch", BUSYBOX), 125, "No such container: nosuch"),
    "volumes-of": (("run", "--volumes-from", "nosuch", BUSYBOX), 125, "No such container: nosuch"),
    "user-number": (("run", "-u", "99999999999", BUSYBOX, "true"), 125, "ids must be in range 0-2147483647"),
    "group-add": (("run", "--group-add", "nosuch", BUSYBOX, "true"), 125, "unable to find group nosuch"),
    "workdir-file": (("run", "-w", "/etc/passwd", BUSYBOX), 125, "mkdir: /etc/passwd is not a dir"),
    "max-file": (("run", "--log-opt", "max-file=0", BUSYBOX), 125, "max-file cannot be less than 1"),
    "over-proc": (("run", "--tmpfs", "/proc", BUSYBOX, "true"), 125, "not of type proc"),
    "in-proc": (("run", "-v", "/tmp:/proc/self/attr", BUSYBOX, "true"), 125, "inside /proc"),
    "host-net-sysctl": (("run", "--sysctl", "net.a=1", "--network", "host", BUSYBOX), 125, "in host network"),
    "host-sysctl": (("run", "--ipc", "host", "--sysctl", "kernel.shmmax=1", BUSYBOX), 125, "hosts ipc namespace"),
    "ulimit": (("run", "--ulimit", "nosuch=1", BUSYBOX), 125, "nosuch"),
    "sysctl": (("run", "--sysctl", "novalue", BUSYBOX), 125, "novalue"),
    "security-opt": (("run", "--security-opt", "nosuch=1", BUSYBOX), 125, "nosuch"),
    "seccomp-file": (("run", "--security-opt", "seccomp=/no/such", BUSYBOX), 125, "/no/such"),
    "stop-signal": (("run", "--stop-signal", "NOSUCH", BUSYBOX), 125, "(?i)invalid signal: ?NOSUCH"),
    "add-host": (("run", "--add-host", "nocolon", BUSYBOX), 125, "nocolon"),
    "mac-address": (("run", "--mac-address", "xx", BUSYBOX), 125, "xx"),
    "platform": (("run", "--platform", "a/b/c/d", BUSYBOX), 125, "a/b/c/d"),
    "log-driver": (("run", "--log-driver", "nosuch", BUSYBOX), 125, "nosuch"),
    "runtime": (("run", "--runtime", "nosuch", BUSYBOX), 125, "nosuch"),
    "device": (("run", "--device", "/dev/nosuch", BUSYBOX, "true"), 127, "/dev/nosuch"),
    "unknown-flag": (("run", "--nosuch", BUSYBOX), 125, "unknown flag: --nosuch"),
    "missing-argument": (("run",), 1, "requires at least 1 argument"),
    "pull-policy": (("run", "--pull", "nosuch", BUSYBOX), 125, "nosuch"),
    "rm-with-restart": (("run", "--rm", "--restart", "always", BUSYBOX), 125, "(?i)conflicting options"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIONS)
def test_option(client: Client, api: Api, case: str) -> None:
    arguments, code, match = OPTIONS[case]
    said = client.fails(*arguments, code=code, match=match)
    assert not re.search("Traceback|level=error|Unable to find image", said)
    left = [one["State"] for one in api.get("/containers/json", all=1).json]
    assert left in ([], ["created"]), "Docker keeps a container whose start fails"


def test_every_command_names_what_is_not_there(client: Client) -> None:
    for command in (
        ("start", "X"), ("stop", "X"), ("restart", "X"), ("kill", "X"), ("rm", "X"), ("logs", "X"),
        ("attach", "X"), ("exec", "X", "true"), ("wait", "X"), ("top", "X"), ("port", "X"), ("rename", "X", "y"),
        ("pause", "X"), ("unpause", "X"), ("diff", "X"), ("commit", "X"),
    ):  # fmt: skip
        client.fails(*(word.replace("X", "nobody") for word in command), code=1, match="No such container: nobody")
    for command in (("rmi", "X"), ("history", "X"), ("tag", "X", "y:1"), ("image", "inspect", "X")):
        client.fails(*(word.replace("X", "nosuch") for word in command), code=1, match="(?i)No such image: nosuch")
    client.fails("volume", "inspect", "nosuch", code=1, match="no such volume")
    client.fails("network", "inspect", "nosuch", code=1, match="network nosuch not found")


# Registries


def test_unknown_images(client: Client, registry: Registry) -> None:
    for name, match in {
        f"{registry.address}/no/such:1": "not found|manifest unknown",
        f"{registry.address}/library/busybox:nosuch": "manifest unknown|not found",
        f"{registry.address}/library/busybox@sha256:{'0' * 64}": "manifest unknown|not found",
    }.items():
        said = client.fails("pull", name, code=1, match=match)
        assert said.startswith("Error response from daemon: ") and said.count("\n") == 1, said


def test_unreachable_registry(client: Client) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        client.fails(
            "pull", f"127.0.0.1:{port}/some/image", code=1, match=rf"127\.0\.0\.1:{port}.*connection refused"
        )
        client.fails("run", f"127.0.0.1:{port}/some/image", code=125, match=rf"127\.0\.0\.1:{port}")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "changed": lambda data: data[:-10] + b"x" * 10,
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "no-gzip": lambda data: b"no layer at all" + data[15:],
}


@pytest.fixture
def damaged(registry: Registry, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Images with one blob each damaged in the registry's store: how, and its reference."""
    wholes: dict[Path, bytes] = {}
    references = {}
    for name, how in DAMAGES.items():
        image = images.build([
            busybox_layer(), images.layer(Tree().file("unique", (request.node.name + name) * 99)),
        ])  # fmt: skip
        tag = hashlib.sha256(image.document).hexdigest()[:12]  # its own: halves of earlier ones may be kept
        registry.push(image, "damaged/one", tag)
        victim = [digest for digest in image.blobs if digest != image.config_digest][-1]
        path = registry.blob_path(victim)
        wholes[path] = path.read_bytes()
        path.write_bytes(how(wholes[path]))
        references[name] = f"{registry.address}/damaged/one:{tag}"
    try:
        yield references
    finally:
        for path, whole in wholes.items():
            path.write_bytes(whole)


@pytest.mark.timeout(180)
def test_damaged_layers(client: Client, damaged: dict[str, str], engine: Engine) -> None:
    """All at once: the engine asks again for what may pass, and waits longer each time."""
    before = stored(engine)
    with contextlib.ExitStack() as stack:
        pulls = {name: stack.enter_context(client.start("pull", damaged[name])) for name in DAMAGES}
        for name, pull in pulls.items():
            _, said = pull.communicate(timeout=90)
            assert pull.returncode == 1 and said, name
    assert damaged["empty"].rpartition(":")[0] not in client.ok("images", "--format", "{{.Repository}}").split()
    left = {path for path in stored(engine) - before if "unique" in path.name}
    assert not left
    assert client.ok("run", "--rm", BUSYBOX, "echo", "unharmed") == "unharmed\n"


def stored(engine: Engine) -> set[Path]:
    return set((engine.data_root / "layers").rglob("*"))


HOSTILE = {
    "parent": Tree().file("../../../../../../../../../../escaped", b"x"),
    "absolute": Tree().file("/../../../../../../../../../escaped", b"x"),
    "through-symlink": Tree().symlink("out", "../../../../../../../../../..").file("out/escaped", b"x"),
    "absolute-symlink": Tree().symlink("out", "/").file("out/escaped", b"x"),
    "hard-link": Tree().hard_link("stolen", "../../../../../../../../../etc/passwd"),
    "hard-link-symlink": Tree().symlink("out", "/etc").hard_link("stolen", "out/passwd"),
    "whiteout": Tree().file("../../../../../../../../../../tmp/.wh.proa-precious", b""),
    "whiteout-root": Tree().file(".wh...", b""),
    "whiteout-dot": Tree().file("d/.wh..", b""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_layer(client: Client, registry: Registry, case: str) -> None:
    precious = Path("/tmp/proa-precious")
    precious.write_text("kept")
    try:
        registry.push(images.build([busybox_layer(), images.layer(HOSTILE[case])]), "hostile/one", case)
        name = f"{registry.address}/hostile/one:{case}"
        client("run", "--rm", name, "cat", "/stolen")
        assert not Path("/escaped").exists() and precious.read_text() == "kept"
        inside = client("run", "--rm", name, "cat", "/stolen").out
        assert Path("/etc/passwd").read_text() != inside
        client("rmi", "-f", name)
    finally:
        precious.unlink()
        Path("/escaped").unlink(missing_ok=True)


@pytest.mark.timeout(180)
def test_full_disk_during_a_pull(registry: Registry, big_image: object, tmp_path: Path) -> None:
    """A data root of 100 MB: the pull fails with the kernel's words, the engine and its images stay usable."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "small", disk], check=True)
    engine = Engine(registry.url, directory=disk / "engine")
    (disk / "engine").mkdir()
    try:
        engine.start()
        for client in (engine.docker, engine.proa):
            client.ok("pull", "-q", BUSYBOX)
            client.fails("pull", "big", code=1, match="(?i)no space left on device")
            assert client.ok("images", "--format", "{{.Repository}}") == "busybox\n"
            assert client.ok("run", "--rm", BUSYBOX, "echo", "goes on") == "goes on\n"
        eventually(lambda: shutil.disk_usage(disk).used < 90_000_000)  # the failed pulls' remains go
    finally:
        engine.stop()
        subprocess.run(["umount", disk], check=True)


@pytest.mark.timeout(180)
def test_full_disk_at_the_end_of_a_run(registry: Registry, tmp_path: Path) -> None:
    """The exit is told and known, the container can be removed, and a later engine knows, too."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "small", disk], check=True)
    engine = Engine(registry.url, directory=tmp_path)
    engine.data_root = disk / "data"
    try:
        engine.start()
        client = engine.docker
        client.ok("pull", "-q", BUSYBOX)
        boxes = [client.ok("create", BUSYBOX, "sh", "-c", "sleep 1; exit 5").strip() for _ in range(3)]
        client.ok("start", *boxes)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        assert client.ok("wait", *boxes, timeout=30).split() == ["5", "5", "5"]
        client.ok("rm", boxes[0])
        assert boxes[0] not in client.ok("ps", "-aq", "--no-trunc")
        (disk / "filler").unlink()
        eventually(lambda: "can not be written now" in engine.said())
        engine.end()
        engine.start()
        known = client.ok("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Status}}").splitlines()
        assert sorted(line.split(" ")[0] for line in known if "Exited (5)" in line) == sorted(boxes[1:])
    finally:
        engine.api.remove_everything()
        engine.stop()
        subprocess.run(["umount", disk], check=True)


# The API

BODIES = {
    "no-json": (b"{not json", 400),
    "empty": (b"", 400),
    "trailing": (b'{"Image": "busybox"} more', 400),
    "a-list": (b"[]", 400),
    "null": (b"null", 400),
    "wrong-type": (b'{"Image": 5}', 400),
    "wrong-type-deep": (b'{"Image": "busybox", "HostConfig": {"Memory": "lots"}}', 400),
    "no-image": (b"{}", 400),
    "unknown-image": (b'{"Image": "nosuch"}', 404),
    "unknown-fields": (b'{"Image": "busybox", "Nonsense": {"a": [1]}}', 201),
    "deep": (b"[" * 100_000, 400),
    "not-utf8": (b'{"Image": "\xff"}', 400),
}


@pytest.mark.parametrize("case", BODIES)
def test_create_body(api: Api, case: str) -> None:
    body, status = BODIES[case]
    answer = api.request("POST", "/containers/create", body)
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    if status != 201:
        assert answer.message and "\n" not in answer.message and "Traceback" not in answer.message


REQUESTS = {
    ("GET", "/nosuch", 404): "page not found",
    ("GET", "/containers/nobody/json", 404): "No such container: nobody",
    ("POST", "/containers/nobody/start", 404): "No such container: nobody",
    ("GET", "/containers/json?filters=%7Bnot", 400): "",
    ("GET", "/containers/json?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D", 400): "invalid filter 'nosuch'",
    ("GET", "/containers/json?limit=many", 400): "many",
    ("GET", "/images/nosuch/json", 404): "No such image: nosuch",
    ("GET", "/images/Upper/json", 400): "must be lowercase",
    ("GET", "/exec/nosuch/json", 404): "No such exec instance: nosuch",
    ("DELETE", "/volumes/nosuch", 404): "no such volume",
    ("GET", "/networks/nosuch", 404): "network nosuch not found",
    ("POST", "/images/create?fromImage=Bad%20Name", 400): "invalid reference format",
    ("POST", "/containers/nobody/wait?condition=nosuch", 400): "",
}


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda value: f"{value[0]} {value[1]}")
def test_request(api: Api, request_: tuple[str, str, int]) -> None:
    method, target, status = request_
    answer = api.request(method, target)
    assert answer.status == status, answer
    assert REQUESTS[request_] in answer.message


def test_versions(api: Api) -> None:
    old, new = (Api(api.path, version).get("/version") for version in ("v1.20", "v1.99"))
    assert (old.status, new.status) == (400, 400)
    assert b"client version 1.20 is too old. Minimum supported API version is" in old.body  # before errors in JSON
    assert "client version 1.99 is too new. Maximum supported API version is" in new.message
    assert Api(api.path, "").get("/version").status == 200


CREATE = b"POST /containers/create HTTP/1.1\r\nHost: x\r\n"
RAW = {
    "no-http": b"HELLO THERE\r\n\r\n",
    "huge-header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
    "many-headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    "bad-length": CREATE + b"Content-Length: -5\r\n\r\n",
    "two-lengths": CREATE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "bad-chunk": CREATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "half-a-request": CREATE + b"Content-Length: 500\r\n\r\n{",
    "zeros": b"\0" * 1000,
}


@pytest.mark.parametrize("case", RAW)
def test_bytes_that_are_no_request(engine: Engine, case: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(engine.socket))
        try:
            connection.sendall(RAW[case])
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    assert answer == b"" or answer.split()[1][:1] in (b"4",), answer
    assert engine.api.get("/_ping").body == b"OK"


def test_clients_that_leave(engine: Engine) -> None:
    """Requests given up half way are no trouble for anybody else."""
    for _ in range(30):
        connection = UnixConnection(str(engine.socket))
        connection.request("POST", "/v1.50/images/create?fromImage=busybox&tag=latest")
        connection.close()
    assert engine.docker.ok("run", "--rm", BUSYBOX, "echo", "fine") == "fine\n"
