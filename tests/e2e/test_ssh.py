"""Engines over ssh: docker's and proa's clients run `docker system dial-stdio` on the far side."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rig.clients import Client, find
from rig.engine import Engine
from rig.needs import need


class Far(NamedTuple):
    """A machine that is this one: an sshd of the test's own, where `docker` is a link to proa."""

    url: str
    engine: Engine
    directory: Path

    def client(self, name: str) -> Client:
        return Client(name, self.url, self.directory / f"home-{name}")

    @property
    def environment(self) -> dict[str, str]:
        """ssh takes no configuration from anywhere but its command line: a wrapper adds it."""
        return {"PATH": f"{self.directory}/near:{os.environ['PATH']}"}


@pytest.fixture
def far(engine: Engine, tmp_path: Path) -> Iterator[Far]:
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    need(server and shutil.which("ssh"), "sshd and ssh")
    assert server
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    _far_commands(tmp_path / "far")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        f"SetEnv PATH={tmp_path}/far:/usr/bin:/bin PROA_HOST={engine.host}\n"
    )
    _near_ssh(tmp_path / "near", tmp_path)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its jail before it knows who comes; nothing is put there
    with (tmp_path / "sshd.log").open("wb") as log:
        command = [server, "-D", "-e", "-f", str(tmp_path / "sshd_config")]
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await(port, daemon, tmp_path / "sshd.log")
        yield Far(f"ssh://root@127.0.0.1:{port}", engine, tmp_path)
    finally:
        daemon.terminate()
        daemon.wait(10)


def _far_commands(directory: Path) -> None:
    """What is installed over there: `docker` is a symbolic link, as the documentation says."""
    directory.mkdir()
    (directory / "docker").symlink_to(find("proa")[0])


def _near_ssh(directory: Path, files: Path) -> None:
    directory.mkdir()
    wrapper = directory / "ssh"
    options = (
        f"-F none -i {files}/user -o UserKnownHostsFile={files}/known -o StrictHostKeyChecking=no "
        "-o LogLevel=ERROR"
    )
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
    wrapper.chmod(0o755)


def _await(port: int, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert daemon.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


@pytest.fixture(params=["docker", "proa"])
def distant(far: Far, request: pytest.FixtureRequest) -> Client:
    return far.client(request.param)


def test_over_ssh(far: Far, distant: Client) -> None:
    env = far.environment
    assert distant.ok("version", "--format", "{{.Server.Os}}", env=env) == "linux\n"
    result = distant("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", env=env)
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")
    # More both ways than any buffer holds, and the input's end is not the output's.
    data = os.urandom(1 << 20).hex()
    command = ["sh", "-c", "cat; echo; echo done"]
    assert distant.ok("run", "--rm", "-i", "busybox", *command, stdin=data, env=env) == f"{data}\ndone\n"


def test_the_far_side_says_what_is_wrong(far: Far, distant: Client) -> None:
    (far.directory / "far" / "docker").unlink()
    distant.fails("version", env=far.environment, match="docker: (command )?not found|127|exit status")


def test_called_by_the_name_of_docker(engine: Engine, tmp_path: Path) -> None:
    """A link named docker is the whole of docker's command line."""
    link = tmp_path / "docker"
    link.symlink_to(find("proa")[0])
    client = engine.proa
    client.program = [str(link)]
    assert client.ok("run", "--rm", "busybox", "echo", "hello") == "hello\n"
    answer = subprocess.run(
        [link, "system", "dial-stdio"], input=b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        capture_output=True, env=client.environment, check=True,
    )  # fmt: skip
    assert answer.stdout.startswith(b"HTTP/1.1 200 OK\r\n") and answer.stdout.endswith(b"\r\n\r\nOK")


def test_the_far_end_reads_while_it_cannot_write(engine: Engine) -> None:
    """Input that nobody takes does not hold up the output: dial-stdio must not do one after the other."""
    identifier = engine.api.post("/containers/create", {
        "Image": "busybox", "OpenStdin": True, "Cmd": ["sh", "-c", "yes | head -c 4000000; sleep 600"],
    }).json["Id"]  # fmt: skip
    with engine.proa.start("system", "dial-stdio") as dialled:
        assert dialled.stdin and dialled.stdout
        dialled.stdin.write(
            f"POST /containers/{identifier}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nUser-Agent: docker/1\r\n\r\n".encode()
            + bytes(1 << 18)  # not waiting for the answer
        )
        dialled.stdin.flush()
        output = b""
        while b"\r\n\r\n" not in output:  # or the container could be faster than the client
            output += os.read(dialled.stdout.fileno(), 1 << 10)
        pipe = dialled.stdin.fileno()
        os.set_blocking(pipe, False)
        engine.api.post(f"/containers/{identifier}/start")
        with contextlib.suppress(BlockingIOError):
            while select.select([], [pipe], [], 0.3)[1]:
                os.write(pipe, bytes(1 << 16))
        while output.count(b"y\n") < 1990000:
            output += os.read(dialled.stdout.fileno(), 1 << 20)
