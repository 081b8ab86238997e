"""`ps`, `inspect`, `rename`, `top`, `port`, `wait` and the words of a container's life."""

from __future__ import annotations

import json
import re

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import eventually

BUSYBOX = "busybox"


def names(client: Client, *arguments: str) -> list[str]:
    return client.ok("ps", "--format", "{{.Names}}", *arguments).split()


@pytest.mark.cgroup2
def test_table(client: Client) -> None:
    assert client.ok("ps").split() == [
        "CONTAINER",
        "ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ]
    identifier = client.detached("--name", "one", BUSYBOX, "sleep", "100")
    line = client.ok("ps").splitlines()[1]
    assert re.fullmatch(
        rf'{identifier[:12]}   busybox   "sleep 100"   (Less than a second|\d seconds?) ago   '
        r"Up (Less than a second|\d seconds?) +one", line,
    )  # fmt: skip


def test_choices(client: Client) -> None:
    client.detached("--name", "running", BUSYBOX, "sleep", "100")
    client.ok("run", "--name", "done", BUSYBOX, "true")
    client.ok("create", "--name", "made", BUSYBOX)
    assert names(client) == ["running"]
    assert names(client, "-a") == ["made", "done", "running"]
    assert names(client, "-l") == ["made"]
    assert names(client, "-n", "2") == ["made", "done"]
    assert [len(word) for word in client.ok("ps", "-aq").split()] == [12] * 3
    assert [len(word) for word in client.ok("ps", "-aq", "--no-trunc").split()] == [64] * 3


def test_status_words(client: Client) -> None:
    client.detached("--name", "up", BUSYBOX, "sleep", "100")
    client("run", "--name", "failed", BUSYBOX, "sh", "-c", "exit 3")
    client.ok("create", "--name", "made", BUSYBOX)
    client.detached("--name", "frozen", BUSYBOX, "sleep", "100")
    client.ok("pause", "frozen")
    said = dict(
        line.split("|") for line in client.ok("ps", "-a", "--format", "{{.Names}}|{{.Status}}").splitlines()
    )
    assert said["made"] == "Created"
    assert re.fullmatch(r"Exited \(3\) (Less than a second|\d seconds?) ago", said["failed"])
    assert re.fullmatch(r"Up (Less than a second|\d seconds?)", said["up"])
    assert said["frozen"].endswith("(Paused)")
    client.ok("unpause", "frozen")
    assert names(client, "--filter", "status=paused") == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("name=^wan",), {"wanted"}),
        (("status=exited",), {"wanted"}),
        (("status=exited", "status=created"), {"wanted", "made"}),
        (("exited=4",), {"wanted"}),
        (("label=role",), {"wanted", "made"}),
        (("label=role=b",), {"made"}),
        (("ancestor=busybox",), {"wanted", "made", "up"}),
        (("ancestor=settings",), set()),
        (("before=made",), {"wanted", "up"}),
        (("since=up",), {"wanted", "made"}),
        (("volume=filtered",), {"made"}),
        (("network=none",), {"up"}),
        (("id={up}",), {"up"}),
        (("name=wanted", "status=running"), set()),
    ],
    ids=lambda value: ",".join(sorted(value)) if isinstance(value, tuple | set) else str(value),
)
def test_filters(client: Client, filters: tuple[str, ...], expected: set[str]) -> None:
    up = client.detached("--name", "up", "--network", "none", BUSYBOX, "sleep", "100")
    client("run", "--name", "wanted", "-l", "role=a", BUSYBOX, "sh", "-c", "exit 4")
    client.ok("create", "--name", "made", "-l", "role=b", "-v", "filtered:/x", BUSYBOX)
    options = [word for one in filters for word in ("--filter", one.format(up=up))]
    assert set(names(client, "-a", *options)) == expected


def test_unknown_filter(client: Client) -> None:
    client.fails("ps", "--filter", "colour=red", code=1, match="invalid filter 'colour'")


def test_size(client: Client) -> None:
    client.ok("run", "--name", "writer", BUSYBOX, "sh", "-c", "head -c 20000 /dev/zero >/file")
    size = client.ok("ps", "-as", "--format", "{{.Size}}").strip()
    assert re.fullmatch(r"(20kB|20\.5kB|24\.6kB) \(virtual [\d.]+MB\)", size), size


