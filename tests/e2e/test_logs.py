"""`logs`: what was printed, when, and what is still coming."""

from __future__ import annotations

import re
import time

import pytest

from rig.clients import Client

BUSYBOX = "busybox"


@pytest.mark.cgroup2
def test_both_streams(client: Client) -> None:
    client("run", "--name", "spoke", BUSYBOX, "sh", "-c", "echo out; echo err >&2; printf 'no newline'")
    result = client("logs", "spoke")
    assert (result.out, result.err) == ("out\nno newline", "err\n")


@pytest.mark.parametrize(
    ("count", "expected"), [("0", []), ("1", ["5"]), ("3", ["3", "4", "5"]), ("99", None), ("all", None)]
)
def test_tail(client: Client, count: str, expected: list[str] | None) -> None:
    client.ok("run", "--name", "counted", BUSYBOX, "seq", "5")
    assert client.ok("logs", "-n", count, "counted").split() == (
        ["1", "2", "3", "4", "5"] if expected is None else expected
    )


def test_tail_of_much(client: Client) -> None:
    client.ok("run", "--name", "much", BUSYBOX, "seq", "50000")
    assert client.ok("logs", "--tail", "2000", "much").split() == [str(number) for number in range(48_001, 50_001)]


def test_timestamps(client: Client) -> None:
    client.ok("run", "--name", "dated", BUSYBOX, "echo", "hello")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z hello\n", client.ok("logs", "-t", "dated"))


def test_since_and_until(client: Client) -> None:
    client.ok("run", "--name", "slow", BUSYBOX, "sh", "-c", "echo early; sleep 1.2; echo late")
    stamps = [line.split()[0] for line in client.ok("logs", "-t", "slow").splitlines()]
    assert client.ok("logs", "--since", stamps[1], "slow") == "late\n"
    assert client.ok("logs", "--until", stamps[0], "slow") == "early\n"
    assert client.ok("logs", "--since", "1h", "slow") == "early\nlate\n"
    assert client.ok("logs", "--since", str(int(time.time()) + 100), "slow") == ""
    assert client.ok("logs", "--since", "0", "--until", "0", "slow") == "early\nlate\n"
    assert client.ok("logs", "--until", "1h", "slow") == ""


def test_follow(client: Client) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 0.2; done"
    name = client.detached(BUSYBOX, "sh", "-c", script)
    assert client.ok("logs", "-f", name) == "line 1\nline 2\nline 3\n"
    assert client.ok("logs", "-f", "-n", "1", name) == "line 3\n"


def test_follow_shows_lines_at_once(client: Client) -> None:
    name = client.detached("-i", BUSYBOX, "sh", "-c", "echo first; read word; echo second; sleep 100")
    with client.start("logs", "-f", name) as logs, client.start("attach", "--sig-proxy=false", name) as attached:
        assert logs.stdout and logs.stdout.readline() == b"first\n"
        assert attached.stdin
        attached.stdin.write(b"go\n")
        attached.stdin.flush()
        assert logs.stdout.readline() == b"second\n"
        logs.kill()
        attached.kill()


def test_follow_across_a_restart(client: Client) -> None:
    name = client.ok("create", BUSYBOX, "sh", "-c", "echo ran").strip()
    client.ok("start", "-a", name)
    client.ok("start", "-a", name)
    assert client.ok("logs", name) == "ran\nran\n"


def test_long_lines_and_bytes(client: Client) -> None:
    """Longer than a record of the log, and bytes that are no text."""
    script = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'tab\\there \\\\ \"quoted\" \\001 ü\\n'"
    client("run", "--name", "long", BUSYBOX, "sh", "-c", script)
    out = client.ok("logs", "long")
    assert out == "x" * 100_000 + '\ntab\there \\ "quoted" \x01 ü\n'


def test_of_a_terminal(client: Client) -> None:
    client.ok("run", "-t", "--name", "screen", BUSYBOX, "echo", "hello")
    assert client.ok("logs", "screen") == "hello\r\n"


def test_nothing_yet(client: Client) -> None:
    client.ok("create", "--name", "silent", BUSYBOX)
    assert client.ok("logs", "silent") == ""
    client.fails("logs", "nobody", code=1, match="No such container: nobody")


def test_no_log_on_request(client: Client) -> None:
    client.ok("run", "--name", "mute", "--log-driver", "none", BUSYBOX, "echo", "x")
    client.fails("logs", "mute", code=1, match="configured logging driver does not support reading")
