"""`cp` and `export`: files into containers and out of them, running or not, and what must not happen."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from pathlib import Path
from stat import S_IFCHR, S_ISCHR, S_ISFIFO
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"
PREPARE = """
mkdir -p /d/sub; echo hi >/d/f; chown 7:8 /d/f; chmod 4755 /d/f; ln -s /d /ld; ln -s f /d/lf
ln -s /nowhere /dangling; mkfifo /d/pipe; mkdir -p /out
ln -s /etc/hostname /escape; echo v >/vol/x; touch /ready; exec sleep 1000
"""


@pytest.fixture(params=["running", "stopped"])
def box(request: pytest.FixtureRequest, client: Client) -> str:
    return begin(client, request.param)


@pytest.fixture(params=["running", "stopped"])
def at(request: pytest.FixtureRequest, docker: Client) -> str:
    """A container for tests of the API alone."""
    return begin(docker, request.param)


def begin(client: Client, state: str) -> str:
    name = client.detached("-h", "inside", "-v", "/vol", BUSYBOX, "sh", "-c", PREPARE)
    eventually(lambda: client("exec", name, "test", "-e", "/ready").code == 0)
    if state == "stopped":
        client.ok("stop", "-t", "0", name)
    return name


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def put(api: Api, name: str, path: str, data: bytes, **query: Any) -> Any:
    return api.request("PUT", f"/containers/{name}/archive", data, path=path, **query)


def members(api: Api, name: str, path: str) -> list[str]:
    answer = api.get(f"/containers/{name}/archive", path=path)
    assert answer.status == 200, answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        return archive.getnames()


def stat(api: Api, name: str, path: str) -> dict[str, Any]:
    answer = api.request("HEAD", f"/containers/{name}/archive", path=path)
    found: dict[str, Any] = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    return found


@pytest.mark.cgroup2
def test_out_of_a_container(client: Client, box: str, tmp_path: Path) -> None:
    client.ok("cp", f"{box}:/d/f", str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "hi\n"
    client.ok("cp", f"{box}:/d", str(tmp_path / "tree"))
    assert sorted(each.name for each in (tmp_path / "tree").iterdir()) == ["f", "lf", "pipe", "sub"]
    assert (tmp_path / "tree/f").stat().st_mode & 0o7777 == 0o4755
    client.ok("cp", f"{box}:/vol/x", str(tmp_path))
    assert (tmp_path / "x").read_text() == "v\n"
    (tmp_path / "there").mkdir()
    client.ok("cp", f"{box}:/d/.", str(tmp_path / "there"))
    assert (tmp_path / "there/f").exists()
    client.ok("cp", "-L", f"{box}:/ld", str(tmp_path / "followed"))
    assert (tmp_path / "followed/f").exists()
    client.ok("cp", f"{box}:/ld", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()


@pytest.mark.cgroup2
def test_into_a_container(client: Client, box: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_text("content")
    client.ok("cp", str(source), f"{box}:/out")
    client.ok("cp", str(source / "deep/file"), f"{box}:/out/renamed")
    client.ok("cp", f"{source}/.", f"{box}:/vol/")
    client.ok("cp", str(source / "deep/file"), f"{box}:/ld/")
    client.ok("start", box)
    listed = client.ok("exec", box, "sh", "-c", "cat /out/source/deep/file /out/renamed /vol/deep/file /d/file")
    assert listed == "content" * 4


def test_pipes(client: Client, box: str) -> None:
    data = client("cp", f"{box}:/d/f", "-").raw
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        info = archive.getmember("f")
        assert (info.uid, info.gid, info.mode) == (7, 8, 0o4755)
    client.ok("cp", "-", f"{box}:/out", stdin=tar(a=b"1", b__c=b"2"))
    client.ok("start", box)
    assert client.ok("exec", box, "cat", "/out/a", "/out/b/c") == "12"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/d/f", ["f"]),
        ("d/f", ["f"]),
        ("/d/sub", ["sub"]),
        ("/d/sub/.", ["."]),
        ("/ld", ["ld"]),
        ("/ld/sub/../f", ["f"]),
        ("/d/lf", ["lf"]),
        ("/d/pipe", ["pipe"]),
        ("/../../../d/f", ["f"]),
        ("/escape", ["escape"]),
    ],
)
def test_names(api: Api, at: str, path: str, names: list[str]) -> None:
    assert members(api, at, path) == names


def test_a_status_is_that_of_go(api: Api, at: str) -> None:
    assert stat(api, at, "/d/f")["mode"] == 0o755 | 1 << 23
    assert stat(api, at, "/d")["mode"] == 0o755 | 1 << 31
    assert stat(api, at, "/ld")["linkTarget"] == "/d"
    assert stat(api, at, "/ld/lf")["linkTarget"] == "/d/f"
    assert stat(api, at, "/dangling")["linkTarget"] == "/nowhere"
    assert stat(api, at, "/ld/")["name"] == "ld"
    assert stat(api, at, "/")["name"] == "/"


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/nope", 404, "Could not find the file /nope in container"),
        ("/d/f/", 400, "not a directory"),
        ("/d/f/x", 400, "not a directory"),
        ("", 400, "path cannot be empty"),
        ("/a\0b", 400, "null byte"),
        ("/" + "x/" * 3000, 400, "too long"),
    ],
)
def test_what_is_not_there(api: Api, at: str, path: str, status: int, message: str) -> None:
    answer = api.get(f"/containers/{at}/archive", path=path)
    assert (answer.status, message in answer.message) == (status, True), answer
    assert api.request("HEAD", f"/containers/{at}/archive", path=path).status == status


@pytest.mark.parametrize(
    ("path", "data", "query", "status", "message"),
    [
        ("/nope", tar(a=b""), {}, 404, "Could not find the file /nope"),
        ("/d/f", tar(a=b""), {}, 400, "extraction point is not a directory"),
        ("/dangling", tar(a=b""), {}, 404, "Could not find"),
        ("/out", b"no archive at all" * 100, {}, 400, "invalid"),
        ("/out", tar(a=b"x" * 5000)[:1000], {}, 400, "unexpected end"),
        ("/out", tar(**{"..__..__evil": b"x"}), {}, 400, "outside"),
        ("/", tar(d=b"x"), {"noOverwriteDirNonDir": 1}, 400, "cannot overwrite directory"),
        ("/", tar(ld__f=b"through a link"), {}, 200, ""),
        ("/", tar(escape=b"replaces the link"), {}, 200, ""),
    ],
)
def test_hostile_archives(
    docker: Client, api: Api, at: str, path: str, data: bytes, query: dict[str, Any], status: int, message: str
) -> None:
    before = Path("/etc/hostname").read_text()
    answer = put(api, at, path, data, **query)
    assert answer.status == status, answer
    assert not message or message in answer.message
    assert Path("/etc/hostname").read_text() == before
    docker.ok("start", at)
    assert docker.ok("exec", at, "test", "-d", "/d") == ""


def test_links_stay_inside(api: Api, at: str, docker: Client) -> None:
    """A link of the container to an absolute path means the container's path, read and written."""
    assert put(api, at, "/", tar(escape__x=b"")).status == 400  # /etc/hostname is a file there, too
    docker.ok("start", at)
    docker.ok("exec", at, "sh", "-c", "ln -s / /top; ln -s /top/etc /etc-link")
    assert put(api, at, "/etc-link", tar(**{"proa-was-here": b"x"})).status == 200
    assert docker.ok("exec", at, "ls", "/etc/proa-was-here") == "/etc/proa-was-here\n"
    assert not Path("/etc/proa-was-here").exists()


