"""Help: docker's layout, and every flag of docker's."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import Any, NamedTuple

import pytest

from proa.cli.catalogue import GROUPS, SUMMARIES, TOP
from proa.cli.command import Command
from proa.cli.elsewhere import REFUSED
from proa.cli.flags import KIND, NAME, SHORT
from rig.clients import docker_version, find
from rig.needs import need

from .conftest import Proa

# Flags of Proa's own.
_RUN = {"egress", "ephemeral", "health-on-failure", "publish-policy"}
OWN = {"run": _RUN, "create": _RUN, "volume create": {"name"}, "update": {"egress", "publish-add", "publish-rm"}}
# Docker's help has a wrong or no usage line there.
USAGES = {"builder prune": "", "completion fish": "", "completion zsh": ""}

# Commands that docker has not, or is silent about.
OWN_COMMANDS = {
    "container fork", "container rewind", "container snapshot", "image outdated", "image verify",
    "snapshot create", "snapshot list", "snapshot ls",
    "snapshot remove", "snapshot rm", "system dial-stdio", "system ports",
    "volume clone", "volume export", "volume import", "volume rename", "volume snapshot",
}  # fmt: skip
COMMANDS = [
    *(name for name in TOP),
    *(words for group in GROUPS for name in GROUPS[group][1] if (words := f"{group} {name}") not in OWN_COMMANDS),
]
FLAG = re.compile(r"  (?:-(\w), |    )--([\w-]+)(?: ([\w-]+))?(?:   +(.*))?")
# What docker's help says of defaults that are what a kind begins with.
EMPTY = re.compile(r"\(default (?:\[\]|map\[\]|0s|0|\"\")\)")


class Described(NamedTuple):
    """What a command's help says: {name: (short form, kind, default)}, usage, aliases, commands within."""

    flags: dict[str, tuple[str, str, str]]
    usage: str
    aliases: list[str]
    commands: list[str]


def module_of(words: str) -> str:
    first, _, second = words.partition(" ")
    return GROUPS[first][1][second] if second else TOP[first]


def command(words: str) -> Command:
    module: Any = __import__(f"proa.cli.commands.{module_of(words)}", fromlist=("COMMAND",))
    found = module.COMMAND
    assert isinstance(found, Command)
    return found


@cache
def dockers(words: str) -> Described:
    """What docker's own help says about a command or a group."""
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    return read_help(
        subprocess.run([*program, *words.split(), "--help"], capture_output=True, text=True, check=True).stdout
    )


def read_help(text: str) -> Described:
    sections: dict[str, list[str]] = {}
    title = ""
    for line in text.split("\n"):
        if re.fullmatch(r"[A-Z][\w ]+:", line):
            title = line[:-1]
        elif line:
            sections.setdefault(title, []).append(line)
    flags: list[list[str]] = []
    for line in sections.get("Options", ()):
        if match := FLAG.fullmatch(line):
            flags.append([each or "" for each in match.groups()])
        else:
            flags[-1][3] += " " + line.strip()
    found = {name: (short, kind, default_of(text)) for short, name, kind, text in flags if name != "help"}
    usage = re.search(r"Usage:  \w+ [\w -]+? ((?:\[OPTIONS\]|[A-Z]|f|\[).*(?:\n\t\w+ .*)?)", text)
    aliases = [name.strip() for line in sections.get("Aliases", ()) for name in line.split(",")]
    lines = [line for title in sections if title.endswith("Commands") for line in sections[title]]
    commands = [line.split()[0] for line in lines if line.startswith("  ")]
    return Described(found, usage.group(1) if usage else "", aliases, commands)


def default_of(text: str) -> str:
    match = re.search(r'\(default ("[^"]*"|[^ )]+)\)', EMPTY.sub("", text))
    return match.group() if match else ""


@pytest.mark.parametrize("words", COMMANDS)
def test_flags_are_dockers(words: str, proa: Proa) -> None:
    """Name, short form, kind and default; those that Proa refuses count, because it knows them."""
    theirs = dockers(words)
    found = command(words)
    defaults = {name: default for name, (_, _, default) in theirs.flags.items()}
    ours = read_help(proa(*words.split(), "--help").out).flags
    refused = {flag[NAME]: (flag[SHORT], flag[KIND], defaults.get(flag[NAME])) for flag in found.refused}
    assert not refused.keys() & ours.keys()
    own = OWN.get(words, set()) | OWN.get(module_of(words), set())
    assert {name: value for name, value in (ours | refused).items() if name not in own} == theirs.flags
    assert found.usage == USAGES.get(words, theirs.usage.replace("\tdocker", "\tproa"))


@pytest.mark.parametrize("words", COMMANDS)
def test_aliases_are_dockers(words: str, proa: Proa) -> None:
    """Docker's help is silent about some groups' aliases and names `image build`'s in `build`'s only."""
    theirs = [name.replace("docker ", "proa ") for name in dockers(words).aliases]
    if theirs:
        assert sorted(read_help(proa(*words.split(), "--help").out).aliases) == sorted(theirs)


def test_every_command_of_docker_is_known() -> None:
    """Each is one of Proa's, or refused with a reason."""
    groups = {name for name in dockers("").commands if dockers(name).commands}
    assert {"container", "image", "system", "swarm"} <= groups
    known = {*COMMANDS, *REFUSED}
    unknown = set()
    for name in dockers("").commands:
        if name in groups and name not in REFUSED:
            unknown |= {f"{name} {inner}" for inner in dockers(name).commands} - known
        else:
            unknown |= {name} - known - groups
    assert not unknown
    assert not {name for name in REFUSED if name in COMMANDS}


def test_refused_commands_and_flags(proa: Proa) -> None:
    for words in ("swarm init", "service", "help stack", "image build .", "builder build", "build", "buildx du"):
        outcome = proa(*words.split())
        assert (outcome.code, outcome.out) == (1, "")
        assert "is not supported: Proa " in outcome.err
    outcome = proa("start", "--checkpoint", "x", "y")
    assert (outcome.code, outcome.err) == (
        1,
        'proa: "--checkpoint" is not supported: Proa makes no checkpoints of containers\n',
    )


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
