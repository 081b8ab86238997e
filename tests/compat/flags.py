"""The flags of docker's command line by its own help, and which of them a session has to type."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence

# Nouns and verbs that are no part of the session.
LEFT_OUT = {
    "builder build": "builds come with their own tests",
    "image build": "builds come with their own tests",
}
NOUNS = ("builder", "container", "context", "image", "network", "system", "volume")
# Verbs by their short names.
SHORT = {
    "ps": "container ls", "images": "image ls", "rmi": "image rm", "events": "system events",
    "info": "system info",
    **{verb: f"container {verb}" for verb in (
        "attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs", "pause", "port", "rename",
        "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait",
    )},
    **{verb: f"image {verb}" for verb in ("history", "import", "load", "pull", "push", "save", "tag")},
}  # fmt: skip
ALONE = ("inspect", "login", "logout", "search", "version")
# Verbs that take the flags of another through the same code.
SAME = {"container create": "container run"}

# command, flag: why no step has it
EXCEPTIONS: dict[tuple[str, str], str] = {
    (command, flag): why
    for command in ("container create", "container run")
    for flag, why in {
        "help": "the client's own",
        "use-api-socket": "the client's own, and an experiment",
        "link-local-ip": "steps connect with it, too: the same code of the client",
    }.items()
}


def uncovered(
    program: Sequence[str], typed: list[list[str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the flags that no step types and no exception names, and the exceptions that are none."""
    seen = {(command, flag) for call in typed for command, flags in [_taken_apart(call)] for flag in flags}
    missing = []
    for command, short, flag in _offered(program):
        names = {flag, short} - {""}
        commands = {command, SAME.get(command, command), *(one for one, other in SAME.items() if other == command)}
        if not any((one, name) in seen for one in commands for name in names):
            missing.append((command, flag))
    return (
        [each for each in missing if each not in EXCEPTIONS],
        [each for each in EXCEPTIONS if each not in missing],
    )


def _taken_apart(call: list[str]) -> tuple[str, set[str]]:
    """Return the long name of a call's command and its flags. What a container runs is taken for flags, too."""
    words = list(call)
    while words and words[0].startswith("-"):
        words = words[1:]
    verb = words[0] if words else ""
    command = " ".join(words[:2]) if verb in NOUNS else SHORT.get(verb, verb)
    flags = set()
    for word in call:
        if word.startswith("--"):
            flags.add(word[2:].partition("=")[0])
        elif re.match(r"-[A-Za-z]", word):
            flags.update(word[1:].partition("=")[0])
    return command, flags


def _offered(program: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield command, short flag or "", long flag."""
    commands = [f"{noun} {verb}" for noun in NOUNS for verb in _verbs(_help(program, noun))]
    for command in [*commands, *ALONE]:
        if command not in LEFT_OUT:
            for short, flag in _flags(_help(program, *command.split())):
                yield command, short, flag


def _help(program: Sequence[str], *command: str) -> str:
    return subprocess.run([*program, *command, "--help"], capture_output=True, text=True, check=True).stdout


def _verbs(text: str) -> list[str]:
    return re.findall(r"^  ([a-z][\w-]*) +\S", text.partition("Commands:")[2], re.MULTILINE)


def _flags(text: str) -> list[tuple[str, str]]:
    options = text.partition("\nOptions:")[2]
    return re.findall(r"^ +(?:-(\w), )?--([a-z][\w-]*)", options, re.MULTILINE)
