"""Output that follows the head of a hijacked reply at once is never lost, by docker-py in particular.

docker-py reads the head through a buffer, then the stream below it: bytes that came with the head stay in the
buffer (docker/docker-py#3332). So the first byte waits until the client has read the head (`needs_drain` in
src/proa/api/hijack.py): the shim asks the kernel whether anything unread is left in the client's socket. Over
TCP the kernel tells only what has arrived there.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig.certificates import Authority
from rig.engine import running
from rig.needs import rounds
from rig.registry import Registry
from rig.tcp import free_port

TIMES = rounds(25, 100)
ATTACHED = rounds(20, 100)  # times
WORD = b"at once\n"


# docker-py leaves sockets of streams to the garbage collection.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module", params=["unix", "tcp", "tls"])
def client(
    request: pytest.FixtureRequest, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[docker_sdk.DockerClient]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would stand before the authority given here
            environment.delenv(name, raising=False)
        port = free_port()
        arguments, tls = [] if request.param == "unix" else ["--host", f"tcp://127.0.0.1:{port}"], None
        if request.param == "tls":
            authority = Authority(tmp_path_factory.mktemp("authority"))
            own, theirs = authority.issue("server", "server"), authority.issue("client", "client")
            arguments = [
                "--host", f"tcp://localhost:{port}", "--tlsverify", "--tlscacert", str(authority.certificate),
                "--tlscert", str(own / "cert.pem"), "--tlskey", str(own / "key.pem"),
            ]  # fmt: skip
            tls = docker_sdk.tls.TLSConfig(
                client_cert=(str(theirs / "cert.pem"), str(theirs / "key.pem")),
                ca_cert=str(authority.certificate),
                verify=True,
            )
        with running(registry.url, arguments, pull="busybox") as engine:
            urls = {"unix": engine.host, "tcp": f"tcp://127.0.0.1:{port}", "tls": f"https://localhost:{port}"}
            made = docker_sdk.DockerClient(base_url=urls[request.param], tls=tls or False)
            yield made
            made.close()
            gc.collect()  # docker-py leaves sockets of streams to it


@pytest.mark.parametrize("tty", [False, True], ids=["framed", "terminal"])
def test_of_execs(client: docker_sdk.DockerClient, tty: bool) -> None:
    container = client.containers.run("busybox", ["sleep", "1000"], detach=True, network_mode="none")
    expected = WORD.replace(b"\n", b"\r\n") if tty else WORD
    lost = 0
    for _ in range(TIMES):
        made = client.api.exec_create(container.id, ["echo", "at once"], tty=tty)
        lost += client.api.exec_start(made["Id"], tty=tty) != expected
    gc.collect()
    container.remove(force=True)
    assert lost == 0


@pytest.mark.parametrize("tty", [False, True], ids=["framed", "terminal"])
def test_of_a_container_that_writes_all_the_time(client: docker_sdk.DockerClient, tty: bool) -> None:
    """Each attach begins between two writes, and goes on with the next: no frame is torn, no line is missing."""
    script = "i=0; while :; do i=$((i+1)); echo line $i; done"
    container = client.containers.run("busybox", ["sh", "-c", script], detach=True, tty=tty, network_mode="none")
    for _ in range(ATTACHED):
        stream = container.attach(stream=True, logs=False)
        text = b"".join(itertools.islice(stream, 3)).replace(b"\r", b"")
        numbers = [int(line.split()[1]) for line in text.split(b"\n")[1:-1]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else text
        stream.close()
    container.remove(force=True)
