"""Starting the engine on demand. `proad` is a script here that listens on the socket and counts its starts."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proa.client import spawn
from proa.client.address import Address
from proa.client.client import Client
from proa.client.errors import CannotConnect, NotRunning
from rig.needs import need

PROAD = """#!{python}
import os, socket, sys, time
with open({directory!r} + "/starts", "a") as file:
    file.write(f"{{os.getpid()}} {{os.getsid(0)}} {{os.getcwd()}} {{' '.join(sys.argv[1:])}}\\n")
time.sleep({delay})
listener = socket.socket(socket.AF_UNIX)
listener.bind({directory!r} + "/run/proa.sock")
listener.listen()
while True:
    connection, _ = listener.accept()
    if connection.recv(4096):
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\n\\r\\n1")
    connection.close()
"""


class Machine:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address = Address(f"unix://{directory}/run/proa.sock", default=True)

    def install(self, text: str) -> None:
        program = self.directory / "bin" / "proad"
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(0o755)

    def starts(self) -> list[list[str]]:
        file = self.directory / "starts"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    need(os.geteuid() == 0, "root")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "proa")])
    made = Machine(tmp_path)
    yield made
    for words in made.starts():
        try:
            os.kill(int(words[0]), signal.SIGKILL)
            os.waitpid(int(words[0]), 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def script(machine: Machine, delay: float = 0.1) -> str:
    return PROAD.format(python=sys.executable, directory=str(machine.directory), delay=delay)


def test_first_request_starts_the_engine(machine: Machine) -> None:
    machine.install(script(machine))
    client = Client(machine.address)
    assert client.get("/x") == 1
    client.close()
    ((pid, session, directory, *words),) = machine.starts()
    assert (session, directory, words) == (pid, "/", ["--idle-exit", "600"])
    assert (machine.directory / "run").stat().st_mode & 0o777 == 0o711


def test_only_one_of_several_starts_it(machine: Machine) -> None:
    machine.install(script(machine, delay=0.3))
    answers: list[int] = []

    def ask() -> None:
        client = Client(machine.address)
        answers.append(client.get("/x"))
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [1] * 5
    assert len(machine.starts()) == 1


def test_engine_that_ends_at_once(machine: Machine) -> None:
    machine.install("#!/bin/sh\necho first >&2; echo 'no such luck' >&2; exit 1\n")
    for _ in range(2):
        with pytest.raises(CannotConnect) as caught:
            spawn.start(machine.address)
        assert str(caught.value).endswith("/run/proa.sock: first\nno such luck")


def test_engine_that_never_listens(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "DEADLINE", 0.3)
    machine.install(script(machine, delay=60))
    with pytest.raises(CannotConnect, match="it does not answer after"):
        spawn.start(machine.address)


def test_engine_that_was_asked_for_by_name_is_not_started(machine: Machine) -> None:
    machine.install(script(machine))
    client = Client(Address(machine.address.url))
    with pytest.raises(NotRunning):
        client.get("/x")
    client.close()
    assert machine.starts() == []


def test_only_root_can(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotConnect, match="only root can start it"):
        spawn.start(machine.address)
