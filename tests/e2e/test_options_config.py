"""What the image's configuration says, and the options that change it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rig.clients import Client
from rig.registry import Registry

BUSYBOX = "busybox"
SETTINGS = "settings"
ECHO = ("--entrypoint", "/bin/sh", SETTINGS, "-c")


@pytest.fixture(autouse=True)
def pulled(client: Client) -> None:
    client.ok("pull", "-q", SETTINGS)


@pytest.mark.parametrize(
    ("options", "arguments", "expected"),
    [
        ((), (), "entry cmd"),
        ((), ("other",), "entry other"),
        (("--entrypoint", "/bin/echo"), (), ""),
        (("--entrypoint", "/bin/echo"), ("given",), "given"),
        (("--entrypoint", ""), ("/bin/echo", "alone"), "alone"),
    ],
    ids=["image", "command", "entrypoint-clears-cmd", "both", "entrypoint-cleared"],
)
def test_entrypoint_and_command(
    client: Client, options: tuple[str, ...], arguments: tuple[str, ...], expected: str
) -> None:
    assert client.ok("run", "--rm", *options, SETTINGS, *arguments).strip() == expected


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        ((), "echo $COLOUR $(env | grep -c EMPTY=)", "blue 1"),
        (("-e", "COLOUR=red"), "echo $COLOUR", "red"),
        (("-e", "NEW=a b"), 'echo "$NEW"', "a b"),
        (("-e", "PASSED"), "echo $PASSED", "from outside"),
        (("-e", "UNSET_OUTSIDE"), "echo ${UNSET_OUTSIDE-unset}", "unset"),
        ((), "pwd", "/srv/work"),
        (("-w", "/made/for/it"), "pwd", "/made/for/it"),
        ((), "id -u; id -g; id -G", "1234 50 50"),
        (("-u", "0"), "id -u; id -g", "0 0"),
        (("-u", "app"), "id -u; id -g; id -G", "1234 1234 1234 77"),
        (("-u", "app:extra"), "id -u; id -g", "1234 77"),
        (("-u", "4321:8765"), "id -u; id -g; id -G", "4321 8765 8765"),
        (("--group-add", "99", "--group-add", "extra"), "id -G", "50 77 99"),
        (
            ("--hostname", "box", "--domainname", "example.org"),
            "hostname; hostname -f",
            "box box.example.org",
        ),
    ],
)
def test_environment_user_and_place(client: Client, options: tuple[str, ...], script: str, expected: str) -> None:
    out = client.ok("run", "--rm", *options, *ECHO, script, env={"PASSED": "from outside"})
    got, want = out.split(), expected.split()
    assert (sorted(got), "id -G" in script) == (sorted(want), True) or got == want


def test_env_file(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# remark\nONE=1\n\nTWO=two words # not a remark\nPASSED\n")
    out = client.ok("run", "--rm", "--env-file", str(path), *ECHO, 'echo "$ONE|$TWO|$PASSED"', env={"PASSED": "p"})
    assert out == "1|two words # not a remark|p\n"


def test_labels(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_text("from=file\n")
    name = client.ok("create", "-l", "a=b", "-l", "bare", "--label-file", str(path), SETTINGS).strip()
    labels = json.loads(client.inspect(name, "{{json .Config.Labels}}"))
    assert labels == {"a": "b", "bare": "", "from": "file", "org.example.kind": "settings"}


def test_annotation(client: Client) -> None:
    name = client.ok("create", "--annotation", "org.example.note=x", BUSYBOX).strip()
    assert json.loads(client.inspect(name, "{{json .HostConfig.Annotations}}")) == {"org.example.note": "x"}


def test_stop_signal_and_timeout(client: Client) -> None:
    trap = "trap 'echo got it; exit 5' USR2; while true; do sleep 0.05; done"
    options = ["--stop-signal", "USR2", "--stop-timeout", "30"]
    name = client.detached(*options, BUSYBOX, "sh", "-c", f"echo ready; {trap}")
    with client.start("logs", "-f", name) as logs:
        assert logs.stdout and logs.stdout.readline() == b"ready\n"
        client.ok("stop", name)
        assert logs.stdout.readline() == b"got it\n"
    assert client.inspect(name, "{{.State.ExitCode}} {{.Config.StopTimeout}}") == "5 30"


def test_the_images_stop_signal(client: Client) -> None:
    name = client.detached(
        "--entrypoint", "sh", SETTINGS, "-c", "trap 'exit 9' USR1; while true; do sleep 0.05; done"
    )
    client.ok("exec", name, "true")  # the shell had the time to set its trap
    client.ok("stop", "-t", "20", name)
    assert client.inspect(name, "{{.State.ExitCode}}") == "9"


def test_init_reaps(client: Client) -> None:
    script = (
        "for i in 1 2 3; do (sleep 0 & exec true) & done; sleep 0.4; ps -o pid,stat,args; head -1 /proc/1/comm"
    )
    out = client.ok("run", "--rm", "--init", BUSYBOX, "sh", "-c", script)
    assert " Z" not in out
    assert out.splitlines()[-1] != "sh"


@pytest.mark.parametrize("length", [1, 170, 100_000], ids=["short", "longer than ours was", "cut"])
def test_init_shows_the_command_and_nothing_of_the_host(client: Client, length: int) -> None:
    words = ["sh", "-c", "cat /proc/1/cmdline; echo; cat /proc/1/environ; true", "x" * length]
    # with this capability the container may read what else the process was executed with
    out = client.ok("run", "--rm", "--init", "--cap-add", "SYS_PTRACE", BUSYBOX, *words).replace("\0", " ")
    shown, _, variables = out.partition("\n")
    expected = " ".join(("proa-init --", *words))
    assert expected.startswith(shown.rstrip()) and len(shown.rstrip()) > min(len(expected) - 1, 200), out
    assert not variables.strip(" x\n"), variables  # a long command runs over into what held them


def test_init_passes_status_and_signals(client: Client) -> None:
    assert client("run", "--rm", "--init", BUSYBOX, "sh", "-c", "exit 6").code == 6
    name = client.detached("--init", BUSYBOX, "sleep", "100")
    client.ok("stop", "-t", "20", name)
    assert client.inspect(name, "{{.State.ExitCode}}") == "143"


def test_platform(client: Client, registry: Registry) -> None:
    assert client.ok("run", "--rm", "--platform", "linux/amd64", BUSYBOX, "uname", "-m") == "x86_64\n"
    direct = f"{registry.address}/library/busybox"  # without a hub behind it that might know better
    client.fails("run", "--rm", "--platform", "linux/s390x", direct, "true", code=125, match="linux/s390x")


def test_read_only_root(client: Client) -> None:
    script = "touch /file; echo $?; touch /tmp/file && echo written"
    result = client("run", "--rm", "--read-only", "--tmpfs", "/tmp", BUSYBOX, "sh", "-c", script)
    assert result.out == "1\nwritten\n" and "Read-only file system" in result.err


def test_runtime(client: Client) -> None:
    assert client.ok("run", "--rm", "--runtime", "proa", BUSYBOX, "echo", "by name") == "by name\n"
    name = client.ok("create", "--runtime", "proa", BUSYBOX).strip()
    assert client.inspect(name, "{{.HostConfig.Runtime}}") == "proa"
    client.fails("run", "--rm", "--runtime", "nosuch", BUSYBOX, "true", code=125, match="nosuch")


def test_inspect_shows_what_was_asked(client: Client) -> None:
    asked = [
        "-e",
        "A=1",
        "-w",
        "/w",
        "-u",
        "1:2",
        "-h",
        "hh",
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--init",
        "--read-only",
    ]
    name = client.ok("create", *asked, "--restart", "no", BUSYBOX, "echo", "x").strip()
    seen = json.loads(client.inspect(name))
    config, host = seen["Config"], seen["HostConfig"]
    assert (config["Cmd"], config["WorkingDir"], config["User"], config["Hostname"]) == (
        ["echo", "x"],
        "/w",
        "1:2",
        "hh",
    )
    assert "A=1" in config["Env"]
    assert (host["Memory"], host["NanoCpus"], host["Init"], host["ReadonlyRootfs"]) == (
        64 << 20,
        500_000_000,
        True,
        True,
    )
    assert (seen["Path"], seen["Args"], seen["State"]["Status"]) == ("echo", ["x"], "created")
