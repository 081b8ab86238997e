"""`run -it`, `exec -it`, `attach`: at a terminal, as a person works."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import eventually
from rig.terminal import Terminal

BUSYBOX = "busybox"
PROMPT = r"[#$] "
Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal(client: Client) -> Open:
    def make(*arguments: str) -> Terminal:
        return Terminal(client.command(*arguments), client.environment)

    return make


def test_run(open_terminal: Open) -> None:
    with open_terminal("run", "-it", "--rm", BUSYBOX) as terminal:
        terminal.expect(PROMPT)
        terminal.line("tty; echo $TERM; exit 6")
        terminal.expect(r"/dev/pts/0\r\nxterm\r\n")
        assert terminal.wait() == 6
        assert terminal.restored


def test_size_from_the_first_moment(open_terminal: Open) -> None:
    with open_terminal("run", "-it", "--rm", BUSYBOX, "stty", "size") as terminal:
        terminal.expect("31 97")
        assert terminal.wait() == 0


def test_resize(open_terminal: Open) -> None:
    script = "while :; do stty size; sleep 0.1; done"
    with open_terminal("run", "-it", "--rm", BUSYBOX, "sh", "-c", script) as terminal:
        terminal.expect("31 97")
        time.sleep(0.3)  # until the client listens for changes
        terminal.resize(20, 60)
        terminal.expect("20 60")
        terminal.send("\x03")
        terminal.wait()


def test_control_c_reaches_the_program(open_terminal: Open) -> None:
    with open_terminal("run", "-it", "--rm", BUSYBOX) as terminal:
        terminal.expect(PROMPT)
        terminal.line("echo go''ing; sleep 1000")
        terminal.expect("going")
        time.sleep(0.3)  # until it sleeps
        terminal.send("\x03")
        terminal.expect(PROMPT)
        terminal.line("echo sta''tus $?")
        terminal.expect("status 130")
        terminal.send("\x04")
        assert terminal.wait() == 0


def test_control_d_ends_the_shell(open_terminal: Open) -> None:
    with open_terminal("run", "-it", "--rm", BUSYBOX) as terminal:
        terminal.expect(PROMPT)
        terminal.send("\x04")
        assert terminal.wait() == 0


def test_detach_and_attach(open_terminal: Open, client: Client) -> None:
    with open_terminal("run", "-it", "--name", "session", BUSYBOX) as terminal:
        terminal.expect(PROMPT)
        terminal.line("remembered=yes")
        terminal.send("\x10\x11")
        assert terminal.wait() == 0
        assert terminal.restored
    assert client.inspect("session", "{{.State.Running}}") == "true"
    with open_terminal("attach", "session") as terminal:
        terminal.line("echo remem''bered $remembered; exit 3")
        terminal.expect("remembered yes")
        assert terminal.wait() == 3


def test_detach_keys_of_ones_own(open_terminal: Open, client: Client) -> None:
    with open_terminal("run", "-it", "--detach-keys", "ctrl-a,x", "--name", "session", BUSYBOX) as terminal:
        terminal.expect(PROMPT)
        terminal.send("\x10\x11\x01x")
        assert terminal.wait() == 0
    assert client.inspect("session", "{{.State.Running}}") == "true"


def test_exec(open_terminal: Open, client: Client) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    with open_terminal("exec", "-it", name, "sh") as terminal:
        terminal.expect(PROMPT)
        terminal.line("stty size; tty; exit 5")
        terminal.expect(r"31 97\r\n/dev/pts/\d\r\n")
        assert terminal.wait() == 5
        assert terminal.restored


def test_exec_detach(open_terminal: Open, client: Client) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    with open_terminal("exec", "-it", name, "sh") as terminal:
        terminal.expect(PROMPT)
        terminal.line("sleep 999")
        terminal.send("\x10\x11")
        terminal.wait()
        assert terminal.restored
    assert "sleep 999" in client.ok("exec", name, "ps")


def test_start_attached(open_terminal: Open, client: Client) -> None:
    client.ok("create", "-it", "--name", "made", BUSYBOX)
    with open_terminal("start", "-ai", "made") as terminal:
        terminal.expect(PROMPT)
        terminal.line("exit 2")
        assert terminal.wait() == 2


def test_much_output(open_terminal: Open) -> None:
    with open_terminal("run", "-it", "--rm", BUSYBOX, "seq", "1", "20000") as terminal:
        terminal.expect("\n20000\r\n", seconds=30)
        assert terminal.wait() == 0
    assert terminal.screen.splitlines()[-20000:] == [str(number) for number in range(1, 20001)]


def test_terminal_without_input_is_refused(client: Client) -> None:
    result = client("run", "-it", "--rm", BUSYBOX, "true", stdin="")
    assert result.code == 1 and "the input device is not a TTY" in result.err


def test_terminal_without_interaction(client: Client) -> None:
    assert client.ok("run", "-t", "--rm", BUSYBOX, "tty") == "/dev/pts/0\r\n"


def test_the_terminal_is_gone_afterwards(client: Client, api: Api, open_terminal: Open) -> None:
    with open_terminal("run", "-it", "--name", "left", BUSYBOX) as terminal:
        terminal.expect(PROMPT)
        terminal.process.kill()  # a closed window
    assert api.get("/containers/left/json").json["State"]["Running"] is True
    client.ok("kill", "left")
    eventually(lambda: api.get("/containers/left/json").json["State"]["Status"] == "exited")
