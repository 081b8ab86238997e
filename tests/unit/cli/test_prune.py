"""`prune`: the question, and what becomes of its answers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder
from rig.terminal import Terminal

from .answers import answer
from .conftest import Proa

QUESTION = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "


def ask(program: str, engine: Recorder, stdin: bytes) -> tuple[int, str, str, int]:
    """Exit code, both outputs, and how often the engine was asked to prune."""
    answer(engine)
    engine.requests.clear()
    environment = {**os.environ, "DOCKER_HOST": engine.url}
    done = subprocess.run(
        [*find(program), "container", "prune"], env=environment, input=stdin, capture_output=True, timeout=20
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode(), len(engine.asked(".*/prune"))


@pytest.mark.parametrize(
    ("stdin", "pruned"),
    [
        (b"y\n", True), (b"Y", True), (b" y \nn\n", True), (b"yes\n", False), (b"n\ny\n", False), (b"\n", False),
        (b"", False),
    ],
)  # fmt: skip
def test_the_answer_is_one_line(stdin: bytes, pruned: bool, engine: Recorder) -> None:
    need(docker_version(find("docker")) >= (28,), "docker 28")
    code, out, err, asked = outcome = ask("proa", engine, stdin)
    assert (code, err, asked) == (0, "", int(pruned))
    assert out.startswith(QUESTION)
    assert (out == QUESTION) is not pruned
    assert outcome == ask("docker", engine, stdin)


@pytest.mark.parametrize(("typed", "pruned"), [("y\r", True), ("n\r", False), ("\x04", False), ("\x03", False)])
def test_the_answer_is_typed(typed: str, pruned: bool, engine: Recorder) -> None:
    answer(engine)
    with Terminal([*find("proa"), "container", "prune"], {**os.environ, "DOCKER_HOST": engine.url}) as terminal:
        terminal.expect(r"\[y/N\] ")
        terminal.send(typed)
        assert terminal.wait() == 0
    assert bool(engine.asked("POST /containers/prune")) is pruned


def test_conditions_of_the_configuration(engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    """The user's own go before those that say the opposite."""
    answer(engine)
    (tmp_path / "docker").mkdir()
    configured = ["label!=keep", "label=x", "until=24h"]
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"pruneFilters": configured}))
    assert proa("container", "prune", "-f", "--filter", "label!=x").code == 0
    filters = json.loads(engine.only("POST /containers/prune").query["filters"])
    assert filters == {"label!": {"keep": True, "x": True}, "until": {"24h": True}}
