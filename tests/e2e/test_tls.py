"""The API over TCP with TLS: who is let in, and that streams work as on the local socket."""

from __future__ import annotations

import gc
import os
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig.certificates import Authority
from rig.clients import Client
from rig.engine import Engine, eventually, running
from rig.registry import Registry


class Secured(NamedTuple):
    engine: Engine
    port: int
    authority: Authority
    certificates: Path  # of a client that is let in

    @property
    def host(self) -> str:
        return f"tcp://localhost:{self.port}"

    def client(self, name: str) -> Client:
        return Client(name, self.host, self.engine.directory / f"home-tls-{name}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def secured(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    server, client = authority.issue("server", "server"), authority.issue("client", "client")
    port = free_port()
    arguments = [
        "--host", f"tcp://localhost:{port}", "--tlsverify", "--tlscacert", str(authority.certificate),
        "--tlscert", str(server / "cert.pem"), "--tlskey", str(server / "key.pem"),
    ]  # fmt: skip
    with running(registry.url, arguments, pull="busybox") as engine:
        yield Secured(engine, port, authority, client)


@pytest.fixture(params=["docker", "proa"])
def client(secured: Secured, request: pytest.FixtureRequest) -> Iterator[Client]:
    yield secured.client(request.param)
    secured.engine.api.remove_everything()


def trusted(secured: Secured) -> list[str]:
    files = secured.certificates
    return [
        "--tlsverify", f"--tlscacert={files}/ca.pem", f"--tlscert={files}/cert.pem", f"--tlskey={files}/key.pem",
    ]  # fmt: skip


def test_streams(secured: Secured, client: Client) -> None:
    flags = trusted(secured)
    assert client.ok(*flags, "version", "--format", "{{.Server.Os}}") == "linux\n"
    result = client(*flags, "run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")


def test_the_end_of_the_input_is_not_the_end_of_the_output(secured: Secured, client: Client) -> None:
    data = os.urandom(3 << 19).hex()  # 3 MiB
    command = ["sh", "-c", "cat; echo; echo done"]
    for run in (["run", "--rm", "-i", "busybox", *command], ["exec", "-i", "napping", *command]):
        if run[0] == "exec":
            client.ok(*trusted(secured), "run", "-d", "--name", "napping", "busybox", "sleep", "600")
        assert client.ok(*trusted(secured), *run, stdin=data) == f"{data}\ndone\n"


def test_input_that_nobody_reads_makes_the_client_wait(secured: Secured, client: Client) -> None:
    """It fills no memory here, and the output still comes."""
    command = ["run", "--rm", "-i", "busybox", "sh", "-c", "yes | head -c 4000000; sleep 600"]
    with client.start(*trusted(secured), *command) as running:
        assert running.stdin and running.stdout
        pipe = running.stdin.fileno()
        os.set_blocking(pipe, False)
        sent, left = 0, 4000000
        while left or select.select([], [pipe], [], 0.5)[1]:
            if select.select([], [pipe], [], 0)[1]:
                sent += os.write(pipe, bytes(1 << 16))
            if left:
                left -= len(os.read(running.stdout.fileno(), left))
        assert sent < 64 << 20
    secured.engine.api.remove_everything()


def test_environment(secured: Secured, client: Client) -> None:
    environment = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(secured.certificates)}
    assert client.ok("ps", "-q", env=environment) == ""


REFUSED = [
    (lambda s: [], "Client sent an HTTP request to an HTTPS server"),
    (lambda s: ["--tls", f"--tlscacert={s.authority.certificate}"], "certificate required"),
    (
        lambda s: [
            "--tlsverify", f"--tlscacert={s.authority.certificate}",
            f"--tlscert={s.authority.directory}/server/cert.pem",
            f"--tlskey={s.authority.directory}/server/key.pem",
        ],
        "bad certificate|unsupported certificate|unknown certificate",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "text"), REFUSED)
def test_who_is_not_let_in(
    secured: Secured, client: Client, flags: Callable[[Secured], list[str]], text: str
) -> None:
    client.fails(*flags(secured), "version", match=text)


def test_an_authority_nobody_knows(secured: Secured, client: Client, tmp_path: Path) -> None:
    strangers = Authority(tmp_path / "strangers")
    files = strangers.issue("stranger", "client")
    known = [f"--tlscert={files}/cert.pem", f"--tlskey={files}/key.pem"]
    client.fails(
        "--tlsverify", f"--tlscacert={files}/ca.pem", *known, "version", match="failed to verify certificate"
    )
    client.fails(
        "--tlsverify", f"--tlscacert={secured.authority.certificate}", *known, "version",
        match="unknown certificate authority",
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_docker_py(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would stand before the authority given here
        monkeypatch.delenv(name, raising=False)
    work_with_docker_py(secured)
    gc.collect()  # docker-py leaves sockets of streams to it


def work_with_docker_py(secured: Secured) -> None:
    files = secured.certificates
    config = docker_sdk.tls.TLSConfig(
        client_cert=(f"{files}/cert.pem", f"{files}/key.pem"), ca_cert=f"{files}/ca.pem", verify=True
    )
    sdk = docker_sdk.DockerClient(base_url=f"https://localhost:{secured.port}", tls=config)
    container = sdk.containers.run("busybox", ["sleep", "600"], detach=True)
    for _ in range(10):  # the first output must not come with the head of the answer
        assert container.exec_run(["echo", "hello"]).output == b"hello\n"
    stream = container.exec_run(["cat"], stdin=True, socket=True).output
    stream.sendall(b"there and back\n")
    assert stream.recv(8) and stream.recv(100) == b"there and back\n"
    stream.close()
    container.remove(force=True)
    sdk.close()


def test_a_client_that_leaves_ends_what_it_waited_for(secured: Secured) -> None:
    files = secured.certificates
    context = ssl.create_default_context(cafile=str(secured.authority.certificate))
    context.load_cert_chain(files / "cert.pem", files / "key.pem")
    before = secured.engine.descriptors()
    for _ in range(40):
        plain = socket.create_connection(("localhost", secured.port))
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    for garbage in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70000, b""):
        with socket.create_connection(("localhost", secured.port)) as plain:
            plain.sendall(garbage)
    assert eventually(lambda: secured.engine.descriptors() <= before + 15)  # shims are prepared meanwhile
