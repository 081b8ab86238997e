"""docker-py: further processes in a container."""

from __future__ import annotations

import socket
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound
from docker.utils.socket import next_frame_header, read_exactly

from rig.engine import eventually

BUSYBOX = "busybox"
BOTH = ["sh", "-c", "echo o; sleep 0.2; echo e >&2"]


@pytest.fixture
def container(sdk: docker.DockerClient) -> Any:
    return sdk.containers.run(BUSYBOX, "sleep 1000", detach=True, environment={"OWN": "1"}, working_dir="/tmp")


def raw_socket(stream: Any) -> socket.socket:
    found: socket.socket = stream._sock
    return found


def test_exec(container: Any) -> None:
    assert container.exec_run("echo hi") == (0, b"hi\n")
    assert container.exec_run("sh -c 'echo o; echo e >&2; exit 3'", demux=True) == (3, (b"o\n", b"e\n"))
    assert container.exec_run("id -u", user="12").output == b"12\n"
    assert container.exec_run("whoami", user="www-data").output == b"www-data\n"
    assert container.exec_run("tty", tty=True).output == b"/dev/pts/0\r\n"
    assert container.exec_run("pwd").output == b"/tmp\n"
    assert container.exec_run("pwd", workdir="/bin").output == b"/bin\n"
    assert container.exec_run("sh -c 'echo $OWN $MORE'", environment={"MORE": "2"}).output == b"1 2\n"
    assert container.exec_run("cat /proc/self/status", privileged=True).output.count(b"CapEff:\t000001") == 1
    _, stream = container.exec_run("seq 3", stream=True)
    assert b"".join(stream) == b"1\n2\n3\n"


@pytest.mark.parametrize("round_", range(10))
def test_output_is_never_lost(container: Any, round_: int) -> None:
    """docker-py loses bytes that come in one packet with the header: the engine has to hold them back."""
    for number in range(5):
        assert container.exec_run(["echo", str(number)]).output == f"{number}\n".encode()


# What the exec is created with, what its start says, and what comes.
FORMS: list[tuple[dict[str, Any], dict[str, Any], Any]] = [
    ({}, {}, b"o\ne\n"),
    ({}, {"demux": True}, (b"o\n", b"e\n")),
    ({}, {"stream": True}, [b"o\n", b"e\n"]),
    ({}, {"stream": True, "demux": True}, [(b"o\n", None), (None, b"e\n")]),
    ({"stderr": False}, {"demux": True}, (b"o\n", None)),
    ({"tty": True}, {"tty": True}, b"o\r\ne\r\n"),
    # The start says nothing of the terminal: its output comes in frames, of one stream.
    ({"tty": True}, {}, b"o\r\ne\r\n"),
    ({"tty": True}, {"demux": True}, (b"o\r\ne\r\n", None)),
]


@pytest.mark.parametrize(("create", "start", "expected"), FORMS)
def test_streams(sdk: docker.DockerClient, container: Any, create: Any, start: Any, expected: Any) -> None:
    made = sdk.api.exec_create(container.id, BOTH, **create)
    output = sdk.api.exec_start(made["Id"], **start)
    assert (list(output) if start.get("stream") else output) == expected


def test_frames_of_a_terminal(sdk: docker.DockerClient, container: Any) -> None:
    made = sdk.api.exec_create(container.id, ["printf", "a line"], tty=True)
    stream = sdk.api.exec_start(made["Id"], socket=True)
    assert next_frame_header(stream) == (1, 6)
    assert read_exactly(stream, 6) == b"a line"
    stream.close()


def test_socket(sdk: docker.DockerClient, container: Any) -> None:
    made = sdk.api.exec_create(container.id, "cat", stdin=True)
    stream = sdk.api.exec_start(made["Id"], socket=True)
    raw_socket(stream).sendall(b"through\n")
    assert raw_socket(stream).recv(100).endswith(b"through\n")
    raw_socket(stream).shutdown(socket.SHUT_WR)
    eventually(lambda: sdk.api.exec_inspect(made["Id"])["ExitCode"] == 0)
    stream.close()


@pytest.mark.parametrize(("keys", "typed"), [(None, b"\x10\x11"), ("ctrl-p", b"\x10"), ("a,b", b"ab")])
def test_detaching(sdk: docker.DockerClient, container: Any, keys: str | None, typed: bytes) -> None:
    """The keys are docker-py's setting, which it sends as "detachKeys" in lower case."""
    if keys:
        sdk.api._general_configs["detachKeys"] = keys
    made = sdk.api.exec_create(container.id, "cat", stdin=True, tty=True)
    stream = sdk.api.exec_start(made["Id"], tty=True, socket=True)
    raw_socket(stream).settimeout(20)
    for key in typed:
        raw_socket(stream).sendall(bytes([key]))
    while raw_socket(stream).recv(100):
        pass  # dockerd says something of a read escape sequence
    assert any("cat" in row for row in container.top(ps_args="-eo pid,comm")["Processes"]), "it runs on"
    stream.close()


def test_detached(sdk: docker.DockerClient, container: Any) -> None:
    assert container.exec_run("touch /tmp/there", detach=True).output == ""
    eventually(lambda: container.exec_run("ls /tmp").output == b"there\n")


def test_inspect(sdk: docker.DockerClient, container: Any) -> None:
    made = sdk.api.exec_create(container.id, ["mkdir", "/no/such/place"], user="0", privileged=True)
    before = sdk.api.exec_inspect(made)
    assert (before["Running"], before["ExitCode"], before["ContainerID"]) == (False, None, container.id)
    assert before["ProcessConfig"]["entrypoint"] == "mkdir" and before["ProcessConfig"]["privileged"]
    sdk.api.exec_start(made)
    assert sdk.api.exec_inspect(made)["ExitCode"] == 1


def test_size(sdk: docker.DockerClient, container: Any) -> None:
    made = sdk.api.exec_create(container.id, ["sh", "-c", "read; stty size"], tty=True, stdin=True)
    stream = sdk.api.exec_start(made["Id"], tty=True, socket=True)
    sdk.api.exec_resize(made["Id"], height=17, width=91)
    raw_socket(stream).sendall(b"\n")
    said = b""
    while piece := raw_socket(stream).recv(100):
        said += piece
    assert said.endswith(b"17 91\r\n")
    stream.close()


def test_errors(sdk: docker.DockerClient, container: Any) -> None:
    assert container.exec_run("nosuch").exit_code == 127
    with pytest.raises(NotFound, match="No such exec instance: nosuch"):
        sdk.api.exec_inspect("nosuch")
    container.pause()
    with pytest.raises(APIError, match="is paused, unpause the container before exec"):
        container.exec_run("true")
    container.unpause()
    container.kill()
    with pytest.raises(APIError, match="is not running") as failed:
        container.exec_run("true")
    assert failed.value.status_code == 409