def test_formats(client: Client) -> None:
    client.ok("create", "--name", "made", "-l", "a=1", BUSYBOX, "echo", "a", "b")
    template = '{{.Image}}|{{.Command}}|{{.Label "a"}}|{{.State}}|{{.Names}}'
    assert client.ok("ps", "-a", "--format", template) == 'busybox|"echo a b"|1|created|made\n'
    table = client.ok("ps", "-a", "--format", "table {{.Names}}\t{{.Image}}").splitlines()
    assert [line.split() for line in table] == [["NAMES", "IMAGE"], ["made", "busybox"]]
    seen = json.loads(client.ok("ps", "-a", "--format", "json"))
    assert (seen["Names"], seen["State"], seen["Labels"]) == ("made", "created", "a=1")


def test_both_clients_print_the_same(docker: Client, proa: Client) -> None:
    docker.detached("--name", "one", BUSYBOX, "sleep", "100")
    docker("run", "--name", "two", "-l", "x=y", BUSYBOX, "sh", "-c", "exit 9")
    docker.ok("create", "--name", "three", "-v", "vol:/v", BUSYBOX)

    def settled(text: str) -> str:
        text = re.sub(r"\"Containers\":\"[^\"]*\"", "", text)  # counted from API 1.51 on; older CLIs say N/A
        text = re.sub(r"(Less than a second|About a minute|\d+ \w+)( ago)?", "T", text)
        return re.sub(r" {2,}", "  ", text)  # columns are as wide as the longest of these times

    for arguments in (
        ("ps", "-a"), ("ps", "-aq"), ("ps", "-a", "--no-trunc"), ("ps", "-as"), ("images",),
        ("images", "--digests"),
        ("images", "-q", "--no-trunc"), ("history", "busybox"), ("inspect", "two"), ("inspect", "busybox"),
        ("volume", "ls"), ("network", "ls"), ("port", "one"), ("diff", "two"), ("logs", "two"),
        ("ps", "-a", "--format", "json"), ("image", "ls", "--format", "json"), ("wait", "two"),
        ("inspect", "-f", "{{.State.ExitCode}} {{.Name}} {{range .Mounts}}{{.Name}}{{end}}", "two", "three"),
    ):  # fmt: skip
        theirs, ours = docker(*arguments), proa(*arguments)
        assert settled(ours.out) == settled(theirs.out), arguments
        assert (ours.code, ours.err) == (theirs.code, theirs.err), arguments


def test_prefixes_and_names(client: Client) -> None:
    identifier = client.ok("create", "--name", "byname", BUSYBOX).strip()
    for name in (identifier, identifier[:12], identifier[:6], "byname", "/byname"):
        assert client.inspect(name, "{{.Id}}") == identifier
    client.fails("inspect", "--type", "container", "nobody", code=1, match="No such container: nobody")


def test_rename(client: Client) -> None:
    client.ok("create", "--name", "before", BUSYBOX)
    client.ok("create", "--name", "other", BUSYBOX)
    client.ok("rename", "before", "after")
    assert client.inspect("after", "{{.Name}}") == "/after"
    client.fails("rename", "after", "other", code=1, match='"/other" is already in use')
    client.fails("rename", "after", "no good!", code=1, match="Invalid container name")
    client.fails("rename", "before", "x", code=1, match="No such container: before")


def test_top(client: Client) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "sleep 100 & sleep 200")
    eventually(lambda: client.ok("top", name).count("sleep") >= 2)
    lines = client.ok("top", name).splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert client.ok("top", name, "-o", "pid,args").splitlines()[0].split() == ["PID", "COMMAND"]
    client.ok("kill", name)
    client.fails("top", name, code=1, match="is not running")


def test_port_of_unpublished(client: Client) -> None:
    name = client.detached(BUSYBOX, "sleep", "100")
    assert client.ok("port", name) == ""
    client.fails("port", name, "80", code=1, match="No public port '80/?(tcp)?' published")


def test_wait(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "sleep 0.3; exit 12")
    assert client.ok("wait", name) == "12\n"
    assert client.ok("wait", name) == "12\n"
    other = client.detached(BUSYBOX, "sleep", "100")
    with client.start("wait", other, name) as waiting:
        client.ok("kill", other)
        assert waiting.communicate(timeout=20)[0] == b"137\n12\n"