def test_what_is_read_only_stays_so(docker: Client, api: Api) -> None:
    name = docker.ok("create", "--read-only", "-v", "/rw", "-v", "/etc:/host:ro", BUSYBOX, "sleep", "1000").strip()
    for _ in range(2):
        assert put(api, name, "/tmp", tar(a=b"")).message == "container rootfs is marked read-only"
        assert put(api, name, "/host", tar(a=b"")).message == "mounted volume is marked read-only"
        assert put(api, name, "/rw", tar(a=b"")).status == 200
        docker.ok("start", name)


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_what_is_mounted_stays_mounted(docker: Client, api: Api, tmp_path: Path, state: str) -> None:
    """A file of the host's that a container has mounted is not taken away from it, nor its own /etc/hosts."""
    mounted = tmp_path / "mounted"
    mounted.write_text("from the host\n")
    name = docker.detached("-v", f"{mounted}:/settings/file", BUSYBOX, "sleep", "1000")
    if state == "stopped":
        docker.ok("stop", "-t", "0", name)
    taken = [("/settings", "file")] + [("/etc", "hosts")] * (state == "running")
    for directory, file in taken:
        answer = put(api, name, directory, tar(**{file: b"from an archive"}))
        assert answer.status in (400, 500) and "device or resource busy" in answer.message
    assert mounted.read_text() == "from the host\n"
    docker("start", name)
    assert docker.ok("exec", name, "cat", "/settings/file") == "from the host\n"
    assert "localhost" in docker.ok("exec", name, "cat", "/etc/hosts")


def test_archives_can_belong_to_the_user(docker: Client, api: Api) -> None:
    name = docker.detached("-u", "4321:99", BUSYBOX, "sleep", "1000")
    assert put(api, name, "/tmp", tar(a=b"x"), copyUIDGID=1).status == 200
    assert docker.ok("exec", name, "stat", "-c", "%u:%g", "/tmp/a") == "4321:99\n"


def test_export(client: Client, box: str, tmp_path: Path) -> None:
    client.ok("export", "-o", str(tmp_path / "root.tar"), box)
    with tarfile.open(tmp_path / "root.tar") as archive:
        names = archive.getnames()
        assert archive.getmember("d/f").mode == 0o4755
        assert archive.getmember("etc/hostname").size == 0
    assert {"bin", "d/sub", "ld", "vol", "proc", "dev"} <= set(names)
    assert not {"vol/x", "proc/1", "dev/null"} & set(names), "what is mounted is not the container's"


