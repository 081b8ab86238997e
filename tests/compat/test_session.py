"""A session with docker's command line is answered as dockerd 28.5 answered it: session.py says how.

To record again: `make compat-record`.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from compat import session
from compat.flags import uncovered
from compat.session import Session
from rig.clients import docker_version, find
from rig.engine import Engine, running
from rig.registry import Registry

RECORDED = session.HERE / "recorded"


@pytest.fixture
def started(registry: Registry) -> object:
    with running(registry.url, pull="busybox") as engine:
        yield engine


def answers(engine: Engine, directory: Path, registry: Registry, group: str) -> list:  # type: ignore[type-arg]
    typed = Session(engine.docker, directory, registry.address)
    return [(step, typed.run(step)) for step in session.steps(group)]


@pytest.mark.parametrize("group", session.GROUPS)
def test_answers(started: Engine, tmp_path: Path, registry: Registry, group: str) -> None:
    text = (RECORDED / f"{group}.txt").read_text()
    recorded, used = session.parse(text), dict[str, str]()
    major = docker_version(find("docker"))[0]
    only_codes = f" {major}." not in text.partition("\n")[0]  # another client has other words
    wrong = []
    for step, answer in answers(started, tmp_path, registry, group):
        name = session.numbered(step.line, used)
        used[name] = ""
        assert name in recorded, f"not recorded: {name}"
        wrong += session.differences(step, recorded[name], answer, only_codes=only_codes)
    assert not wrong, "\n".join(["", *wrong])
    assert used.keys() == recorded.keys()


def test_every_flag_is_typed() -> None:
    """Each flag of the help, in a step or in the table of those that are left out, with why."""
    typed = [call for group in session.GROUPS for step in session.steps(group) for call in step.commands]
    missing, needless = uncovered(find("docker"), typed)
    assert not missing, "not in a step, nor among the exceptions of flags.py"
    assert not needless, "no exceptions any more"


if "PROA_RECORD" in os.environ:

    @pytest.mark.parametrize("group", session.GROUPS)
    def test_record(started: Engine, tmp_path: Path, registry: Registry, group: str) -> None:
        said = subprocess.run([*find("docker"), "--version"], capture_output=True, text=True, check=True).stdout
        client = re.sub(r",.*\n", "", said)
        server = started.api.get("/version").json["Version"]
        RECORDED.mkdir(exist_ok=True)
        recorded = session.render(answers(started, tmp_path, registry, group), f"{client}, dockerd {server}")
        (RECORDED / f"{group}.txt").write_text(recorded)
