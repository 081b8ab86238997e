"""`exec`: another process in a running container."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import eventually
from rig.standard import SETTINGS

BUSYBOX = "busybox"


@pytest.fixture
def box(client: Client) -> str:
    return client.detached("-e", "FROM=container", "-h", "box", BUSYBOX, "sleep", "1000")


@pytest.mark.cgroup2
def test_output_and_status(client: Client, box: str) -> None:
    result = client("exec", box, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (result.code, result.out, result.err) == (9, "out\n", "err\n")


@pytest.mark.cgroup2
def test_same_namespaces_and_limits(client: Client, box: str) -> None:
    look = "for n in ipc mnt net pid uts cgroup; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup | sort"
    mine = client.ok("exec", box, "sh", "-c", look)
    first = client.ok("exec", box, "sh", "-c", look.replace("self", "1"))
    assert mine == first
    status = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/{}/status"
    assert client.ok("exec", box, "sh", "-c", status.format("self")) == client.ok(
        "exec", box, "sh", "-c", status.format(1)
    )


@pytest.mark.parametrize("size", [0, 100, 500_000])
def test_standard_input(client: Client, box: str, size: int) -> None:
    assert int(client.ok("exec", "-i", box, "wc", "-c", stdin=b"x" * size)) == size


@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        ((), "echo $FROM $HOME $HOSTNAME", "container /root box"),
        (("-e", "FROM=exec", "-e", "NEW=1"), "echo $FROM $NEW", "exec 1"),
        (("-w", "/tmp"), "pwd", "/tmp"),
        (("-u", "nobody"), "id -u; id -g", "65534 65534"),
        (("-u", "12:34"), "id -u; id -g", "12 34"),
        (("--env-file", "/dev/null"), "echo fine", "fine"),
    ],
)
def test_options(client: Client, box: str, options: tuple[str, ...], script: str, expected: str) -> None:
    assert client.ok("exec", *options, box, "sh", "-c", script).split() == expected.split()


def test_privileged(client: Client, box: str) -> None:
    """All capabilities; the container's system call filter stays, as with Docker."""
    effective = "grep CapEff /proc/self/status"
    assert client.ok("exec", box, "sh", "-c", effective) != client.ok(
        "exec", "--privileged", box, "sh", "-c", effective
    )


def test_the_images_user_and_place(client: Client) -> None:
    name = client.detached("--entrypoint", "sleep", "settings", "1000")
    assert client.ok("exec", name, "sh", "-c", "id -un; pwd").split() == ["app", SETTINGS["WorkingDir"]]


def test_detached(client: Client, box: str) -> None:
    assert client.ok("exec", "-d", box, "sh", "-c", "echo done >/tmp/file") == ""
    eventually(lambda: client("exec", box, "cat", "/tmp/file").out == "done\n")


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [
        (("nosuchprogram",), 127, "executable file not found in"),
        (("/no/such",), 127, "no such file or directory"),
        (("/etc/passwd",), 126, "permission denied"),
    ],
)
def test_a_program_that_cannot_start(
    client: Client, box: str, arguments: tuple[str, ...], code: int, match: str
) -> None:
    result = client("exec", box, *arguments)
    assert result.code == code and match in result.out + result.err, result


def test_in_what_does_not_run(client: Client) -> None:
    name = client.ok("create", BUSYBOX).strip()
    client.fails("exec", name, "true", code=1, match="is not running")
    client.fails("exec", "nobody", "true", code=1, match="No such container: nobody")


def test_paused(client: Client, box: str) -> None:
    client.ok("pause", box)
    client.fails("exec", box, "true", code=1, match="is paused, unpause the container before exec")
    client.ok("unpause", box)
    client.ok("exec", box, "true")


@pytest.mark.cgroup2
def test_a_pause_at_the_same_moment(docker: Client, api: Api) -> None:
    """A process that begins in frozen cgroups never comes to its program: the shim must not wait for it."""
    name = docker.detached(BUSYBOX, "sleep", "1000")
    seen = set()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(12):
            prepared = [api.post(f"/containers/{name}/exec", {"Cmd": ["true"]}).json["Id"] for _ in range(3)]
            pausing = pool.submit(api.post, f"/containers/{name}/pause")
            starts = [pool.submit(api.post, f"/exec/{each}/start", {"Detach": True}) for each in prepared]
            assert pausing.result().status == 204
            seen |= {start.result().status for start in starts}
            assert api.post(f"/containers/{name}/unpause").status == 204
    assert seen <= {200, 409}
    docker.ok("exec", name, "true")


def test_ends_with_its_container(client: Client, box: str) -> None:
    with client.start("exec", box, "sleep", "1000") as running:
        eventually(
            lambda: "sleep 1000" in client.ok("exec", box, "ps", "-o", "pid,ppid,args").replace("1 sleep", "")
        )
        client.ok("kill", box)
        assert running.wait(20) == 137


def test_inspect_of_an_exec(docker: Client, api: Api) -> None:
    name = docker.detached(BUSYBOX, "sleep", "1000")
    made = api.post(f"/containers/{name}/exec", {"Cmd": ["sh", "-c", "exit 5"], "AttachStdout": True})
    assert made.status == 201
    identifier = made.json["Id"]
    assert api.get(f"/exec/{identifier}/json").json["Running"] is False
    assert api.post(f"/exec/{identifier}/start", {"Detach": True}).status == 200
    seen = eventually(lambda: (one := api.get(f"/exec/{identifier}/json").json)["ExitCode"] == 5 and one)
    assert (seen["Running"], seen["ContainerID"], seen["ProcessConfig"]["entrypoint"]) == (False, name, "sh")
    assert api.post(f"/exec/{identifier}/start", {"Detach": True}).status == 409
    assert api.get("/exec/nosuch/json").status == 404


def test_zombies_do_not_pile_up(client: Client, box: str) -> None:
    for _ in range(5):
        client.ok("exec", box, "true")
    assert "Z" not in client.ok("exec", box, "ps", "-o", "stat")


def test_an_unknown_user_is_found_before_the_start(client: Client, box: str) -> None:
    match = "^Error response from daemon: unable to find user nosuch: no matching entries in passwd file$"
    client.fails("exec", "-u", "nosuch", box, "true", code=1, match=match)


def test_the_exit_code_is_known_after_the_container_is_gone(client: Client, api: Api) -> None:
    box = client.detached("--rm", BUSYBOX, "sleep", "1000")
    execution = api.post(f"/containers/{box}/exec", body={"Cmd": ["sleep", "1000"]}).json["Id"]
    assert api.post(f"/exec/{execution}/start", body={"Detach": True}).status == 200
    client.ok("rm", "-f", box)
    assert api.get(f"/containers/{box}/json").status == 404
    assert api.get(f"/exec/{execution}/json").json["ExitCode"] == 137