def test_export_replaces_nothing_but_files(client: Client, box: str, tmp_path: Path) -> None:
    """Root's `-o /dev/null` must not put a file in the place of the device, as a rename would."""
    device, pipe, link = (tmp_path / name for name in ("device", "pipe", "link"))
    os.mknod(device, 0o600 | S_IFCHR, os.makedev(1, 3))
    os.mkfifo(pipe)
    link.symlink_to(device)
    for path, message in (
        (device, "cannot write to a character device file"),
        (pipe, r"cannot write to a named pipe \(FIFO\)"),
        (link, "cannot write to a symbolic link directly"),
        (tmp_path, "cannot write to a directory"),
        (tmp_path / "none" / "x", f"invalid output path: stat {tmp_path}/none: no such file or directory"),
    ):
        client.fails("export", "-o", str(path), box, match=f"failed to export container: {message}")
        client.fails("save", "-o", str(path), BUSYBOX, match=f"failed to save image: {message}")
    assert S_ISCHR(device.lstat().st_mode)
    assert S_ISFIFO(pipe.lstat().st_mode)
    assert link.is_symlink()


def test_what_the_kernel_makes_up(proa: Client, api: Api, tmp_path: Path) -> None:
    """Files in /sys and /proc do not know their size, and some may not be read. dockerd copies none at all."""
    name = proa.detached(BUSYBOX, "sleep", "1000")
    proa.ok("cp", f"{name}:/proc/1/cmdline", str(tmp_path / "cmdline"))
    assert (tmp_path / "cmdline").read_bytes() == b"sleep\0001000\0"
    proa.ok("cp", f"{name}:/sys/class/net/lo/.", str(tmp_path / "lo"))
    assert (tmp_path / "lo/mtu").read_text() == "65536\n"
    assert not (tmp_path / "lo/duplex").exists()  # a loopback has none, and says so with an error
    proa.fails("cp", f"{name}:/sys/class/net/lo/duplex", str(tmp_path), match="read duplex: invalid argument")
    answer = api.get(f"/containers/{name}/archive", path="/sys/class/net/lo/duplex")
    assert answer.status == 400, answer


def test_a_followed_link_keeps_its_name(client: Client, box: str, tmp_path: Path) -> None:
    client.ok("cp", "-L", f"{box}:/ld", str(tmp_path))
    client.ok("cp", "-L", f"{box}:/d/lf", str(tmp_path))
    client.ok("cp", "-L", f"{box}:/d/lf", str(tmp_path / "renamed"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ld", "lf", "renamed"]
    assert (tmp_path / "ld/f").read_text() == (tmp_path / "lf").read_text() == "hi\n"
    (tmp_path / "ahead").symlink_to("nowhere")
    client.fails("cp", "-L", str(tmp_path / "ahead"), f"{box}:/out", match=f"lstat {tmp_path}/nowhere: no such")


def test_links_that_lead_out_of_a_tree(proa: Client, tmp_path: Path) -> None:
    """They are copied as they are, as docker 28.5 does and 28.2 refused to. -L is for the named path alone."""
    box = begin(proa, "running")
    source = tmp_path / "source"
    source.mkdir()
    links = {"outside": "../../../../etc/passwd", "absolute": "/etc", "missing": "nowhere"}
    for name, target in links.items():
        (source / name).symlink_to(target)
    proa.ok("cp", "-L", str(source), f"{box}:/out")
    proa.ok("cp", "-L", f"{box}:/out/source", str(tmp_path / "back"))
    assert {each.name: str(each.readlink()) for each in (tmp_path / "back").iterdir()} == links


def test_why_a_link_cannot_be_followed(client: Client, box: str, tmp_path: Path) -> None:
    for path in ("/d/f/", "/d/f/x"):
        client.fails("cp", "-L", f"{box}:{path}", str(tmp_path), match="Error response from daemon: .*d/f")


def test_what_was_copied_is_told_to_terminals(client: Client, box: str, tmp_path: Path) -> None:
    source, target = f"{box}:/etc/passwd", str(tmp_path / "passwd")
    assert client("cp", source, target).err == ""
    assert client("cp", "--quiet=false", source, target).err.startswith("Successfully copied ")


def test_a_reader_that_leaves(docker: Client, api: Api, engine: Engine) -> None:
    """The thread that reads for it ends, and closes what it has open."""
    name = docker.detached(BUSYBOX, "sh", "-c", "head -c 50000000 /dev/zero >/big; touch /ready; sleep 1000")
    eventually(lambda: docker("exec", name, "test", "-e", "/ready").code == 0, 30)
    before = engine.descriptors()
    with api.stream("GET", f"/containers/{name}/archive", path="/big") as answer:
        assert answer.read(1000)
        assert engine.descriptors() > before
    eventually(lambda: engine.descriptors() <= before)
    docker.ok("rm", "-f", name)
