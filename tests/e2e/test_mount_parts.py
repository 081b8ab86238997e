"""Images as mounts, parts of volumes and images, and what modes of mounts do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine
from rig.needs import need

BUSYBOX = "busybox"
RUNTIMES = ("proa", "runc")


@pytest.fixture
def data(client: Client) -> Iterator[str]:
    """An image of two layers: the upper one has deleted a file of the lower one and has links."""
    script = (
        "mkdir -p /d/sub; echo world >/d/sub/hello; echo gone >/d/gone; ln -s sub /d/good; ln -s /etc /d/bad; "
        "ln -s ../../../../.. /d/up"
    )
    client.ok("run", "--name", "lower", BUSYBOX, "sh", "-c", script)
    client.ok("commit", "lower", "data:lower")
    client.ok("run", "--name", "upper", "data:lower", "rm", "/d/gone")
    client.ok("commit", "upper", "data:1")
    client.ok("rm", "lower", "upper")
    yield "data:1"
    client("rmi", "-f", "data:1", "data:lower")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_as_a_mount(client: Client, data: str, runtime: str) -> None:
    need(shutil.which(runtime) or runtime == "proa", runtime)
    mount = ("--mount", f"type=image,source={data},target=/image")
    run = ("run", "--rm", "--runtime", runtime, *mount, BUSYBOX, "sh", "-c")
    assert client.ok(*run, "cat /image/d/sub/hello; ls /image/d").split() == ["world", "bad", "good", "sub", "up"]
    for refused in ("touch /image/new", "rm /image/d/sub/hello", "mount -o remount,rw /image"):
        result = client(*run, refused)
        assert result.code != 0, refused
    seen = set(client.ok(*run, "ls -a /image").split())
    assert "d" in seen and not seen & {"proc", "sys", ".dockerenv"}, "nothing but the image's own"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("subpath", "expected"),
    [
        ("d/sub", "hello"),
        ("d/good", "hello"),  # a link that stays inside
        ("./d//sub/", "hello"),
        ("d/sub/hello", "/image"),  # a file
    ],
)
def test_a_part_of_an_image(client: Client, data: str, runtime: str, subpath: str, expected: str) -> None:
    need(shutil.which(runtime) or runtime == "proa", runtime)
    mount = f"type=image,source={data},target=/image,image-subpath={subpath}"
    out = client.ok("run", "--rm", "--runtime", runtime, "--mount", mount, BUSYBOX, "ls", "/image")
    assert out.strip() == expected


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("subpath", "code", "match"),
    [
        ("d/bad", 125, "path concatenation escapes the base directory"),
        ("d/up/etc", 125, "path concatenation escapes the base directory"),
        ("d/nothing", 127, "cannot access path .*/d/nothing: no such file or directory"),
        ("d/gone", 127, "cannot access path .*/d/gone: no such file or directory"),
        ("../etc", 125, "subpath must be a relative path within the volume"),
        ("d/../../etc", 125, "subpath must be a relative path within the volume"),
        ("/etc", 125, "subpath must be a relative path within the volume"),
    ],
)
def test_parts_that_are_none(client: Client, data: str, runtime: str, subpath: str, code: int, match: str) -> None:
    need(shutil.which(runtime) or runtime == "proa", runtime)
    client.ok("run", "--rm", "--mount", f"type=image,source={data},target=/i", "-v", "vol:/v", BUSYBOX,
              "cp", "-a", "/i/d", "/v/")  # fmt: skip
    for kind in (f"image,source={data}", "volume,source=vol"):
        mount = f"type={kind},target=/m,{kind.split(',')[0]}-subpath={subpath}"
        client.fails(
            "run", "--rm", "--runtime", runtime, "--mount", mount, BUSYBOX, "true", code=code, match=match
        )
    assert client.ok("ps", "-aq") == ""


def test_how_an_image_mount_is_shown(client: Client, data: str) -> None:
    client.ok("create", "--name", "box", "--mount", f"type=image,source={data},target=/image", BUSYBOX)
    shown = json.loads(client.inspect("box", "{{json .Mounts}}"))
    image = client.inspect(data, "{{.Id}}")
    assert shown == [
        {"Type": "image", "Name": data, "Source": image, "Destination": "/image", "Mode": "", "RW": False,
         "Propagation": "rprivate"}
    ]  # fmt: skip
    assert json.loads(client.inspect("box", "{{json .HostConfig.Mounts}}")) == [
        {"Type": "image", "Source": data, "Target": "/image"}
    ]
    assert client.ok("ps", "-a", "--format", "{{.Mounts}}") == f"{data}\n"
    assert client.ok("ps", "-aq", "--filter", "volume=/image")


def test_a_mounted_image_stays(client: Client, data: str) -> None:
    mount = f"type=image,source={data},target=/image"
    box = client.detached("--name", "box", "--mount", mount, BUSYBOX, "sleep", "1000")
    client.fails("rmi", data, code=1, match=f"container {box[:12]} is using its referenced image")
    client.fails(
        "rmi", "-f", client.inspect(data, "{{.Id}}"), code=1, match="image is being used by running container"
    )
    assert client.ok("image", "prune", "-af").count("data:1") == 0
    client.ok("stop", "-t", "0", "box")
    client.ok("rmi", "-f", data, "data:lower")
    client.fails("image", "inspect", data, code=1, match="No such image")
    client.ok("start", "box")
    assert client.ok("exec", "box", "cat", "/image/d/sub/hello") == "world\n", "its layers are still there"
    client.ok("rm", "-f", "box")


def test_images_that_are_missing(client: Client) -> None:
    for source, match in (
        ("no-such-image:1", 'invalid mount config for type "image": No such image: no-such-image:1'),
        ("UPPER", "invalid"),
    ):
        client.fails("create", "--mount", f"type=image,source={source},target=/x", BUSYBOX, code=1, match=match)
    client.fails("create", "--mount", "type=image,target=/x", BUSYBOX, code=1, match="Source must not be empty")
    assert client.ok("ps", "-aq") == ""


def test_cp_from_a_stopped_container_with_an_image(client: Client, data: str, tmp_path: Path) -> None:
    mounts = ["--mount", f"type=image,source={data},target=/image,image-subpath=d"]
    client.ok("create", "--name", "box", *mounts, BUSYBOX)
    client.ok("cp", "box:/image/sub/hello", str(tmp_path / "hello"))
    assert (tmp_path / "hello").read_text() == "world\n"
    (tmp_path / "new").write_text("x")
    client.fails("cp", str(tmp_path / "new"), "box:/image/", code=1, match="read-only")


def test_a_new_engine_starts_a_container_with_an_image(fresh_engine: Engine) -> None:
    engine, client = fresh_engine, fresh_engine.docker
    client.ok("pull", "-q", BUSYBOX)
    client.ok("tag", BUSYBOX, "other:1")
    client.ok("create", "--name", "box", "--mount", "type=image,src=other:1,dst=/i,image-subpath=bin", BUSYBOX,
              "/i/ls", "/i/busybox")  # fmt: skip
    engine.kill()
    engine.start()
    client.ok("rmi", "-f", "other:1")
    engine.end()
    engine.start()
    assert client.ok("start", "-a", "box") == "/i/busybox\n"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_part_of_a_volume(client: Client, engine: Engine, runtime: str, tmp_path: Path) -> None:
    """The container that writes the volume can not lead another one out of it, at no moment."""
    need(shutil.which(runtime) or runtime == "proa", runtime)
    (tmp_path / "secret").write_text("secret")
    client.ok("run", "--rm", "-v", "vol:/v", BUSYBOX, "sh", "-c", "mkdir -p /v/a/b; echo x >/v/a/b/file")
    mount = "type=volume,source=vol,target=/m,volume-subpath=a/b"
    client.ok("create", "--name", "box", "--runtime", runtime, "--mount", mount, BUSYBOX, "ls", "/m")
    assert client.ok("start", "-a", "box") == "file\n"
    source = json.loads(client.inspect("box", "{{json .Mounts}}"))[0]["Source"]
    assert source == f"{engine.data_root}/volumes/vol/_data", "as Docker shows it"
    client.ok("run", "--rm", "-v", "vol:/v", BUSYBOX, "sh", "-c", f"rm -r /v/a/b; ln -s {tmp_path} /v/a/b")
    client.fails("start", "-a", "box", code=1, match="path concatenation escapes the base directory")
    client.ok("run", "--rm", "-v", "vol:/v", BUSYBOX, "sh", "-c", "rm /v/a/b; ln -s /proc/1/root /v/a/b")
    client.fails("start", "-a", "box", code=1, match="path concatenation escapes the base directory")


def test_a_link_that_changes_all_the_time(client: Client, tmp_path: Path) -> None:
    """Between the check of a path and its mounting there is no moment for a container to use."""
    (tmp_path / "secret").write_text("secret")
    swap = (
        f"mkdir /v/real; while :; do ln -sfn {tmp_path} /v/x; mv -fT /v/x /v/p; rm /v/p; mv /v/real /v/p; "
        "mv /v/p /v/real; done"
    )
    client.detached("--name", "swapper", "-v", "vol:/v", BUSYBOX, "sh", "-c", swap)
    mount = "type=volume,source=vol,target=/m,volume-subpath=p"
    seen = set()
    for _ in range(15):
        result = client("run", "--rm", "--mount", mount, BUSYBOX, "ls", "/m")
        seen.add(result.out)
        assert "secret" not in result.out
    assert seen <= {"", "real\n"}, seen


@pytest.mark.parametrize(
    ("mount", "mode", "writable"),
    [
        (("-v", "{dir}:/m"), "", True),
        (("-v", "{dir}:/m:ro"), "ro", False),
        (("-v", "{dir}:/m:rw,z"), "rw,z", True),
        (("-v", "{dir}:/m:Z,ro"), "Z,ro", False),
        (("-v", "vol:/m"), "z", True),
        (("-v", "vol:/m:nocopy,ro"), "nocopy,ro", False),
        (("-v", "/m"), "", True),
        (("--mount", "type=volume,src=vol,dst=/m"), "z", True),
        (("--mount", "type=bind,src={dir},dst=/m,readonly"), "", False),
    ],
)
def test_modes(client: Client, tmp_path: Path, mount: tuple[str, str], mode: str, writable: bool) -> None:
    words = (mount[0], mount[1].format(dir=tmp_path))
    client.ok("create", "--name", "box", *words, BUSYBOX, "touch", "/m/new")
    [shown] = json.loads(client.inspect("box", "{{json .Mounts}}"))
    assert (shown["Mode"], shown["RW"]) == (mode, writable)
    assert client("start", "-a", "box").code == (0 if writable else 1)


@pytest.mark.parametrize(
    ("mount", "match"),
    [
        (("-v", "{dir}:/m:nocopy"), "field VolumeOptions must not be specified"),
        (("-v", "vol:/m:rshared"), "field BindOptions must not be specified"),
        (("-v", "{dir}:/m:ro,rw"), "invalid mode: ro,rw"),
        (("-v", "{dir}:/m:z,Z"), "invalid mode: z,Z"),
        (("-v", "{dir}:/m:rro"), "invalid mode: rro"),
        (("--mount", "type=volume,dst=/m,volume-subpath=x"), "must not set Subpath when using anonymous volumes"),
        (
            ("--mount", "type=bind,src={dir},dst=/m,bind-recursive=writable"),
            "bind-recursive=writable.*requires.*readonly",
        ),
        (
            ("--mount", "type=bind,src={dir},dst=/m,readonly,bind-recursive=readonly"),
            "requires.*bind-propagation=rprivate",
        ),
        (
            ("--mount", "type=bind,src={dir},dst=/m,bind-recursive=maybe"),
            "invalid value for bind-recursive: maybe",
        ),
        (
            ("--mount", "type=image,src=x,dst=/m,volume-subpath=x"),
            "cannot mix 'volume-\\*' options with mount type 'image'",
        ),
    ],
)
def test_modes_that_are_none(client: Client, tmp_path: Path, mount: tuple[str, str], match: str) -> None:
    result = client("create", mount[0], mount[1].format(dir=tmp_path), BUSYBOX)
    assert result.code in (1, 125), result
    assert re.search(match, result.err), result.err


def test_conflicting_options_of_binds(api: Api, tmp_path: Path) -> None:
    for name in ("ReadOnlyNonRecursive", "ReadOnlyForceRecursive"):
        mount = {"Type": "bind", "Source": str(tmp_path), "Target": "/m", "BindOptions": {name: True}}
        answer = api.post("/containers/create", {"Image": BUSYBOX, "HostConfig": {"Mounts": [mount]}})
        assert answer.status == 400
        assert answer.json["message"].endswith(f"mount options conflict: !ReadOnly && BindOptions.{name}")


def test_recursion(client: Client, tmp_path: Path) -> None:
    """What is mounted below a bound directory: read-only as well, writable, or not there."""
    os.mkdir(tmp_path / "sub")
    subprocess.run(["mount", "-t", "tmpfs", "proa-test", tmp_path / "sub"], check=True)
    try:
        (tmp_path / "sub/below").touch()
        look = (
            "ls /m/sub; touch /m/sub/x 2>/dev/null && echo writable || echo not; touch /m/y 2>/dev/null || echo ro"
        )
        for option, expected in (
            ("readonly", "below not ro"),
            ("readonly,bind-recursive=enabled", "below not ro"),
            ("readonly,bind-recursive=writable", "below writable ro"),
            ("readonly,bind-propagation=rprivate,bind-recursive=readonly", "below x not ro"),
            ("readonly,bind-recursive=disabled", "not ro"),
        ):
            mount = f"type=bind,src={tmp_path},dst=/m,{option}"
            out = client.ok("run", "--rm", "--mount", mount, BUSYBOX, "sh", "-c", look)
            assert out.split() == expected.split(), option
    finally:
        subprocess.run(["umount", tmp_path / "sub"], check=True)
