"""Docker's plugins for its command line, run by proa."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with the plugin `hello`, which prints its words and docker's environment."""
    plugin = tmp_path / "docker" / "cli-plugins" / "docker-hello"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        '#!/bin/sh\nif [ "$1" = docker-cli-plugin-metadata ]; then\n'
        """  echo '{"SchemaVersion":"0.1.0","Vendor":"x","Version":"1","ShortDescription":"x"}'; exit\nfi\n"""
        'printf \'[%s] \' "$@"; echo; echo "host=$DOCKER_HOST context=$DOCKER_CONTEXT"; exit 7\n'
    )
    plugin.chmod(0o755)
    return tmp_path / "docker"


def run(program: str, config: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "PROA_"))}
    environment = {**kept, "DOCKER_CONFIG": str(config), "HOME": str(config), **variables}
    done = subprocess.run([*find(program), *words], env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words", [["hello"], ["hello", "-x", "--help", "a b"], ["-D", "hello", "ps"], ["-l=info", "hello", "--"]]
)
def test_a_plugin_gets_the_whole_line(words: list[str], config: Path) -> None:
    need(docker_version(find("docker")) >= (28,), "docker 28")
    outcome = run("proa", config, *words, DOCKER_HOST="unix:///x")
    assert outcome == (7, "".join(f"[{word}] " for word in words) + "\nhost=unix:///x context=\n", "")
    assert outcome == run("docker", config, *words, DOCKER_HOST="unix:///x")


def test_a_plugin_is_told_the_engine(config: Path, engine: Recorder) -> None:
    assert "host=unix:///p context=" in run("proa", config, "hello", PROA_HOST="unix:///p")[1]
    made = run("proa", config, "context", "create", "mine", "--docker", f"host={engine.url}")
    assert made[0] == 0
    assert "host= context=mine" in run("proa", config, "hello", PROA_CONTEXT="mine")[1]
    assert "host= context=mine" in run("proa", config, "hello", DOCKER_CONTEXT="mine")[1]


def test_further_directories(config: Path, tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (config / "cli-plugins" / "docker-hello").rename(tmp_path / "extra" / "docker-hello")
    assert run("proa", config, "hello", DOCKER_HOST="unix:///x")[0] == 1
    (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(tmp_path / "extra")]}))
    assert run("proa", config, "hello", DOCKER_HOST="unix:///x")[0] == 7


@pytest.mark.parametrize("name", ["nope", "../hello", "hello/x", "-", ""])
def test_what_is_no_plugin(name: str, config: Path) -> None:
    code, out, err = run("proa", config, name, DOCKER_HOST="unix:///x")
    assert (code, out) == (1, "")
    assert err.startswith(f"proa: unknown command: proa {name}\n")
