"""The command line in this process, against an engine that answers by a script."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from proa.cli.main import run
from rig.recorder import ID, Recorder, Reply, stream


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Proa = Callable[..., Outcome]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """What a container needs to be made, to run, print nothing and end with 0."""
    monkeypatch.setenv("PROA_HOST", f"unix://{tmp_path}/engine.sock")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_API_VERSION", "DOCKER_DEFAULT_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with Recorder(tmp_path / "engine.sock") as recorder:
        recorder.on("POST /containers/create", Reply(201, {"Id": ID, "Warnings": []}))
        recorder.on(f"POST /containers/{ID}/attach", stream())
        recorder.on(f"POST /containers/{ID}/wait", Reply(value={"StatusCode": 0}))
        recorder.on(f"POST /containers/{ID}/start", Reply(204))
        yield recorder


@pytest.fixture
def proa(capfd: pytest.CaptureFixture[str]) -> Iterator[Proa]:
    """`proa("ps", "-a")`: exit code, standard output and standard error; standard input is empty."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def call(*words: str) -> Outcome:
        code = run(words)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    yield call
    # a command that is attached takes all signals, and its process ends with it; this one goes on
    for number, handler in before.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)
