"""docker-py, unchanged."""

from __future__ import annotations

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

from rig.engine import eventually

BUSYBOX = "busybox"
# docker-py leaves sockets of exec streams to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_run(sdk: docker.DockerClient) -> None:
    assert sdk.containers.run(BUSYBOX, "echo hello", remove=True) == b"hello\n"
    with pytest.raises(ContainerError) as failed:
        sdk.containers.run(BUSYBOX, ["sh", "-c", "echo bad >&2; exit 4"], remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (4, b"bad\n")
    with pytest.raises(ImageNotFound):
        sdk.containers.create("nosuch:1")


def test_life(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, "sleep 1000", detach=True, name="life", labels={"a": "b"})
    assert container.status == "created" or container.status == "running"
    container.reload()
    assert (container.status, container.labels, container.name) == ("running", {"a": "b"}, "life")
    assert container.attrs["NetworkSettings"]["IPAddress"]
    container.pause()
    container.unpause()
    container.rename("other")
    assert sdk.containers.get("other").id == container.id
    assert container.top()["Titles"][0] == "UID"
    container.restart(timeout=0)
    container.stop(timeout=0)
    assert container.wait() == {"StatusCode": 137}
    container.start()
    container.kill()
    eventually(lambda: container.reload() or container.status == "exited")
    container.remove(v=True)
    with pytest.raises(NotFound):
        sdk.containers.get("other")


def test_exec(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, "sleep 1000", detach=True)
    assert container.exec_run("echo hi") == (0, b"hi\n")
    assert container.exec_run("sh -c 'echo o; echo e >&2; exit 3'", demux=True) == (3, (b"o\n", b"e\n"))
    assert container.exec_run("id -u", user="12").output == b"12\n"
    assert container.exec_run("tty", tty=True).output == b"/dev/pts/0\r\n"
    _, stream = container.exec_run("seq 3", stream=True)
    assert b"".join(stream) == b"1\n2\n3\n"


@pytest.mark.parametrize("round_", range(10))
def test_exec_output_is_never_lost(sdk: docker.DockerClient, round_: int) -> None:
    """docker-py loses bytes that come in one packet with the header: the engine has to hold them back."""
    container = sdk.containers.run(BUSYBOX, "sleep 1000", detach=True)
    for number in range(5):
        assert container.exec_run(["echo", str(number)]).output == f"{number}\n".encode()


def test_exec_socket(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, "sleep 1000", detach=True)
    made = sdk.api.exec_create(container.id, "cat", stdin=True)
    raw = sdk.api.exec_start(made["Id"], socket=True)
    raw._sock.sendall(b"through\n")
    assert raw._sock.recv(100).endswith(b"through\n")
    raw._sock.close()
    raw.close()


def test_logs_and_attach(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, "sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done'", detach=True)
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.logs(tail=1) == b"3\n"
    assert container.logs(stdout=False) == b""
    other = sdk.containers.create(BUSYBOX, "echo attached")
    stream = other.attach(stream=True, logs=False)
    other.start()
    assert b"".join(stream) == b"attached\n"


def test_images(sdk: docker.DockerClient) -> None:
    image = sdk.images.pull(BUSYBOX, tag="1.36")
    assert "busybox:1.36" in image.tags
    assert [one.id for one in sdk.images.list("busybox:1.36")] == [image.id]
    assert image.tag("mine", "1")
    assert image.history()[0]["Id"] == image.id
    sdk.images.remove("mine:1")
    sdk.images.remove("busybox:1.36")
    with pytest.raises(ImageNotFound):
        sdk.images.get("busybox:1.36")


def test_commit_and_diff(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, "touch /new", detach=True)
    container.wait()
    assert container.diff() == [{"Path": "/new", "Kind": 1}]
    image = container.commit("mine", "2", changes="ENV A=1")
    assert sdk.containers.run(image, "ls /new", remove=True) == b"/new\n"
    container.remove()
    sdk.images.remove("mine:2")


def test_volumes(sdk: docker.DockerClient) -> None:
    volume = sdk.volumes.create("kept", labels={"x": "y"})
    assert volume.attrs["Labels"] == {"x": "y"}
    sdk.containers.run(
        BUSYBOX, "sh -c 'echo v >/d/f'", remove=True, volumes={"kept": {"bind": "/d", "mode": "rw"}}
    )
    assert sdk.containers.run(BUSYBOX, "cat /d/f", remove=True, volumes=["kept:/d:ro"]) == b"v\n"
    assert [one.name for one in sdk.volumes.list(filters={"label": "x=y"})] == ["kept"]
    volume.remove()
    with pytest.raises(NotFound):
        sdk.volumes.get("kept")


def test_system(sdk: docker.DockerClient) -> None:
    assert sdk.ping()
    assert sdk.version()["ApiVersion"]
    info = sdk.info()
    assert (info["OSType"], info["Swarm"]["LocalNodeState"]) == ("linux", "inactive")
    assert {network.name for network in sdk.networks.list()} >= {"bridge", "host", "none"}


def test_errors(sdk: docker.DockerClient) -> None:
    sdk.containers.create(BUSYBOX, name="twice")
    with pytest.raises(APIError) as conflict:
        sdk.containers.create(BUSYBOX, name="twice")
    assert conflict.value.status_code == 409 and "is already in use" in conflict.value.explanation


def test_attach_replays_the_log(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, ["sh", "-c", "echo one; echo two >&2; sleep 1000"], detach=True)
    eventually(lambda: container.logs() == b"one\ntwo\n")
    assert container.attach(logs=True, stream=False, stdout=True, stderr=True) == b"one\ntwo\n"
    container.remove(force=True)
    running = sdk.containers.run(BUSYBOX, ["sh", "-c", "echo old; sleep 1; echo new"], detach=True)
    eventually(lambda: running.logs() == b"old\n")
    assert b"".join(running.attach(logs=True, stream=True)) == b"old\nnew\n"


def test_no_shared_memory_without_ipc(sdk: docker.DockerClient) -> None:
    command = "grep -c /dev/shm /proc/mounts || true"
    assert sdk.containers.run(BUSYBOX, ["sh", "-c", command], ipc_mode="none", remove=True) == b"0\n"


def test_the_log_of_what_has_ended(sdk: docker.DockerClient) -> None:
    """Replayed at once; with the stream wanted, too, the client waits for the next start."""
    ended = sdk.containers.create(BUSYBOX, ["sh", "-c", "echo out; echo err >&2; sleep 0.2; exit 3"])
    ended.start()
    assert ended.wait()["StatusCode"] == 3
    assert ended.attach(logs=True, stream=False, demux=True) == (b"out\n", b"err\n")
    assert ended.attach(logs=True, stream=False, stderr=False) == b"out\n"
    following = ended.attach(logs=True, stream=True)
    assert next(following) + next(following) == b"out\nerr\n"
    ended.start()
    assert sorted(following) == [b"err\n", b"out\n"]
