"""What commands import: each of these modules costs more than a whole command may take in all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig.recorder import Recorder, Reply

from .answers import answer

PROGRAM = Path(__file__).parents[3] / "bin" / "proa"
HEAVY = {"argparse", "dataclasses", "enum", "hashlib", "json", "logging", "pathlib", "re", "socket", "typing"}
LEAN = [
    "ps -a", "ps --format {{.Names}}", "ps -q", "ps --format json", "images -q",
    "inspect -f {{.State.Running}} web", "inspect -f {{.State|json}} web",
    "version", "info -f {{.ServerVersion}}", "start web", "logs web", "exec web true",
    "--help", "container --help", "run --help", "__complete rm -", "rm -f web", "system df", "container prune -f",
]  # fmt: skip


@pytest.mark.parametrize("words", LEAN)
def test_imports(words: str, engine: Recorder) -> None:
    answer(engine).on("GET /(info|version)", Reply(value={"Version": "1", "ServerVersion": "1"}))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", PROGRAM, *words.split()],
        env={**os.environ, "DOCKER_HOST": engine.url}, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "proa.cli.main" in imported
    assert not imported & HEAVY
