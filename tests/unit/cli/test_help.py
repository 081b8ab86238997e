"""Help: docker's layout, and every flag of docker's."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from proa.cli.catalogue import GROUPS, SUMMARIES, TOP
from proa.cli.command import Command
from proa.cli.flags import KIND, NAME, SHORT
from rig.clients import docker_version, find
from rig.needs import need

from .conftest import Proa

# Flags of docker that Proa lacks, and why.
LACKING = {
    "inspect": {"platform"},  # of images with several platforms: one is stored
    "start": {"checkpoint", "checkpoint-dir"},  # experimental
    "run": {"use-api-socket"},  # experimental
    "create": {"use-api-socket"},
    "images": {"tree"},  # experimental
    "history": {"platform"},
    "image inspect": {"platform"},
    "rmi": {"platform"},
    "network inspect": {"verbose"},  # swarm
    "volume_ls": {"cluster"},  # swarm
    "volume create": {
        "availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing",
        "topology-preferred", "topology-required", "type",
    },  # swarm
    "version": set(),
}  # fmt: skip
_RUN = {"ephemeral", "health-on-failure"}
OWN = {"run": _RUN, "create": _RUN, "volume create": {"name"}}

COMMANDS = [
    *(name for name in TOP),
    *(f"{group} {name}" for group in GROUPS for name in GROUPS[group][1] if name not in ("dial-stdio",)),
]


def module_of(words: str) -> str:
    first, _, second = words.partition(" ")
    return GROUPS[first][1][second] if second else TOP[first]


def command(words: str) -> Command:
    module: Any = __import__(f"proa.cli.commands.{module_of(words)}", fromlist=("COMMAND",))
    found = module.COMMAND
    assert isinstance(found, Command)
    return found


FLAG = re.compile(r"^  (?:-(\w), |    )--([\w-]+)(?: ([\w-]+))?(?:   |$)", re.MULTILINE)


@pytest.mark.parametrize("words", COMMANDS)
def test_flags_are_dockers(words: str) -> None:
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    help_text = subprocess.run(
        [*program, *words.split(), "--help"], capture_output=True, text=True, check=True
    ).stdout
    theirs = {name: (short, kind) for short, name, kind in FLAG.findall(help_text) if name != "help"}
    ours = {flag[NAME]: (flag[SHORT], flag[KIND]) for flag in command(words).flags}
    lacking = LACKING.get(words, set()) | LACKING.get(module_of(words), set())
    own = OWN.get(words, set()) | OWN.get(module_of(words), set())
    assert {name: value for name, value in theirs.items() if name not in lacking} == {
        name: value for name, value in ours.items() if name not in own
    }
    usage = re.search(r"Usage:  docker [\w -]+? ((?:\[OPTIONS\]|[A-Z]|f|\[).*(?:\n\tdocker .*)?)", help_text)
    assert command(words).usage == (usage.group(1).replace("\tdocker", "\tproa") if usage else "")


@pytest.mark.parametrize("words", [*COMMANDS, *GROUPS, ""])
def test_help_is_shown(words: str, proa: Proa) -> None:
    outcome = proa(*words.split(), "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("Usage:  proa")
    assert not any(line != line.rstrip() for line in outcome.out.splitlines())
    assert proa("help", *words.split()) == outcome


def test_layout(proa: Proa) -> None:
    assert proa("stop", "--help").out == (
        "Usage:  proa stop [OPTIONS] CONTAINER [CONTAINER...]\n\n"
        "Ask containers to end, and end them after a while\n\n"
        "Aliases:\n  proa container stop, proa stop\n\n"
        "Options:\n"
        "  -s, --signal string   Signal that asks the container to end\n"
        "  -t, --timeout int     Seconds to wait after it before killing; -1: for ever\n"
    )


def test_aliases_are_named_like_the_first(proa: Proa) -> None:
    assert proa("container", "ps", "--help").out.startswith("Usage:  proa container ls [OPTIONS]\n")
    assert (
        "Aliases:\n  proa container ls, proa container list, proa container ps, proa ps\n"
        in proa("ps", "--help").out
    )


def test_every_command_has_a_summary() -> None:
    modules = {*TOP.values(), *(module for _, commands in GROUPS.values() for module in commands.values())}
    assert modules == set(SUMMARIES)
