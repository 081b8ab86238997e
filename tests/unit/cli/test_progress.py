"""The progress of a pull: byte for byte what docker writes, on terminals of two widths and elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rig.clients import find
from rig.recorder import Recorder, Reply
from rig.terminal import Terminal

ROOT = Path(__file__).parents[3]


def layer(identifier: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    detail = {"current": current, "total": total} if current or total else {}
    return {"status": status, "progressDetail": detail, "id": identifier}


MESSAGES = [
    {"status": "Pulling from library/busybox", "id": "latest"},
    layer("aaaaaaaaaaaa", "Pulling fs layer"),
    layer("bbbbbbbbbbbb", "Pulling fs layer"),
    layer("bbbbbbbbbbbb", "Waiting"),
    layer("aaaaaaaaaaaa", "Downloading", 1, 1_234_567),
    layer("aaaaaaaaaaaa", "Downloading", 617_284, 1_234_567),
    layer("bbbbbbbbbbbb", "Downloading", 12_345),
    layer("aaaaaaaaaaaa", "Downloading", 1_234_567, 1_234_567),
    layer("aaaaaaaaaaaa", "Verifying Checksum"),
    layer("aaaaaaaaaaaa", "Download complete"),
    layer("bbbbbbbbbbbb", "Downloading", 99, 50),
    layer("aaaaaaaaaaaa", "Extracting", 32_768, 1_234_567),
    layer("aaaaaaaaaaaa", "Pull complete"),
    layer("bbbbbbbbbbbb", "Already exists"),
    {"status": "Digest: sha256:" + "1" * 64},
    {"status": "Status: Downloaded newer image for busybox:latest"},
]


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    return engine.on("POST /images/create", Reply(chunks=[json.dumps(one).encode() + b"\r\n" for one in MESSAGES]))


def environment(engine: Recorder) -> dict[str, str]:
    return {**os.environ, "DOCKER_HOST": engine.url, "DOCKER_CLI_HINTS": "false", "TERM": "xterm"}


def screen(command: Sequence[str], engine: Recorder, columns: int) -> str:
    with Terminal([*command, "pull", "busybox"], environment(engine), columns=columns) as terminal:
        assert terminal.wait() == 0
        return terminal.screen


@pytest.mark.parametrize("columns", [80, 110, 111, 200])
def test_terminal(columns: int, engine: Recorder) -> None:
    assert screen([str(ROOT / "bin" / "proa")], engine, columns) == screen(find("docker"), engine, columns)


def test_pipe(engine: Recorder) -> None:
    outputs = [
        subprocess.run([*command, "pull", "busybox"], env=environment(engine), capture_output=True, check=True)
        for command in ([str(ROOT / "bin" / "proa")], find("docker"))
    ]
    assert outputs[0].stdout == outputs[1].stdout
    assert outputs[0].stderr == outputs[1].stderr == b""
