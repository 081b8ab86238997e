"""`attach` and `start -a -i`: streams of a running container, half-close, signals."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import eventually

BUSYBOX = "busybox"
TRAPPING = (
    "trap 'echo caught; exit 7' INT; trap 'echo term; exit 8' TERM; echo ready; while true; do sleep 0.05; done"
)


@pytest.mark.cgroup2
def test_attach_sees_output_from_now_on(client: Client) -> None:
    name = client.detached("-i", BUSYBOX, "sh", "-c", "echo early; read word; echo got $word; exit 4")
    eventually(lambda: client.ok("logs", name) == "early\n")
    with client.start("attach", name) as attached:
        assert attached.stdin and attached.stdout
        attached.stdin.write(b"word\n")
        attached.stdin.flush()  # and stays open: at the end of input a client is let go
        assert attached.stdout.read() == b"got word\n"
        assert attached.wait(20) == 4


def test_several_at_once(client: Client) -> None:
    name = client.detached("-i", BUSYBOX, "sh", "-c", "read word; echo got $word")
    with client.start("attach", "--no-stdin", name) as watching, client.start("attach", name) as typing:
        time.sleep(0.3)  # both have to be attached, and no client tells when it is
        out, _ = typing.communicate(b"it\n", timeout=20)
        assert out == b"got it\n"
        assert watching.communicate(timeout=20)[0] == b"got it\n"


def test_start_attached(client: Client) -> None:
    name = client.ok("create", "-i", BUSYBOX, "sh", "-c", "cat; exit 3").strip()
    result = client("start", "-a", "-i", name, stdin="from the pipe\n")
    assert (result.out, result.code) == ("from the pipe\n", 3)


def test_start_prints_names(client: Client) -> None:
    client.ok("create", "--name", "one", BUSYBOX)
    client.ok("create", "--name", "two", BUSYBOX)
    assert client.ok("start", "one", "two") == "one\ntwo\n"
    client.fails("start", "one", "nobody", code=1, match="No such container: nobody")


def test_half_close(client: Client) -> None:
    """The end of input reaches the program, its output still comes back."""
    script = "cat >/tmp/all; wc -c </tmp/all"
    assert client.ok("run", "--rm", "-i", BUSYBOX, "sh", "-c", script, stdin=b"x" * 1_000_000) == "1000000\n"


def test_input_before_start(client: Client) -> None:
    for _ in range(5):
        assert client.ok("run", "--rm", "-i", BUSYBOX, "cat", stdin="at once\n") == "at once\n"


@pytest.mark.parametrize(("name", "expected", "code"), [("SIGINT", "caught", 7), ("SIGTERM", "term", 8)])
def test_signals_go_through(client: Client, name: str, expected: str, code: int) -> None:
    with client.start("run", "--rm", BUSYBOX, "sh", "-c", TRAPPING) as running:
        assert running.stdout and running.stdout.readline() == b"ready\n"
        running.send_signal(getattr(signal, name))
        assert running.stdout.read() == expected.encode() + b"\n"
        assert running.wait(20) == code


def test_signals_stay_outside_on_request(client: Client, api: Api) -> None:
    with client.start("run", "--name", "kept", "--sig-proxy=false", BUSYBOX, "sh", "-c", TRAPPING) as running:
        assert running.stdout and running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    assert api.get("/containers/kept/json").json["State"]["Running"] is True
    assert client.ok("logs", "kept") == "ready\n"


def test_attach_to_what_does_not_run(client: Client) -> None:
    client.ok("create", "--name", "still", BUSYBOX)
    client.fails("attach", "still", code=1, match="cannot attach to a stopped container")
    client.fails("attach", "nobody", code=1, match="No such container: nobody")


def test_attach_some_streams(client: Client) -> None:
    result = client("run", "--rm", "-a", "stderr", BUSYBOX, "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == ("", "err\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(proa: Client, closed: str) -> None:
    """A socket must not take the number of a stream that is closed: it would be read as input."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *proa.command("run", "--rm", "-i", BUSYBOX, "cat")]
    done = subprocess.run(command, env=proa.environment, input=b"x", capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_output_that_cannot_be_written(proa: Client) -> None:
    """One line, no traceback; the command's own error goes first."""
    for arguments, said in (
        (("ps",), "write /dev/stdout: no space left on device"),
        (("run", "--rm", BUSYBOX, "echo", "x"), "write /dev/stdout: no space left on device"),
        (("logs", "nosuch"), "Error response from daemon: No such container: nosuch"),
    ):
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            done = subprocess.run(
                proa.command(*arguments), env=proa.environment, stdout=full, stderr=subprocess.PIPE, check=False
            )
        assert (done.returncode, done.stderr.decode()) == (1, f"{said}\n")
