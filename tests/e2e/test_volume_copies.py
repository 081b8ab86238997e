"""`proa volume rename|clone|snapshot|export|import`: what Docker has no commands for."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine
from rig.needs import need

BUSYBOX = "busybox"
FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
WRITE = (
    "mkdir -p /v/d/e; echo text >/v/d/file; ln /v/d/file /v/d/hard; ln -s ../x /v/d/link; mkfifo /v/d/e/pipe; "
    "chown 7:8 /v/d; chmod 2751 /v/d; touch -d '2020-01-02 03:04:05' /v/d/file; dd if=/dev/zero of=/v/sparse bs=1 "
    "count=0 seek=1000000 2>/dev/null"
)
LOOK = (
    "cd /v; find . | sort; stat -c '%n %u:%g %a %Y' d d/file; stat -c %h d/file; readlink d/link; cat d/hard; "
    "test -p d/e/pipe && stat -c %s sparse"
)


def written(proa: Client, name: str) -> str:
    """Write a volume; return what one looks like that has the same."""
    proa.ok("run", "--rm", "-v", f"{name}:/v", BUSYBOX, "sh", "-c", WRITE)
    return look(proa, name)


def look(proa: Client, name: str) -> str:
    return proa.ok("run", "--rm", "-v", f"{name}:/v:ro", BUSYBOX, "sh", "-c", LOOK)


def names(api: Api) -> list[str]:
    return sorted(volume["Name"] for volume in api.get("/volumes").json["Volumes"] or ())


def test_clone(proa: Client, api: Api) -> None:
    proa.ok("volume", "create", "--label", "a=b", "first")
    expected = written(proa, "first")
    assert proa.ok("volume", "clone", "first", "second").split()[0] == "second"
    assert look(proa, "second") == expected
    assert proa.ok("run", "--rm", "-v", "second:/v", BUSYBOX, "stat", "-c", "%b", "/v/sparse") == "0\n"
    proa.ok("run", "--rm", "-v", "second:/v", BUSYBOX, "rm", "-r", "/v/d")
    assert look(proa, "first") == expected, "each has its own"
    assert json.loads(proa.inspect("second", "{{json .Labels}}")) == {"a": "b"}
    proa.fails("volume", "clone", "first", "second", code=1, match="create second: a volume with this name exists")


def test_snapshot(proa: Client, api: Api) -> None:
    expected = written(proa, "first")
    name, method = proa.ok("volume", "snapshot", "first").split()
    assert name.startswith("first-20") and method in ("(copy)", "(reflink)")
    proa.ok("run", "--rm", "-v", "first:/v", BUSYBOX, "rm", "-r", "/v/d")
    assert look(proa, name) == expected
    assert proa.ok("volume", "ls", "-q", "--filter", "label=org.proa.snapshot-of=first") == f"{name}\n"
    assert proa.ok("volume", "snapshot", "first", "mine").split()[0] == "mine"
    assert proa.ok("volume", "clone", "mine", "back").split()[0] == "back"
    assert json.loads(proa.inspect("back", "{{json .Labels}}")) is None, "a clone of a snapshot is none"


def test_rename(proa: Client, api: Api) -> None:
    proa.ok("volume", "create", "--label", "a=b", "first")
    expected = written(proa, "first")
    proa.ok("create", "--name", "user", "-v", "first:/v", BUSYBOX)
    proa.fails("volume", "rename", "first", "second", code=1, match="rename first: volume is in use")
    proa.ok("rm", "user")
    proa.ok("volume", "rename", "first", "second")
    assert names(api) == ["second"]
    assert look(proa, "second") == expected
    assert json.loads(proa.inspect("second", "{{json .Labels}}")) == {"a": "b"}


def test_an_anonymous_volume_with_a_name_is_not_pruned(proa: Client, api: Api) -> None:
    proa.ok("create", "--name", "box", "-v", "/v", BUSYBOX)
    proa.ok("rm", "box")
    [anonymous] = names(api)
    proa.ok("volume", "rename", anonymous, "kept")
    proa.ok("volume", "prune", "-f")
    assert names(api) == ["kept"]


def test_export_and_import(proa: Client, api: Api, tmp_path: Path) -> None:
    expected = written(proa, "first")
    archive = tmp_path / "first.tar"
    proa.ok("volume", "export", "first", "-o", str(archive))
    assert proa.ok("volume", "import", "second", str(archive)) == "second\n"
    assert look(proa, "second") == expected
    streamed = proa("volume", "export", "first").raw
    with tarfile.open(fileobj=io.BytesIO(streamed)) as members:
        assert set(members.getnames()) == {
            ".", "./d", "./d/e", "./d/e/pipe", "./d/file", "./d/hard", "./d/link", "./sparse",
        }  # fmt: skip
    assert proa.ok("volume", "import", "third", "-", stdin=gzip.compress(streamed)) == "third\n"
    assert look(proa, "third") == expected
    proa.ok("run", "--rm", "-v", "third:/v", BUSYBOX, "sh", "-c", "echo other >/v/d/file; echo x >/v/more")
    proa.ok("volume", "import", "third", str(archive))
    out = proa.ok("run", "--rm", "-v", "third:/v", BUSYBOX, "sh", "-c", "cat /v/d/file /v/more")
    assert out == "text\nx\n", "what is there and not in the archive stays"


def test_volumes_that_are_mounted(proa: Client, engine: Engine, tmp_path: Path) -> None:
    """A clone of memory is on the disk; a volume is mounted for the time of its export."""
    proa.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=x", "-o", "o=size=1m", "memory")
    proa.detached("--name", "box", "-v", "memory:/m", BUSYBOX, "sh", "-c", "echo x >/m/file; sleep 1000")
    deadline = time.monotonic() + 20
    while proa("exec", "box", "cat", "/m/file").out != "x\n":
        assert time.monotonic() < deadline
    proa.ok("volume", "clone", "memory", "disk")
    assert proa.ok("run", "--rm", "-v", "disk:/m", BUSYBOX, "cat", "/m/file") == "x\n"
    proa.ok("rm", "-f", "box")
    source = tmp_path / "bound"
    source.mkdir()
    (source / "file").write_text("bound")
    proa.ok("volume", "create", "-o", "type=none", "-o", f"device={source}", "-o", "o=bind,ro", "bound")
    proa.ok("volume", "export", "bound", "-o", str(tmp_path / "a.tar"))
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == [".", "./file"]
    assert str(engine.data_root / "volumes/bound") not in Path("/proc/self/mountinfo").read_text()
    proa.fails("volume", "import", "bound", str(tmp_path / "a.tar"), code=1, match="[Rr]ead-only")


Member = tuple[str, bytes, str, bytes]  # name, type, target of a link, contents


def tar(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, target, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
@pytest.mark.parametrize(
    "members",
    [
        [("../../../../escaped", FILE, "", b"x")],
        [("{outside}/escaped", FILE, "", b"x")],
        [("link", LINK, "{outside}", b""), ("link/escaped", FILE, "", b"x")],
        [("up", LINK, "../../../../../../../..", b""), ("up{outside}/escaped", FILE, "", b"x")],
        [("hard", HARD, "{outside}/there", b""), ("hard", FILE, "", b"escaped")],
        [("hard", HARD, "../../../../../../..{outside}/there", b"")],
    ],
)
def test_hostile_archives_stay_inside(
    proa: Client, api: Api, tmp_path: Path, members: list[Member], there: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "there").write_text("untouched")

    archive = tar(
        *((name.format(outside=outside), kind, target.format(outside=outside), data)
          for name, kind, target, data in members)
    )  # fmt: skip
    if there:
        proa.ok("volume", "create", "vol")
    result = proa("volume", "import", "vol", "-", stdin=archive)
    assert result.code in (0, 1), result
    assert os.listdir(outside) == ["there"] and (outside / "there").read_text() == "untouched"
    assert os.stat(outside / "there").st_nlink == 1
    assert not list(tmp_path.parent.rglob("escaped"))
    assert ("vol" in names(api)) == (there or result.code == 0)


@pytest.mark.parametrize(
    ("words", "stdin", "match"),
    [
        (("rename", "nothing", "other"), b"", "get nothing: no such volume"),
        (("rename", "vol", "a"), b"", "create a: volume name is too short"),
        (("rename", "vol", "../x"), b"", "includes invalid characters"),
        (("rename", "vol", "vol"), b"", "a volume with this name exists"),
        (("clone", "nothing", "other"), b"", "get nothing: no such volume"),
        (("clone", "vol", "/tmp/x"), b"", "includes invalid characters"),
        (("clone", "vol", "x" * 300), b"", "volume name is too long"),
        (("snapshot", "nothing"), b"", "get nothing: no such volume"),
        (("snapshot", "vol", "-"), b"", "volume name is too short"),
        (("export", "nothing"), b"", "get nothing: no such volume"),
        (("export", "vol", "-o", "/no/such/place.tar"), b"", "invalid output path"),
        (("export", "vol", "-o", "/dev/null"), b"", "cannot write to a character device file"),
        (("import", "../x"), b"x", "includes invalid characters"),
        (("import", "new", "/no/such/file"), b"", "open /no/such/file: no such file or directory"),
        (("import", "new"), b"no archive" * 100, "(tar|archive|header)"),
        (("import", "new"), gzip.compress(b"no archive" * 100), "(tar|archive|header)"),
        (("import", "new"), b"", "(tar|archive)"),
        (("import", "vol"), b"\x1f\x8b\x08broken", "gzip"),
    ],
)
def test_bad_input(proa: Client, api: Api, words: tuple[str, ...], stdin: bytes, match: str) -> None:
    proa.ok("volume", "create", "vol")
    proa.fails("volume", *words, code=1, match=match, stdin=stdin)
    assert names(api) == ["vol"]


def test_status_codes(api: Api) -> None:
    api.post("/volumes/create", {"Name": "vol"})
    for method, path, status in (
        ("POST", "/proa/volumes/nothing/clone?name=other", 404),
        ("POST", "/proa/volumes/vol/clone", 400),
        ("POST", "/proa/volumes/vol/clone?name=vol", 409),
        ("POST", "/proa/volumes/vol/rename", 400),
        ("POST", "/proa/volumes/vol/rename?name=x", 400),
        ("GET", "/proa/volumes/nothing/archive", 404),
    ):
        assert api.request(method, path).status == status, path


def test_a_volume_that_is_written_all_the_time(proa: Client, tmp_path: Path) -> None:
    """A clone is made of what is there; directories that are moved about lead nobody out of the volume."""
    churn = (
        "i=0; while :; do i=$((i+1)); mkdir -p /v/a/b/c/d/e; echo $i >/v/a/b/c/d/e/f; echo $i >/v/g; "
        "mv /v/a/b/c /v/c; mkdir -p /v/z; mv /v/c /v/z/; rm -rf /v/z /v/a; done"
    )
    proa.detached("--name", "churn", "-v", "busy:/v", BUSYBOX, "sh", "-c", churn)
    done = 0
    for number in range(12):
        result = proa("volume", "clone", "busy", f"copy{number}")
        if result.code == 0:
            done += 1
            seen = proa.ok("run", "--rm", "-v", f"copy{number}:/v", BUSYBOX, "ls", "/v").split()
            assert set(seen) <= {"a", "g", "c", "z"}, seen
        else:
            assert "a directory was moved while it was copied" in result.err, result
    assert done, "most are made"


def test_kill_in_the_middle(fresh_engine: Engine) -> None:
    """What was not complete when the engine was killed is no volume, and leaves no files."""
    engine, proa = fresh_engine, fresh_engine.proa
    proa.ok("pull", "-q", BUSYBOX)
    proa.ok("run", "--rm", "-v", "big:/v", BUSYBOX, "sh", "-c", "for i in $(seq 3000); do echo $i >/v/$i; done")
    for words in (("clone", "big", "other"), ("snapshot", "big", "other"), ("rename", "big", "new")):
        for delay in (0.01, 0.03, 0.06, 0.1):
            with proa.start("volume", *words):
                time.sleep(delay + 0.05)
                engine.kill()
            engine.start()
            left = names(engine.api)
            if "new" in left:
                assert left == ["new"]
                proa.ok("volume", "rename", "new", "big")
            assert "big" in names(engine.api)
            for name in names(engine.api):
                place = engine.data_root / "volumes" / name / "_data"
                assert len(os.listdir(place)) == 3000, name
            assert sorted(os.listdir(engine.data_root / "volumes")) == names(engine.api)
            if "other" in names(engine.api):
                proa.ok("volume", "rm", "other")


def test_an_upload_that_ends_early(proa: Client, engine: Engine, api: Api) -> None:
    archive = tar(("file", FILE, "", b"x" * 3_000_000))
    with proa.start("volume", "import", "half", stdin=subprocess.PIPE) as importing:
        assert importing.stdin
        importing.stdin.write(archive[:1_500_000])
        importing.stdin.flush()
        time.sleep(0.3)
        importing.kill()
    deadline = time.monotonic() + 20
    while [name for name in os.listdir(engine.data_root / "volumes") if name.startswith(".")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert names(api) == []


@pytest.fixture
def reflinking(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that shares the contents of files."""
    need(shutil.which("mkfs.xfs") or shutil.which("mkfs.btrfs"), "mkfs.xfs or mkfs.btrfs")
    kind = "xfs" if shutil.which("mkfs.xfs") else "btrfs"
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--recursive", place], check=True)


def test_reflinks(reflinking: Path) -> None:
    engine = Engine("", directory=reflinking / "engine")
    engine.directory.mkdir()
    try:
        proa = engine.start().proa
        proa.ok("volume", "create", "first")
        data = os.urandom(30 << 20)
        (engine.data_root / "volumes/first/_data/file").write_bytes(data)
        os.sync()
        before = shutil.disk_usage(reflinking).used
        assert proa.ok("volume", "snapshot", "first", "second") == "second (reflink)\n"
        assert proa.ok("volume", "clone", "first", "third") == "third (reflink)\n"
        os.sync()
        assert shutil.disk_usage(reflinking).used - before < 10 << 20
        assert (engine.data_root / "volumes/third/_data/file").read_bytes() == data
    finally:
        engine.stop()


def test_names_are_given_once(proa: Client, api: Api) -> None:
    written(proa, "first")
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(proa("volume", "clone", "first", "second").code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 1, 1] and names(api) == ["first", "second"]
