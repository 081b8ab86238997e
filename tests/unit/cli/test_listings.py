"""Tables, templates and filters of the listings, on answers as the engine gives them."""
# ruff: noqa: E501

from __future__ import annotations

import time
from typing import Any

import pytest

from proa.cli.commands.images import rows
from proa.cli.commands.ps import ports
from proa.cli.formatting.order import natural
from proa.cli.formatting.tables import align, ellipsis
from proa.cli.formatting.units import age, binary_size, bytes_size, image_size
from rig.recorder import Recorder, Reply

from .conftest import Proa

NOW = int(time.time())
CONTAINERS: list[dict[str, Any]] = [
    {
        "Id": "a" * 64, "Names": ["/other/alias", "/web"], "Image": "busybox:1", "ImageID": "sha256:" + "b" * 64,
        "Command": 'sh -c "echo hello; sleep 10"', "Created": NOW - 7200, "State": "running", "Status": "Up 2 hours",
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
        "Labels": {"com.example.the-team": "x", "b": "1"}, "SizeRw": 12, "SizeRootFs": 1_980_000,
        "Mounts": [{"Name": "v" * 64, "Driver": "local"}, {"Source": "/srv"}],
        "NetworkSettings": {"Networks": {"bridge": {}}},
    },
    {
        "Id": "c" * 64, "Names": ["/job"], "Image": "sha256:" + "d" * 64, "ImageID": "sha256:" + "d" * 64,
        "Command": "true", "Created": NOW - 100 * 86400, "State": "exited", "Status": "Exited (0) 1 minute ago",
        "Ports": [], "Labels": None, "Mounts": None, "NetworkSettings": None,
    },
]  # fmt: skip
IMAGES: list[dict[str, Any]] = [
    {"Id": "sha256:" + "1" * 64, "RepoTags": ["a:1", "r.io:5/b:2"], "RepoDigests": ["a@sha256:x"], "Created": NOW - 5 * 3600, "Size": 1_982_326},
    {"Id": "sha256:" + "2" * 64, "RepoTags": [], "RepoDigests": [], "Created": NOW - 86400 * 3, "Size": 1_500_000_000},
    {"Id": "sha256:" + "3" * 64, "RepoTags": None, "RepoDigests": ["d@sha256:y"], "Created": 0, "Size": 0},
]  # fmt: skip


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    engine.on("GET /containers/json", Reply(value=CONTAINERS))
    engine.on("GET /images/json", Reply(value=IMAGES))
    return engine


def test_ps(engine: Recorder, proa: Proa) -> None:
    assert proa("ps", "-a").out.splitlines() == [
        "CONTAINER ID   IMAGE          COMMAND                   CREATED        STATUS                    PORTS                  NAMES",
        'aaaaaaaaaaaa   busybox:1      "sh -c \\"echo hello; …"   2 hours ago    Up 2 hours                0.0.0.0:8080->80/tcp   web',
        'cccccccccccc   dddddddddddd   "true"                    3 months ago   Exited (0) 1 minute ago                          job',
    ]
    assert engine.requests[-1].query == {"all": "1"}


def test_ps_without_cutting(engine: Recorder, proa: Proa) -> None:
    line = proa("ps", "--no-trunc").out.splitlines()[1]
    assert line.startswith("a" * 64 + "   busybox:1 ")
    assert '"sh -c \\"echo hello; sleep 10\\""' in line
    assert line.endswith("other/alias,web")


PS_FORMATS = [
    ("{{.ID}} {{.Names}} {{.State}}", ["aaaaaaaaaaaa web running", "cccccccccccc job exited"]),
    ("{{.Size}}|{{.Networks}}|{{.Mounts}}|{{.LocalVolumes}}", ["12B (virtual 1.98MB)|bridge|vvvvvvvvvvvvvv…,/srv|1", "0B|||0"]),
    ('{{.Labels}}|{{.Label "b"}}|{{.Label "no"}}', ["b=1,com.example.the-team=x|1|", "||"]),
    ("table {{.Names}}\\t{{.Status}}", ["NAMES     STATUS", "web       Up 2 hours", "job       Exited (0) 1 minute ago"]),
    ('table {{.Label "com.example.the-team"}}\\t{{.ID | upper}}', ["the team   CONTAINER ID", "x          AAAAAAAAAAAA", "           CCCCCCCCCCCC"]),
    ("{{if eq .State \"running\"}}{{.Names}}{{else}}-{{end}}", ["web", "-"]),
]  # fmt: skip


@pytest.mark.parametrize(("form", "lines"), PS_FORMATS)
def test_ps_formats(form: str, lines: list[str], engine: Recorder, proa: Proa) -> None:
    outcome = proa("ps", "--format", form)
    assert outcome.out.splitlines() == lines
    assert ("size" in engine.requests[-1].query) == (".Size" in form)


def test_ps_as_json(engine: Recorder, proa: Proa) -> None:
    line = proa("ps", "--format", "json").out.splitlines()[1]
    assert line.startswith('{"Command":"\\"true\\"","CreatedAt":"')
    assert '"Platform":null,"Ports":"","RunningFor":"3 months ago"' in line


