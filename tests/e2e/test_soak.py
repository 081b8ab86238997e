"""Short runs without end, eight at once, while proad is killed now and then: nothing is lost, nothing stays.

`PROA_SOAK_RUNS=2000` makes it long.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Iterator

import pytest

from rig.api import UnixConnection
from rig.engine import Engine, eventually, running
from rig.fuzzing.accounts import memory
from rig.registry import Registry

RUNS = int(os.environ.get("PROA_SOAK_RUNS", "160"))
AT_ONCE = 8
GROWTH = 25.0  # MiB that proad may have more at the end than after a tenth of the runs
_GONE = (OSError, http.client.HTTPException)  # proad was killed in the middle of an answer


@pytest.fixture
def engine(registry: Registry) -> Iterator[Engine]:
    with running(registry.url, pull="busybox") as engine:
        yield engine


def ask(engine: Engine, method: str, target: str, body: object = None) -> tuple[int, bytes]:
    """One request, again until proad is there to answer."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with contextlib.closing(UnixConnection(str(engine.socket))) as connection:
                data = None if body is None else json.dumps(body)
                connection.request(method, f"/v1.47{target}", data, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read()
        except _GONE:
            assert time.monotonic() < deadline, "proad does not come back"
            time.sleep(0.05)


class Runner(threading.Thread):
    """Runs one container after the other. Each has a name, so that a request that was lost can be repeated."""

    def __init__(self, engine: Engine, number: int, count: int) -> None:
        super().__init__()
        self.engine, self.number, self.left = engine, number, count
        self.done = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while self.left:
            self.left -= 1
            try:
                self.once(f"soak-{self.number}-{self.left}")
            except Exception as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
            self.done += 1

    def once(self, name: str) -> None:
        code = self.left % 100
        body = {
            "Image": "busybox",
            "Cmd": ["sh", "-c", f"echo {name}; exit {code}"],
            "HostConfig": {"NetworkMode": "none"},
        }
        status, said = ask(self.engine, "POST", f"/containers/create?name={name}", body)
        assert status in (201, 409), said  # 409: created, and the answer was lost
        status, said = ask(self.engine, "POST", f"/containers/{name}/start")
        assert status in (204, 304), said
        status, said = ask(self.engine, "POST", f"/containers/{name}/wait")
        assert (status, json.loads(said)["StatusCode"]) == (200, code), said
        status, said = ask(self.engine, "GET", f"/containers/{name}/logs?stdout=1")
        lines = said[8:].splitlines()
        assert lines[:1] == [name.encode()], said  # a second time where the answer to the start was lost
        status, said = ask(self.engine, "DELETE", f"/containers/{name}")
        assert status in (204, 404), said


@pytest.mark.timeout(120 + RUNS)
@pytest.mark.parametrize("killed", [False, True], ids=["quiet", "killed"])
def test_many_short_runs(engine: Engine, killed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.process
    runners = [Runner(engine, number, RUNS // AT_ONCE) for number in range(AT_ONCE)]
    begun = time.monotonic()
    for runner in runners:
        runner.start()
    first = 0.0
    kills = 0
    chance = random.Random(5)
    while any(runner.is_alive() for runner in runners):
        time.sleep(0.1)
        if not first and sum(runner.done for runner in runners) > RUNS // 10:
            first = memory(engine.process.pid)
        if killed and chance.random() < 0.05:
            engine.kill()
            engine.start()
            kills += 1
    seconds = time.monotonic() - begun
    wrong = [text for runner in runners for text in runner.wrong]
    assert not wrong, wrong[:5]
    last = memory(engine.process.pid)
    with capsys.disabled():
        print(f"\n{RUNS} runs in {seconds:.1f} s, {kills} kills, memory {first:.1f} -> {last:.1f} MiB")
    assert killed or last < first + GROWTH
    assert json.loads(ask(engine, "GET", "/containers/json?all=1")[1]) == []
    for directory in (engine.data_root / "containers", engine.exec_root / "containers"):
        eventually(lambda directory=directory: list(directory.iterdir()) == [], 20)  # type: ignore[misc]
    eventually(lambda: engine.descriptors() < 60)
