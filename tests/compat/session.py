"""A long session with docker's command line, and what dockerd answered: a table of steps, and its recording.

`steps/GROUP.txt` holds what somebody types, a line for the shell each; `recorded/GROUP.txt` what dockerd 28.5 made
of it. A group runs in one directory on one engine from its first line to its last. At the end of a step may stand

    #sort          the lines come in no order
    #hide=REGEX    what differs from run to run, beside what `hidden` knows anyway
    #ours: WHY     the words are Proa's own: of the answer only the exit status is compared
    #differs: WHY  the answer is another than Docker's, and meant

`{registry}` stands for the address of the tests' registry.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.clients import Client

HERE = Path(__file__).parent
TIMEOUT = 60.0  # seconds for a step

# What is never the same: pattern, what stands there instead. The order matters.
_HIDDEN = [
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{12}\b", "ID"),
    (r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:?\d\d| ?Z)?( UTC)?", "TIME"),
    (r"\b(About an? |Less than a |\d+ )(second|minute|hour|day|week|month|year)s?( ago)?\b", "A WHILE"),
    (r"\b\d+ bytes\b", "SIZE"),
    (r"\b\d+(\.\d+)?(e[+]\d+)? ?[kKMGT]?i?B\b", "SIZE"),
    (r"\b172\.\d+\.\d+\.\d+\b", "ADDRESS"),
    (r"(pid|process|size:) \d+", r"\1 N"),
    (r"to \d+\.00, as there are only \d+ CPUs", "to N, as there are only N CPUs"),
    (r"available: [0-9,-]+", "available: N"),
    (r"runc create failed: ", ""),  # Proa is not runc
    (r"^time=.* level=\w+ msg=.*\n", ""),  # the client's log: of pipes that somebody closed first
    (r"^ID: (Verifying Checksum|Download complete)\n", ""),  # quick ones are not told of
    (r"^WARNING: The engine does not have the capability .*\n", ""),  # a matter of the machine
    (r"[ \t]{2,}", "  "),  # columns are as wide as their contents
    (r" +$", ""),
]
HIDDEN = [(re.compile(pattern, re.MULTILINE), instead) for pattern, instead in _HIDDEN]


@dataclass(frozen=True)
class Step:
    """One line of a table."""

    line: str  # for the shell
    sort: bool = False
    hide: str = ""
    ours: str = ""  # why its words are other ones than Docker's
    differs: str = ""  # why all of it is

    @classmethod
    def parse(cls, text: str) -> Step:
        line, _, note = text.partition(" #")
        if note in ("", "sort"):
            return cls(line, sort=note == "sort")
        match = re.fullmatch(r"(hide)=(.+)|(ours|differs): (.+)", note)
        if not match:
            raise ValueError(f"a step with a note that says nothing: {text}")
        return cls(line, **{match[1] or match[3]: match[2] or match[4]})

    @property
    def commands(self) -> list[list[str]]:
        """Return the words of each call of docker in the line."""
        words = list(shlex.shlex(self.line, posix=True, punctuation_chars="|&;()<>"))
        calls: list[list[str]] = []
        current: list[str] | None = None
        for word in words:
            if word == "docker" and current is None:
                current = []
                calls.append(current)
            elif re.fullmatch(r"[|&;()<>]+", word):
                current = None
            elif current is not None:
                current.append(word)
        return calls


@dataclass(frozen=True)
class Answer:
    """What a step said, with everything hidden that is never the same."""

    out: str
    err: str
    code: int

    def __str__(self) -> str:
        lines = [*self.out.splitlines(), *(f"! {line}".rstrip() for line in self.err.splitlines())]
        return "\n".join([*lines, *([f"= {self.code}"] if self.code else [])])


def steps(group: str) -> list[Step]:
    """Return the table of a group."""
    lines = (HERE / "steps" / f"{group}.txt").read_text().splitlines()
    return [Step.parse(line) for line in lines if line and not line.startswith("#")]


GROUPS = sorted(path.stem for path in (HERE / "steps").glob("*.txt"))


class Session:
    """Types the steps of a group to `client` in `directory`."""

    def __init__(self, client: Client, directory: Path, registry: str) -> None:
        self._directory = directory
        self._registry = registry
        self._environment = client.environment | {
            "PATH": f"{Path(client.program[0]).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        self._places = [
            (str(directory), "DIRECTORY"),
            (registry, "REGISTRY"),
            (str(client.home), "HOME"),
            (client.host, "HOST"),
        ]

    def run(self, step: Step) -> Answer:
        done = subprocess.run(
            ["sh", "-c", step.line.replace("{registry}", self._registry)],
            stdin=subprocess.DEVNULL, capture_output=True, cwd=self._directory, env=self._environment,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
        out, err = (self.hidden(step, data.decode(errors="replace")) for data in (done.stdout, done.stderr))
        return Answer(out, err, done.returncode)

    def hidden(self, step: Step, text: str) -> str:
        """Return a text without what differs from run to run."""
        for place, instead in self._places:
            text = text.replace(place, instead)
        text = text.replace("\r\n", "\n")
        if step.hide:
            text = re.sub(step.hide, "HIDDEN", text, flags=re.MULTILINE)
        for pattern, instead in HIDDEN:
            text = pattern.sub(instead, text)
        return "\n".join(sorted(text.splitlines())) if step.sort else text


def render(answers: list[tuple[Step, Answer]], version: str) -> str:
    """Return a recording as text."""
    parts = (f"$ {step.line}\n{answer}\n".replace("\n\n", "\n") for step, answer in answers)
    return "".join([f"# {version}\n", *parts])


def parse(text: str) -> dict[str, str]:
    """Return the recorded answers by the step's line. A line that is typed twice has a number from 2 on."""
    found: dict[str, str] = {}
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, answer = part.partition("\n")
        found[numbered(line, found)] = answer.strip("\n")
    return found


def numbered(line: str, known: dict[str, str]) -> str:
    number = 2
    name = line
    while name in known:
        name, number = f"{line} ({number})", number + 1
    return name


def differences(step: Step, recorded: str, answer: Answer, *, only_codes: bool = False) -> Iterator[str]:
    """Yield the lines in which an answer differs from the recorded one."""
    if step.differs:
        return
    seen = "\n".join(line for line in str(answer).splitlines() if line)
    if step.ours or only_codes:
        codes = (re.search(r"^= \d+$", text, re.MULTILINE) for text in (recorded, seen))
        recorded, seen = (code[0] if code else "= 0" for code in codes)
    if recorded != seen:
        yield f"$ {step.line}"
        lines = difflib.ndiff(recorded.splitlines(), seen.splitlines())
        yield from (line for line in lines if not line.startswith("?"))
