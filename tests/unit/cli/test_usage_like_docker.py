"""Wrong flags and numbers of arguments: docker's messages and exit codes, for every command."""

from __future__ import annotations

import os
import subprocess

import pytest

from proa.cli.command import ANY
from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder

from .conftest import Outcome, Proa
from .test_help import COMMANDS, USAGES, command, module_of
from .test_like_docker import _ours

# Docker's own command line says these in other words than all its others.
ODD = {"context use", "completion bash", "completion fish", "completion zsh"}


def cases() -> list[str]:
    """Each command once: an unknown flag, a wrong --help, one argument too few and one too many."""
    found, seen = [], set()
    for words in COMMANDS:
        if module_of(words) in seen or words in ODD or words in USAGES:
            continue
        seen.add(module_of(words))
        taken = command(words)
        found += [f"{words} --nope", f"{words} --help=x"]
        if taken.least > 0:
            found.append(" ".join([words, *["x"] * (taken.least - 1)]))
        if taken.most != ANY:
            found.append(" ".join([words, *["x"] * (taken.most + 1)]))
    return found


OTHERS = [
    "container --nope", "volume --nope", "image -Z", "system nope", "volume nope", "help nope",
    "help container nope",
    "--nope", "-Z", "--config", "-H a -H b ps", "-H a -c b ps", "--log-level nope ps", "nope", "ps --all=maybe",
    "ps -n", "ps --last x", "ps --filter x", "logs -n", "rm --force=maybe x", "--version=maybe",
]  # fmt: skip


def neutral(text: str) -> str:
    """Docker's own name stands in one usage's second line; a letter too much behind "at most"."""
    return _ours(text).replace("\tdocker ", "\tproa ").replace("SRun ", "Run ")


@pytest.mark.parametrize("words", [*cases(), *OTHERS])
def test_same(words: str, engine: Recorder, proa: Proa) -> None:
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    environment = {**os.environ, "DOCKER_HOST": engine.url, "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run(
        [*program, *words.split()], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert proa(*words.split()) == Outcome(done.returncode, done.stdout, neutral(done.stderr))
    assert not engine.asked("(POST|DELETE|PUT) .*")