PS_QUERIES = [
    ([], {}),
    (["-a"], {"all": "1"}),
    (["-l"], {"limit": "1"}),
    (["-n", "3"], {"limit": "3"}),
    (["-s"], {"size": "1"}),
    (["-f", "status=exited", "--filter", "Label=a=b", "-f", "status=dead"],
     {"filters": '{"status":{"exited":true,"dead":true},"label":{"a=b":true}}'}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "query"), PS_QUERIES)
def test_ps_queries(words: list[str], query: dict[str, str], engine: Recorder, proa: Proa) -> None:
    assert proa("ps", *words).code == 0
    assert engine.requests[-1].query == query


def test_quiet(engine: Recorder, proa: Proa) -> None:
    assert proa("ps", "-q").out == "a" * 12 + "\n" + "c" * 12 + "\n"
    assert proa("ps", "-q", "--no-trunc").out == "a" * 64 + "\n" + "c" * 64 + "\n"
    assert proa("images", "-q").out.splitlines() == ["1" * 12, "1" * 12, "2" * 12, "3" * 12]


def test_images(engine: Recorder, proa: Proa) -> None:
    assert proa("images").out.splitlines() == [
        "REPOSITORY   TAG       IMAGE ID       CREATED       SIZE",
        "a            1         111111111111   5 hours ago   1.98MB",
        "r.io:5/b     2         111111111111   5 hours ago   1.98MB",
        "<none>       <none>    222222222222   3 days ago    1.5GB",
        "d            <none>    333333333333   N/A           0B",
    ]
    assert [line.split()[2] for line in proa("images", "--digests").out.splitlines()] == [
        "DIGEST", "sha256:x", "<none>", "<none>", "sha256:y",
    ]  # fmt: skip


def test_images_by_name(engine: Recorder, proa: Proa) -> None:
    proa("images", "-a", "-f", "dangling=true", "busy*")
    assert engine.requests[-1].query == {
        "all": "1", "filters": '{"dangling":{"true":true},"reference":{"busy*":true}}',
    }  # fmt: skip


def test_rows_of_an_image_with_several_digests() -> None:
    image = {"RepoTags": ["a:1", "a:2"], "RepoDigests": ["a@x", "a@y", "b@z"]}
    found = [(row.repository, row.tag, row.digest) for row in rows([image], digests=True, only_digests=True)]
    assert found == [("a", "1", "x"), ("a", "1", "y"), ("a", "2", "x"), ("a", "2", "y"), ("b", "<none>", "z")]
    assert len(rows([image], digests=False, only_digests=False)) == 3


def port(private: int, public: int = 0, address: str = "", protocol: str = "tcp") -> dict[str, Any]:
    published = {"IP": address, "PublicPort": public} if public else {}
    return {"PrivatePort": private, "Type": protocol, **published}


PORTS = [
    ([], ""),
    ([port(80)], "80/tcp"),
    ([port(81), port(80), port(80, protocol="udp")], "80-81/tcp, 80/udp"),
    ([port(80), port(90)], "80/tcp, 90/tcp"),
    ([port(80, 8080, "::"), port(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
    ([port(number, number, "1.1.1.1") for number in (82, 80, 81)], "1.1.1.1:80-82->80-82/tcp"),
    ([port(80, 9, "1.1.1.1"), port(81, 81, "1.1.1.1"), port(82)], "1.1.1.1:81->81/tcp, 82/tcp, 1.1.1.1:9->80/tcp"),
]


@pytest.mark.parametrize(("entries", "text"), PORTS)
def test_ports(entries: list[dict[str, Any]], text: str) -> None:
    assert ports(entries) == text


AGES = [
    (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (119, "About a minute"),
    (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (5399, "About an hour"), (5400, "2 hours"),
    (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (13 * 86400, "13 days"), (14 * 86400, "2 weeks"),
    (60 * 86400, "2 months"), (729 * 86400, "24 months"), (730 * 86400, "2 years"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), AGES)
def test_age(seconds: int, text: str) -> None:
    assert age(seconds * 10**9 + 5) == text


def test_sizes() -> None:
    sizes = (0, 12, 999, 1000, 1_982_326, 1_500_000_000, 10**15)
    assert [bytes_size(size) for size in sizes] == ["0B", "12B", "999B", "1kB", "1.982MB", "1.5GB", "1PB"]
    assert image_size(1_982_326) == "1.98MB"
    assert binary_size(25_274_000_000) == "23.54GiB"


def test_columns() -> None:
    assert align([["a", "b"], ["long enough cell", "c"], ["x"], ["d", "e"]]) == [
        "a                  b", "long enough cell   c", "x", "d         e",
    ]  # fmt: skip
    assert align([]) == []
    assert [ellipsis("abcdef", length) for length in (6, 5, 2, 1)] == ["abcdef", "abcd…", "a…", "a"]


def test_natural_order() -> None:
    assert sorted(["node10", "node9", "a", "38e", "1603"], key=natural) == ["38e", "1603", "a", "node9", "node10"]
