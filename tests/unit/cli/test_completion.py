"""Completion: the candidates, and real shells that complete with them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from proa.cli.catalogue import GROUPS, TOP
from proa.cli.completion.tables import ARGUMENTS, FILTERS, FLAG_VALUES
from proa.cli.flags import KIND, NAME
from rig.clients import find
from rig.needs import need
from rig.recorder import Recorder, Reply
from rig.terminal import Terminal

from .answers import answer
from .conftest import Proa
from .test_help import COMMANDS, OWN_COMMANDS, command, module_of

RUNNING = {"Image": "busybox", "Status": "Up 2 minutes", "State": "running", "Names": ["/web", "/other/alias"]}
ENDED = {"Image": "busybox", "Status": "Exited (0)", "State": "exited", "Names": ["/worker-1"]}
CONTAINERS = [{**RUNNING, "Id": "a" * 64}, {**ENDED, "Id": "b" * 64}]
TAGS = ["busybox:1.36", "r.io:5/b:2"]


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    answer(engine).on("GET /containers/json", Reply(value=CONTAINERS))
    engine.on("GET /images/json", Reply(value=[{"Id": "sha256:" + "c" * 64, "RepoTags": TAGS}]))
    return engine.on("GET /info", Reply(value={"Runtimes": {"proa": {}, "runc": {}}}))


# Words, of which the last one is being written; candidates; what the shell is to do (2: no space, 4: no files).
OFFERED = [
    ("ru", ["run"], 4),
    ("container re", ["rename", "restart", "rewind"], 4),
    ("container remo", [], 4),
    (
        "volume ''",
        ["clone", "create", "export", "import", "inspect", "ls", "prune", "rename", "rm", "snapshot", "update"],
        4,
    ),
    ("system di", [], 4),
    ("nope ''", [], 0),
    ("--log-level ''", ["debug", "info", "warn", "error", "fatal"], 4),
    ("--log-level=d", ["debug"], 4),
    ("--context ''", ["default"], 4),
    ("--con", ["--config", "--context"], 4),
    ("-H x sto", ["stop"], 4),
    ("rm --f", ["--force"], 4),
    ("rm -f", ["-f"], 4),
    ("rm -f ''", ["web", "worker-1"], 4),
    ("rm web ''", ["worker-1"], 4),
    ("rm -- -", [], 4),
    ("start ''", ["worker-1"], 4),
    ("stop ''", ["web"], 4),
    ("exec ''", ["web"], 4),
    ("exec web ''", [], 0),
    ("inspect bbb", ["bbbbbbbbbbbb"], 4),
    ("rename web ''", [], 4),
    ("rename web x ''", [], 4),
    ("run -it b", ["busybox:1.36"], 4),
    ("run busybox --h", [], 0),
    ("run --pull ''", ["always", "missing", "never"], 4),
    ("run --pull=n", ["never"], 4),
    ("run --network bri", ["bridge"], 4),
    ("run --network=container:w", ["container:web"], 4),
    ("run --pid cont", ["container:"], 6),
    ("run --env-file ''", [], 0),
    ("run --name ''", [], 4),
    ("run --runtime r", ["runc"], 4),
    ("run -v v1", ["v10:"], 6),
    ("run -v /e", [], 0),
    ("run -e PROA_TEST_V", ["PROA_TEST_VARIABLE"], 4),
    ("run --cap-add NET_A", ["NET_ADMIN"], 4),
    ("cp w", ["web:", "worker-1:"], 2),
    ("cp ./w", [], 0),
    ("ps --filter st", ["status="], 6),
    ("ps --filter status=r", ["status=restarting", "status=running", "status=removing"], 4),
    ("ps --filter=network=h", ["network=host"], 4),
    ("ps --filter nope=", [], 4),
    ("events -f type=i", ["type=image"], 4),
    ("inspect --type volume ''", ["v10", "v9", "0" * 64], 4),
    ("context use d", ["default"], 4),
    ("image rm r", ["r.io:5/b:2"], 4),
    ("import ''", [], 0),
    ("tag ''", TAGS, 4),
]  # fmt: skip


@pytest.mark.parametrize(("words", "texts", "number"), OFFERED)
def test_candidates(
    words: str, texts: list[str], number: int, engine: Recorder, proa: Proa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROA_TEST_VARIABLE", "x")
    outcome = proa("__completeNoDesc", *shlex.split(words))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [*texts, f":{number}"]


def test_descriptions(engine: Recorder, proa: Proa) -> None:
    assert proa("__complete", "stop", "").out == "web\tbusybox, Up 2 minutes\n:4\n"
    assert "stop\tAsk containers to end, and end them after a while\n" in proa("__complete", "s").out


def test_no_engine_is_started(proa: Proa, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an engine was started")

    monkeypatch.setattr("proa.client.spawn.start", refuse)
    monkeypatch.setattr("proa.client.address.DEFAULT_URL", "unix:///no/such.sock")
    for name in ("PROA_HOST", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    outcome = proa("__complete", "stop", "")
    assert (outcome.code, outcome.out, outcome.err) == (0, ":4\n", "")


def test_tables_name_what_there_is() -> None:
    every = [*COMMANDS, *sorted(OWN_COMMANDS)]
    modules = {*TOP.values(), *(module for _, commands in GROUPS.values() for module in commands.values())}
    taking = {module_of(words) for words in every if command(words).most != 0 and command(words).usage}
    assert taking <= set(ARGUMENTS)
    filtering = {
        module_of(words) for words in every if any(flag[KIND] == "filter" for flag in command(words).flags)
    }
    assert filtering <= set(FILTERS)
    assert set(ARGUMENTS) | set(FILTERS) <= modules
    flags = {flag[NAME] for words in every for flag in command(words).flags if flag[KIND]}
    assert set(FLAG_VALUES) <= flags


# What is typed; the words that the command then gets.
TYPED = [
    ("ver\t", ["version"]),
    ("start wor\t", ["start", "worker-1"]),
    ("rm -f we\t wor\t", ["rm", "-f", "web", "worker-1"]),
    ("run --pull=al\t", ["run", "--pull=always"]),
    ("run --pull al\t r.io:5/b:\t", ["run", "--pull", "always", "r.io:5/b:2"]),
    ("ps --filter sta\trunn\t", ["ps", "--filter", "status=running"]),
    ("ps --filter=status=runn\t", ["ps", "--filter=status=running"]),
    ("import only-\t", ["import", "only-file.tar"]),
    ("rename web only-\t", ["rename", "web", "only-"]),
    ("network inspect bri\t", ["network", "inspect", "bridge"]),
]
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], ". <(proa completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit && compinit -u -D && source <(proa completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "proa completion fish | source"),
}


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A directory with one file and a `proa` that completes like the real one, and else tells its words."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "only-file.tar").write_text("")
    program = tmp_path / "bin" / "proa"
    program.parent.mkdir()
    real = find("proa")[0]
    program.write_text(
        f'#!/bin/sh\ncase $1 in __complete*|completion) exec {real} "$@" ;; esac\n'
        "printf 'GOT'; for word; do printf ' [%s]' \"$word\"; done; echo ' END'\n"
    )
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("shell", list(SHELLS))
def test_shell(shell: str, engine: Recorder, bench: Path) -> None:
    need(shutil.which(shell), shell)
    words, setup = SHELLS[shell]
    environment = {
        "PATH": f"{bench}/bin:{os.environ['PATH']}", "HOME": str(bench), "DOCKER_HOST": engine.url,
        "LANG": "C.UTF-8", "DOCKER_CONFIG": str(bench / "docker"), "PS1": "$ ",
    }  # fmt: skip
    with Terminal(words, environment, columns=300) as terminal:
        terminal.line(f"cd {bench}/here; {setup}; echo REA''DY")
        terminal.expect("READY")
        for typed, got in TYPED:
            pieces = typed.split("\t")
            terminal.send("proa " + pieces[0])
            for piece in pieces[1:]:
                terminal.send("\t")
                terminal.quiet()  # some shells throw away what is typed while they complete
                terminal.send(piece)
            terminal.send("\r")
            shown = re.sub(r"\x1b[^m]*m", "", terminal.expect(r"GOT (\[[^\r\n]*) END").group(1))
            assert shlex.split(shown.replace("[", "'").replace("]", "'")) == got, typed


def test_scripts_are_what_shells_read(bench: Path) -> None:
    for shell in SHELLS:
        need(shutil.which(shell), shell)
        for flags in ([], ["--no-descriptions"]):
            text = subprocess.run(
                [*find("proa"), "completion", shell, *flags], capture_output=True, text=True, check=True
            ).stdout
            script = bench / f"script.{shell}"
            script.write_text(text)
            assert subprocess.run([shell, "-n", script], capture_output=True, text=True).stderr == ""
            assert ("__completeNoDesc" in text) == (bool(flags) or shell == "bash")
