"""`run`: the main job. Output, exit codes, what stays and what does not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"


@pytest.mark.cgroup2
def test_prints_and_leaves_nothing(client: Client, engine: Engine) -> None:
    assert client.ok("run", "--rm", BUSYBOX, "echo", "hello") == "hello\n"
    assert client.ok("ps", "-aq") == ""
    containers = engine.data_root / "containers"
    eventually(lambda: not any(containers.glob("*")))


@pytest.mark.cgroup2
@pytest.mark.parametrize("code", [0, 1, 7, 125, 126, 127, 255])
def test_exit_status_is_the_programs(client: Client, code: int) -> None:
    assert client("run", "--rm", BUSYBOX, "sh", "-c", f"exit {code}").code == code


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("TERM", 143), ("SEGV", 139)])
def test_exit_status_of_a_killed_program(client: Client, signal: str, code: int) -> None:
    script = f"sh -c 'kill -{signal} $$'; exit $?"
    assert client("run", "--rm", BUSYBOX, "sh", "-c", script).code == code


def test_streams_stay_apart(client: Client) -> None:
    result = client("run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.code, result.out, result.err) == (3, "out\n", "err\n")


def test_pulls_what_is_missing(fresh_engine: Engine) -> None:
    for name in ("docker", "proa"):
        one = fresh_engine.client(name)
        result = one("run", "--rm", "busybox:1.36", "sh", "-c", "echo $VERSION")
        assert (result.code, result.out) == (0, "1.36\n")
        assert "Unable to find image 'busybox:1.36' locally\n" in result.err
        assert "1.36: Pulling from library/busybox\n" in result.err
        assert "Status: Downloaded newer image for busybox:1.36\n" in result.err
        one.ok("rmi", "busybox:1.36")


@pytest.mark.parametrize(
    ("policy", "pulls"),
    [("always", True), ("missing", False), ("never", False)],
    ids=lambda value: str(value),
)
def test_pull_policy(client: Client, policy: str, pulls: bool) -> None:
    result = client("run", "--rm", "--pull", policy, BUSYBOX, "true")
    assert result.code == 0
    assert ("Image is up to date for busybox:latest" in result.err) is pulls


def test_pull_never_of_a_missing_image(client: Client) -> None:
    client.fails("run", "--rm", "--pull", "never", "nowhere:1", "true", code=125, match="No such image: nowhere:1")


def test_detached_prints_the_identifier(client: Client, api: Api) -> None:
    identifier = client.detached("--name", "sleeper", BUSYBOX, "sleep", "100")
    assert len(identifier) == 64
    state = api.get("/containers/sleeper/json").json["State"]
    assert state["Status"] == "running" and state["Pid"] > 0


def test_cidfile(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "cid"
    identifier = client.detached("--cidfile", str(path), BUSYBOX, "true")
    assert path.read_text() == identifier
    client.fails("run", "--cidfile", str(path), BUSYBOX, "true", code=125, match="container ID file found")


@pytest.mark.parametrize(("size", "interactive"), [(0, True), (10, True), (300_000, True), (10, False)], ids=str)
def test_standard_input_through_a_pipe(client: Client, size: int, interactive: bool) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    flags = ["-i"] if interactive else []
    out = client.ok("run", "--rm", *flags, BUSYBOX, "wc", "-c", stdin=data)
    assert int(out) == (size if interactive else 0)


def test_output_arrives_whole(client: Client) -> None:
    script = "seq 1 200000"
    out = client.ok("run", "--rm", BUSYBOX, "sh", "-c", script)
    assert out == "".join(f"{number}\n" for number in range(1, 200_001))


def test_a_reader_that_leaves_stops_nothing_else(client: Client) -> None:
    client.detached("--name", "talker", BUSYBOX, "sh", "-c", "while true; do echo line; sleep 0.01; done")
    with client.start("attach", "--sig-proxy=false", "talker") as attached:
        assert attached.stdout and attached.stdout.readline() == b"line\n"
        attached.kill()
    assert client.inspect("talker", "{{.State.Running}}") == "true"


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [
        (("nosuchprogram",), 127, r'"?nosuchprogram"?: executable file not found in \$PATH'),
        (("/no/such/program",), 127, "/no/such/program"),
        (("/etc/passwd",), 126, "permission denied"),
        (("/etc",), 126, "(permission denied|is a directory)"),
    ],
    ids=["missing", "missing-path", "not-executable", "directory"],
)
def test_a_program_that_cannot_start(
    client: Client, api: Api, arguments: tuple[str, ...], code: int, match: str
) -> None:
    client.fails("run", "--rm", BUSYBOX, *arguments, code=code, match=match)
    assert api.get("/containers/json", all=1).json == []


def test_a_failed_start_keeps_the_container(client: Client) -> None:
    client.fails("run", "--name", "broken", BUSYBOX, "nosuchprogram", code=127)
    state = json.loads(client.inspect("broken", "{{json .State}}"))
    assert (state["Status"], state["ExitCode"]) == ("created", 127)
    assert "nosuchprogram" in state["Error"]


def test_name_conflict(client: Client) -> None:
    identifier = client.ok("create", "--name", "taken", BUSYBOX).strip()
    client.fails(
        "run", "--name", "taken", BUSYBOX, code=125,
        match=f'The container name "/taken" is already in use by container "{identifier}"',
    )  # fmt: skip


def test_generated_names_are_words(client: Client) -> None:
    identifier = client.ok("create", BUSYBOX).strip()
    name = client.inspect(identifier, "{{.Name}}")
    assert name.startswith("/") and "_" in name


def test_many_at_once(docker: Client, api: Api) -> None:
    started = [docker.start("run", "--rm", BUSYBOX, "echo", str(number)) for number in range(12)]
    said = {one.communicate(timeout=60)[0].decode().strip() for one in started}
    assert said == {str(number) for number in range(12)}
    assert api.get("/containers/json", all=1).json == []


def test_process_one_and_its_environment(client: Client) -> None:
    out = client.ok("run", "--rm", "-h", "box", BUSYBOX, "sh", "-c", "echo $$; env")
    pid, *variables = out.splitlines()
    assert pid == "1"
    assert {line.split("=")[0] for line in variables} >= {"PATH", "HOSTNAME", "HOME"}
    assert "HOSTNAME=box" in variables and "HOME=/root" in variables


def test_nothing_of_the_client_or_engine_is_inherited(client: Client) -> None:
    out = client.ok("run", "--rm", BUSYBOX, "sh", "-c", "ls /proc/self/fd; grep SigIgn /proc/self/status; env")
    lines = out.splitlines()
    assert [line for line in lines if line.isdigit()] in (["0", "1", "2", "3"], ["0", "1", "2"])
    assert "SigIgn:\t0000000000000000" in lines
    assert "PROA" not in out


def test_a_real_distribution(client: Client, ubuntu_image: object) -> None:
    out = client.ok(
        "run", "--rm", "ubuntu:24.04", "bash", "-c", "dpkg --version | head -1; stat -c %u:%a /etc/shadow"
    )
    assert "dpkg" in out and out.splitlines()[1].startswith("0:640")


def test_an_image_with_nothing_but_a_program(client: Client) -> None:
    assert client.ok("run", "--rm", "bare") == "bare\n"


def test_a_reader_that_is_slower_than_the_program(engine: Engine) -> None:
    """What the program has written before it ended waits for its reader, beyond any time-out."""
    with engine.proa.start("run", "--rm", BUSYBOX, "seq", "1", "100000") as running:
        assert running.stdout
        time.sleep(11)  # longer than the shim waits for anything else
        assert running.stdout.read().count(b"\n") == 100_000
