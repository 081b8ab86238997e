"""docker-py: attached streams, logs and events."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import docker
import pytest
from docker.types import LogConfig
from docker.utils.socket import frames_iter, next_frame_header, read_exactly

from rig.engine import eventually

BUSYBOX = "busybox"
THREE = ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]


def test_logs(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, THREE, detach=True)
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.logs(tail=1) == b"3\n"
    assert container.logs(tail=0) == b""
    assert container.logs(tail="all") == b"1\n2\n3\n"
    assert container.logs(stdout=False) == b""
    stamped = container.logs(timestamps=True).split()
    assert stamped[1::2] == [b"1", b"2", b"3"] and stamped[0].endswith(b"Z")
    assert container.logs(until=int(time.time()) + 10) == b"1\n2\n3\n"
    assert container.logs(since=int(time.time()) + 10) == b""
    assert container.logs(since=1.5) == b"1\n2\n3\n"


def test_following_ends_when_the_client_wants(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, ["sh", "-c", "echo on; sleep 1000"], detach=True)
    logs = container.logs(stream=True, follow=True)
    assert next(logs) == b"on\n"
    threading.Timer(0.2, logs.close).start()
    assert list(logs) == []


def test_no_log(sdk: docker.DockerClient) -> None:
    none = LogConfig(type=LogConfig.types.NONE)
    assert sdk.containers.run(BUSYBOX, "echo hello", log_config=none) is None
    container = sdk.containers.create(BUSYBOX, "true", log_config=none)
    with pytest.raises(docker.errors.APIError, match="configured logging driver does not support reading"):
        container.logs()


def test_attach(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, "echo attached")
    stream = container.attach(stream=True, logs=False)
    container.start()
    assert b"".join(stream) == b"attached\n"


def test_attach_replays_the_log(sdk: docker.DockerClient) -> None:
    script = "echo one; sleep 0.1; echo two >&2; sleep 1000"
    container = sdk.containers.run(BUSYBOX, ["sh", "-c", script], detach=True)
    eventually(lambda: container.logs() == b"one\ntwo\n")
    assert container.attach(logs=True, stream=False, stdout=True, stderr=True) == b"one\ntwo\n"
    container.remove(force=True)
    running = sdk.containers.run(BUSYBOX, ["sh", "-c", "echo old; sleep 1; echo new"], detach=True)
    eventually(lambda: running.logs() == b"old\n")
    assert b"".join(running.attach(logs=True, stream=True)) == b"old\nnew\n"


def test_the_log_of_what_has_ended(sdk: docker.DockerClient) -> None:
    """Replayed at once; with the stream wanted, too, the client waits for the next start."""
    ended = sdk.containers.create(BUSYBOX, ["sh", "-c", "echo out; echo err >&2; sleep 0.2; exit 3"])
    ended.start()
    assert ended.wait()["StatusCode"] == 3
    eventually(lambda: ended.attach(logs=True, stream=False, demux=True) == (b"out\n", b"err\n"))
    assert ended.attach(logs=True, stream=False, stderr=False) == b"out\n"
    following = ended.attach(logs=True, stream=True)
    assert next(following) + next(following) == b"out\nerr\n"
    ended.start()
    assert sorted(following) == [b"err\n", b"out\n"]


def test_a_socket(sdk: docker.DockerClient) -> None:
    """In frames both ways of standard streams; the end of the input goes through."""
    container = sdk.containers.create(BUSYBOX, ["sh", "-c", "cat; echo end >&2"], stdin_open=True)
    wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    stream = sdk.api.attach_socket(container.id, wanted)
    container.start()
    raw: socket.socket = stream._sock
    raw.settimeout(20)
    raw.sendall(b"a line\n")
    assert next_frame_header(stream) == (1, 7)
    assert read_exactly(stream, 7) == b"a line\n"
    stream.close()
    assert container.attrs["Config"]["OpenStdin"]


def test_the_end_of_input(sdk: docker.DockerClient) -> None:
    config = sdk.api.create_host_config()
    made = sdk.api.create_container(BUSYBOX, ["sh", "-c", "cat; echo end"], stdin_open=True, host_config=config)
    stream = sdk.api.attach_socket(made, {"stdin": 1, "stdout": 1, "stream": 1})
    sdk.api.start(made)
    raw: socket.socket = stream._sock
    raw.settimeout(20)
    raw.sendall(b"x")
    raw.shutdown(socket.SHUT_WR)
    said = b""
    for number, piece in frames_iter(stream, tty=False):
        assert number == 1
        said += piece
    assert said == b"xend\n"
    stream.close()


@pytest.mark.parametrize(("keys", "typed"), [(None, b"\x10\x11"), ("ctrl-x", b"\x18")])
def test_detaching(sdk: docker.DockerClient, keys: str | None, typed: bytes) -> None:
    container = sdk.containers.run(BUSYBOX, "cat", detach=True, stdin_open=True, tty=True)
    wanted: dict[str, Any] = {"stdin": 1, "stream": 1, "stdout": 1}
    stream = sdk.api.attach_socket(container.id, wanted | ({"detachKeys": keys} if keys else {}))
    raw: socket.socket = stream._sock
    raw.settimeout(20)
    for key in typed:
        raw.sendall(bytes([key]))
    while raw.recv(100):
        pass
    container.reload()
    assert container.status == "running"
    stream.close()


def test_size_of_a_terminal(sdk: docker.DockerClient) -> None:
    command = ["sh", "-c", "read; stty size"]
    container = sdk.containers.run(BUSYBOX, command, detach=True, tty=True, stdin_open=True)
    container.resize(height=12, width=34)
    stream = sdk.api.attach_socket(container.id, {"stdin": 1, "stdout": 1, "stream": 1})
    stream._sock.sendall(b"\n")
    container.wait()
    assert container.logs().endswith(b"12 34\r\n")
    stream.close()


def test_events(sdk: docker.DockerClient) -> None:
    since = int(time.time())
    live = sdk.events(decode=True, filters={"type": "container", "label": "watched"})
    container = sdk.containers.run(BUSYBOX, "sh -c 'exit 3'", labels=["watched"], detach=True, name="watched")
    seen = [next(live) for _ in range(3)]
    assert [event["Action"] for event in seen] == ["create", "start", "die"]
    assert seen[2]["Actor"]["Attributes"]["exitCode"] == "3"
    assert {event["Actor"]["Attributes"]["name"] for event in seen} == {"watched"}
    assert {event["id"] for event in seen} == {container.id}
    live.close()
    container.remove()
    past = sdk.events(decode=True, since=since, until=int(time.time()) + 1, filters={"container": container.id})
    assert [event["Action"] for event in past] == ["create", "start", "die", "destroy"]


def test_events_end_when_the_client_wants(sdk: docker.DockerClient) -> None:
    events = sdk.events()
    threading.Timer(0.2, events.close).start()
    assert list(events) == []
