"""`login` and `logout`: what reaches the engine, what is kept, what is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig.recorder import Recorder, Reply, error
from rig.terminal import Terminal

from .conftest import Proa

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-I", "-S", str(ROOT / "bin" / "proa")]
SUCCEEDED = {"Status": "Login Succeeded", "IdentityToken": ""}

NO_TERMINAL = "Error: Cannot perform an interactive login from a non TTY device"


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    return engine.on("POST /auth", Reply(value=SUCCEEDED))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker/config.json"


def warning(path: Path) -> str:
    return (
        f"\nWARNING! Your credentials are stored unencrypted in '{path}'.\nConfigure a credential helper to "
        "remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n"
    )


def test_a_password_as_an_argument(engine: Recorder, proa: Proa, path: Path) -> None:
    outcome = proa("login", "-u", "me", "-p", "s", "reg.example")
    insecure = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"
    assert outcome == (0, "Login Succeeded\n", insecure + warning(path))
    asked = engine.only("POST /auth").json
    assert asked == {"username": "me", "password": "s", "serveraddress": "reg.example"}
    assert json.loads(path.read_text()) == {"auths": {"reg.example": {"auth": "bWU6cw=="}}}


def test_a_password_on_standard_input(engine: Recorder, tmp_path: Path, path: Path) -> None:
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker")}
    words = ["-H", engine.url, "login", "--username", "me", "--password-stdin"]
    done = subprocess.run([*PROGRAM, *words], input=b"s p\r\n", capture_output=True, timeout=20, env=environment)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (0, b"Login Succeeded\n", warning(path))
    assert engine.only("POST /auth").json["password"] == "s p"
    assert list(json.loads(path.read_text())["auths"]) == ["https://index.docker.io/v1/"]


def test_a_registrys_own_token_is_kept_instead(engine: Recorder, proa: Proa, path: Path) -> None:
    engine.on("POST /auth", Reply(value={**SUCCEEDED, "IdentityToken": "t"}))
    assert proa("login", "-u", "me", "-p", "s", "reg.example").code == 0
    assert json.loads(path.read_text())["auths"]["reg.example"] == {"auth": "bWU6", "identitytoken": "t"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-u a -p b --password-stdin", "conflicting options: cannot specify both --password and --password-stdin"),
        ("--password-stdin", "the --password-stdin option requires --username to be set"),
        ("-u a reg.example", NO_TERMINAL),
        ("", NO_TERMINAL),
    ],
)
def test_refusals(engine: Recorder, proa: Proa, words: str, message: str) -> None:
    assert proa("login", *words.split()) == (1, "", message + "\n")
    assert engine.asked("POST /auth") == []


def test_a_failure_keeps_nothing(engine: Recorder, proa: Proa, path: Path) -> None:
    engine.on("POST /auth", error(401, "login attempt failed"))
    outcome = proa("login", "-u", "me", "-p", "s", "reg.example")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.endswith("Error response from daemon: login attempt failed\n")
    assert not path.exists()


def test_what_is_kept_is_tried_first(engine: Recorder, proa: Proa, path: Path) -> None:
    proa("login", "-u", "me", "-p", "s", "reg.example")
    outcome = proa("login", "https://reg.example/v2/")
    note = (
        "Authenticating with existing credentials... [Username: me]\n\n Info -> To login with a different "
        "account, run 'proa logout' followed by 'proa login'\n\n\n"
    )
    assert outcome == (0, "Login Succeeded\n", note)
    engine.on("POST /auth", error(401, "login attempt failed"))
    outcome = proa("login", "reg.example")
    assert (outcome.code, outcome.err) == (
        1, f"{note}Stored credentials invalid or expired\n{NO_TERMINAL}\n",
    )  # fmt: skip


def test_questions_on_a_terminal(engine: Recorder, tmp_path: Path) -> None:
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker"), "DOCKER_HOST": engine.url}
    with Terminal([*PROGRAM, "login", "reg.example"], environment) as terminal:
        terminal.expect("Username: ")
        terminal.line("me")
        terminal.expect("Password: ")
        terminal.line("hidden")
        terminal.expect("Login Succeeded")
        assert terminal.wait() == 0
        assert "hidden" not in terminal.screen
        assert terminal.restored
    assert engine.only("POST /auth").json["password"] == "hidden"
    engine.on("POST /auth", error(401, "no"), Reply(value=SUCCEEDED))
    with Terminal([*PROGRAM, "login", "reg.example"], environment) as terminal:
        terminal.expect("Stored credentials invalid or expired")
        terminal.expect(r"Username \(me\): ")
        terminal.line("")
        terminal.expect("Password: ")
        terminal.line("new")
        terminal.expect("Login Succeeded")
    for answers, message in (([""], "Error: Non-null Username Required"), (["x", ""], "Error: Password Required")):
        with Terminal([*PROGRAM, "login", "empty.example"], environment) as terminal:
            for answer in answers:
                terminal.expect("(Username|Password): ")
                terminal.line(answer)
            terminal.expect(message)
            assert terminal.wait() == 1


@pytest.mark.parametrize("words", [[], ["-u", "me"]], ids=["the name", "the password"])
def test_ctrl_c_at_a_question(engine: Recorder, tmp_path: Path, words: list[str]) -> None:
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker"), "DOCKER_HOST": engine.url}
    with Terminal([*PROGRAM, "login", *words, "reg.example"], environment) as terminal:
        terminal.expect("(Username|Password): ")
        terminal.send("\x03")  # the kernel drops what is on its way at that moment, a new line perhaps
        assert terminal.wait() == 0  # docker 28.5's
        assert "Error" not in terminal.screen
        assert terminal.restored
    assert not engine.asked("POST /auth")


def test_logout(engine: Recorder, proa: Proa, path: Path) -> None:
    proa("login", "-u", "me", "-p", "s", "reg.example")
    assert proa("logout", "https://reg.example/") == (0, "Removing login credentials for reg.example\n", "")
    assert json.loads(path.read_text()) == {"auths": {}}
    assert proa("logout").out == "Removing login credentials for https://index.docker.io/v1/\n"
