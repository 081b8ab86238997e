"""Real clients against the API: the docker command line, docker-py, the standard library."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from proa.engine.images.progress import Progress
from rig.clients import find

if TYPE_CHECKING:
    from conftest import Served


class Cli:
    """The docker command line on a socket."""

    def __init__(self, served: Served, home: Path) -> None:
        self._environment = {
            "DOCKER_HOST": served.url, "HOME": str(home), "PATH": os.environ["PATH"], "DOCKER_CLI_HINTS": "false",
        }  # fmt: skip

    def __call__(self, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*find("docker"), *arguments], env=self._environment, input=input, capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip


@pytest.fixture
def cli(served: Served, tmp_path: Path) -> Cli:
    return Cli(served, tmp_path)


@pytest.fixture
def sdk(served: Served) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=served.url)) as client:
        yield client


def test_docker_runs(cli: Cli, served: Served) -> None:
    result = cli("run", "busybox", "echo", "hello")
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello\n", "")


def test_docker_runs_and_removes(cli: Cli, served: Served) -> None:
    result = cli("run", "--rm", "-i", "busybox", "cat", input="some input\n")
    assert (result.returncode, result.stdout) == (0, "hello\n")
    assert not served.engine.containers.records


def test_docker_tells_stdout_from_stderr(cli: Cli, served: Served) -> None:
    identifier = cli("create", "busybox").stdout.strip()
    served.engine.containers.output[identifier] = [("stdout", b"out\n"), ("stderr", b"err\n")]
    result = cli("start", "-a", identifier)
    assert (result.returncode, result.stdout, result.stderr) == (0, "out\n", "err\n")


def test_docker_leaves_no_wait_behind(cli: Cli, served: Served) -> None:
    served.engine.containers.runs_until_stopped = True
    identifier = cli("run", "-d", "--rm", "busybox").stdout.strip()
    assert cli("kill", identifier).stdout.strip() == identifier
    waits = [future for each in served.engine.containers.waiters.values() for _, future in each]
    assert all(future.done() for future in waits)


def test_docker_pulls_what_is_missing_and_retries(cli: Cli, served: Served) -> None:
    image = served.engine.images.images[0]
    image.names = []
    served.engine.images.steps = [
        Progress(status="Pulling from library/busybox", id="latest"),
        Progress(status="Status: Downloaded newer image for busybox:latest"),
    ]
    pull = served.engine.images.pull

    async def pull_and_name(name: str, **options: object) -> None:
        await pull(name, **options)  # type: ignore[arg-type]
        image.names = ["busybox:latest"]

    served.engine.images.pull = pull_and_name  # type: ignore[method-assign,assignment]
    result = cli("run", "--rm", "busybox", "echo", "hello")
    assert (result.returncode, result.stdout) == (0, "hello\n")
    assert "Unable to find image 'busybox:latest' locally" in result.stderr
    assert "latest: Pulling from library/busybox" in result.stderr


def test_docker_executes(cli: Cli, served: Served) -> None:
    served.engine.containers.runs_until_stopped = True
    name = cli("run", "-d", "busybox").stdout.strip()
    result = cli("exec", name, "true")
    assert (result.returncode, result.stdout) == (0, "done\n")
    text = "".join(f"line {number}\n" for number in range(20_000))
    result = cli("exec", "-i", name, "cat", input=text)
    assert (result.returncode, result.stdout) == (0, text)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("version",), "API version:      1.51 (minimum version 1.24)"),
        (("info",), "Storage Driver: overlay2"),
        (("ps", "-a"), "busybox"),
        (("images",), "busybox"),
        (("inspect", "box"), '"Name": "/box"'),
        (("container", "ls", "-a", "--size"), "42B (virtual 1.04kB)"),
        (("port", "box"), ""),
        (("diff", "box"), "A /etc/x"),
        (("top", "box"), "PID"),
        (("history", "busybox"), "ADD rootfs"),
        (("image", "inspect", "busybox"), '"busybox:latest"'),
        (("network", "ls"), "bridge"),
        (("network", "inspect", "bridge"), '"Subnet": "172.17.0.0/16"'),
        (("volume", "create", "data"), "data"),
        (("volume", "ls"), "DRIVER"),
        (("system", "df", "-v"), "busybox"),
        (("plugin", "ls"), "ID"),
        (("rename", "box", "box2"), ""),
        (("events", "--since", "1", "--until", "2"), ""),
        (("commit", "box"), "sha256:cccc"),
        (("container", "prune", "-f"), "Total reclaimed space: 42B"),
        (("image", "prune", "-a", "-f"), "Total reclaimed space: "),
        (("rmi", "busybox"), "Untagged: busybox"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_docker_understands_the_answers(cli: Cli, arguments: tuple[str, ...], shown: str) -> None:
    cli("create", "--name", "box", "busybox")
    result = cli(*arguments)
    assert result.returncode == 0, result.stderr
    assert shown in result.stdout


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("run", "--isolation", "hyperv", "busybox"), "invalid isolation (hyperv): linux only supports 'default'"),
        (("run", "--gpus", "all", "busybox"), "device requests (DeviceRequests, --gpus): not supported yet"),
        (("network", "rm", "bridge"), "bridge is a pre-defined network and cannot be removed"),
        (("rm", "nobody"), "No such container: nobody"),
        (("rmi", "nothing"), "No such image: nothing"),
        (("volume", "rm", "nothing"), "get nothing: no such volume"),
        (("node", "ls"), "This node is not a swarm manager."),
        (("ps", "--filter", "color=red"), "invalid filter 'color'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_docker_shows_the_errors(cli: Cli, arguments: tuple[str, ...], shown: str) -> None:
    cli("create", "--name", "box", "busybox")
    result = cli(*arguments)
    assert result.returncode != 0
    assert shown in result.stderr
    assert '{"message"' not in result.stderr


def test_docker_py_creates_starts_and_waits(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create("busybox", ["echo", "hello"], name="box", labels={"a": "b"})
    container.start()
    assert container.wait() == {"StatusCode": 0}
    container.reload()
    assert (container.status, container.labels) == ("exited", {"a": "b"})
    assert [each.name for each in sdk.containers.list(all=True, filters={"label": "a=b"})] == ["box"]
    container.remove(force=True)
    with pytest.raises(NotFound):
        sdk.containers.get("box")


def test_docker_py_reads_a_hijacked_stream(sdk: docker.DockerClient, served: Served) -> None:
    served.engine.containers.runs_until_stopped = True
    container = sdk.containers.create("busybox")
    container.start()
    result = container.exec_run(["true"])
    assert result.exit_code == 0
    assert served.engine.execs.started[0] is not None
    assert served.engine.execs.started[0].drain


def test_docker_py_tells_missing_images(sdk: docker.DockerClient) -> None:
    with pytest.raises(ImageNotFound):
        sdk.containers.create("nothing")
    with pytest.raises(APIError, match="not supported yet"):
        requests = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
        sdk.containers.create("busybox", device_requests=requests)


def test_docker_py_knows_the_other_nouns(sdk: docker.DockerClient) -> None:
    assert sdk.ping() is True
    assert sdk.version()["ApiVersion"] == "1.51"
    assert sdk.info()["OSType"] == "linux"
    assert sdk.images.get("busybox").tags == ["busybox:latest"]
    assert [network.name for network in sdk.networks.list()] == ["bridge", "host", "none"]
    assert sdk.volumes.create("data", labels={"a": "b"}).attrs["Labels"] == {"a": "b"}
    assert [volume.name for volume in sdk.volumes.list()] == ["data"]
    assert sdk.df()["LayersSize"] == 1000
    assert list(sdk.events(since=1, until=2)) == []


class UnixConnection(http.client.HTTPConnection):
    """http.client on a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def test_the_standard_library(served: Served) -> None:
    with contextlib.closing(UnixConnection(served.socket)) as connection:
        for _ in range(3):
            connection.request("GET", "/v1.44/containers/json")
            assert json.load(connection.getresponse()) == []
        chunks = iter([b'{"Image":', b'"busybox"}'])
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/containers/create", chunks, headers, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, json.load(response)["Warnings"]) == (201, [])
