"""Volumes, binds, tmpfs, devices."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client

BUSYBOX = "busybox"


def test_bind(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host\n")
    out = client.ok(
        "run", "--rm", "-v", f"{tmp_path}:/in", BUSYBOX, "sh", "-c", "cat /in/file; echo back >/in/new"
    )
    assert out == "from the host\n"
    assert (tmp_path / "new").read_text() == "back\n"


def test_a_driver_of_volumes_is_for_those_of_v(client: Client) -> None:
    """Docker warns where it has no effect."""
    unnamed, named = "type=volume,target=/v", "type=volume,target=/v,volume-driver=local"
    for mounts, warned in ((("--mount", unnamed), True), (("--mount", named), False), (("-v", "/v"), False)):
        result = client("create", "--volume-driver", "local", *mounts, BUSYBOX, "true")
        assert result.code == 0 and ("volume-driver configuration is ignored" in result.err) is warned, str(result)


def test_bind_read_only(client: Client, tmp_path: Path) -> None:
    for option in (("-v", f"{tmp_path}:/in:ro"), ("--mount", f"type=bind,src={tmp_path},dst=/in,readonly")):
        result = client("run", "--rm", *option, BUSYBOX, "touch", "/in/new")
        assert result.code == 1 and "Read-only file system" in result.err
    assert not list(tmp_path.iterdir())


def test_bind_of_one_file(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one\n")
    out = client.ok("run", "--rm", "-v", f"{path}:/etc/settings/file", BUSYBOX, "cat", "/etc/settings/file")
    assert out == "one\n"


def test_a_volume_at_etc_has_the_engines_files(client: Client) -> None:
    for option in ("-v", "at-etc:/etc:nocopy"), ("--tmpfs", "/etc"):
        out = client.ok("run", "--rm", "-h", "box", *option, BUSYBOX, "sh", "-c", "ls /etc; cat /etc/hostname")
        assert out.split() == ["hostname", "hosts", "resolv.conf", "box"], option


def test_missing_source(client: Client, tmp_path: Path) -> None:
    """`-v` makes the directory, `--mount` refuses."""
    missing = tmp_path / "made"
    client.ok("run", "--rm", "-v", f"{missing}:/in", BUSYBOX, "true")
    assert missing.is_dir()
    refused = tmp_path / "refused"
    client.fails(
        "run", "--rm", "--mount", f"type=bind,src={refused},dst=/in", BUSYBOX, "true", code=125,
        match="bind source path does not exist",
    )  # fmt: skip
    assert not refused.exists()


def test_named_volume_keeps_its_data(client: Client, api: Api) -> None:
    client.ok("run", "--rm", "-v", "keep:/data", BUSYBOX, "sh", "-c", "echo kept >/data/file")
    assert client.ok("run", "--rm", "-v", "keep:/data:ro", BUSYBOX, "cat", "/data/file") == "kept\n"
    volume = api.get("/volumes/keep").json
    assert (volume["Name"], volume["Driver"], volume["Scope"]) == ("keep", "local", "local")
    assert (Path(volume["Mountpoint"]) / "file").read_text() == "kept\n"


def test_copy_up(client: Client) -> None:
    """A fresh volume receives what the image has there, with owners, modes and links."""
    script = "stat -c '%u:%g %a' /data /data/seed; cat /data/seed; readlink /data/link"
    expected = "1234:50 750\n1234:50 640\nfrom the image\nseed\n"
    options = ["--rm", "--entrypoint", "sh"]
    for volume in (("-v", "filled:/data"), ("--mount", "type=volume,dst=/data"), ()):
        assert client.ok("run", *options, *volume, "settings", "-c", script) == expected
    empty = ["--mount", "type=volume,src=untouched,dst=/data,volume-nocopy"]
    assert client.ok("run", *options, *empty, "-u", "0", "settings", "-c", "ls -A /data") == ""


def test_copy_up_happens_once(client: Client) -> None:
    run = ["run", "--rm", "-u", "0", "--entrypoint", "sh", "-v", "filled:/data", "settings", "-c"]
    client.ok(*run, "rm /data/seed; echo changed >/data/mine")
    assert sorted(client.ok(*run, "ls /data").split()) == ["link", "mine"]


def test_anonymous_volume_goes_with_its_container(client: Client, api: Api) -> None:
    name = client.ok("create", "-v", "/data", BUSYBOX).strip()
    assert len(volumes(api)) == 1
    client.ok("rm", name)
    assert len(volumes(api)) == 1, "without -v it stays"
    other = client.ok("create", "-v", "/data", "-v", "named:/named", BUSYBOX).strip()
    client.ok("rm", "-v", other)
    assert sorted(map(len, volumes(api))) == [len("named"), 64]
    client.ok("run", "--rm", "-v", "/data", BUSYBOX, "true")
    assert sorted(map(len, volumes(api))) == [len("named"), 64]


def test_the_images_volumes_are_anonymous(client: Client, api: Api) -> None:
    name = client.ok("create", "settings").strip()
    mounts = json.loads(client.inspect(name, "{{json .Mounts}}"))
    assert [(mount["Type"], mount["Destination"], len(mount["Name"])) for mount in mounts] == [
        ("volume", "/data", 64)
    ]


def test_volumes_from(client: Client) -> None:
    client.ok("create", "--name", "source", "-v", "shared:/shared", BUSYBOX)
    client.ok("run", "--rm", "--volumes-from", "source", BUSYBOX, "sh", "-c", "echo x >/shared/file")
    assert client.ok("run", "--rm", "--volumes-from", "source:ro", BUSYBOX, "cat", "/shared/file") == "x\n"


def test_volume_in_use(client: Client) -> None:
    client.ok("create", "--name", "user", "-v", "used:/data", BUSYBOX)
    client.fails("volume", "rm", "used", code=1, match="volume is in use")
    client.ok("rm", "user")
    assert client.ok("volume", "rm", "used") == "used\n"


def test_tmpfs(client: Client) -> None:
    script = "grep ' /t ' /proc/mounts; stat -c %a /t; echo x >/t/file && cat /t/file"
    out = client.ok("run", "--rm", "--tmpfs", "/t:size=64k,mode=1770", BUSYBOX, "sh", "-c", script).splitlines()
    assert out[0].startswith("tmpfs /t tmpfs rw,nosuid,nodev,noexec") and "size=64k" in out[0]
    assert out[1:] == ["1770", "x"]
    mounted = ["--mount", "type=tmpfs,dst=/t,tmpfs-size=65536,tmpfs-mode=0700"]
    assert "size=64k" in client.ok("run", "--rm", *mounted, BUSYBOX, "grep", " /t ", "/proc/mounts")


def test_mounts_over_links_stay_inside(client: Client, tmp_path: Path) -> None:
    """The image's links lead within its own root, also when they point at the host's directories."""
    outside = tmp_path / "outside"
    outside.mkdir()
    client.ok(
        "run", "--name", "linker", BUSYBOX, "sh", "-c", f"ln -s {outside} /link; ln -s ../../../../../.. /up"
    )
    client.ok("commit", "linker", "linked:1")
    try:
        volumes = ["-v", "over:/link", "-v", "above:/up/x"]
        client("run", "--rm", *volumes, "linked:1", "sh", "-c", "echo y >/link/f; echo z >/x/f")
        assert not list(outside.iterdir())
        assert not Path("/x").exists()
    finally:
        client.ok("rm", "-f", "linker")
        client.ok("rmi", "linked:1")


def test_propagation_and_the_hosts_view(client: Client, tmp_path: Path) -> None:
    """No mount of a container appears in the host's table, a bind's later mounts only where asked for."""
    before = Path("/proc/self/mountinfo").read_text()
    client.detached("--name", "quiet", "-v", f"{tmp_path}:/in", "--tmpfs", "/t", BUSYBOX, "sleep", "100")
    assert Path("/proc/self/mountinfo").read_text() == before
    client.ok("exec", "quiet", "true")
    mounted = tmp_path / "sub"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "later", mounted], check=True)
    try:
        seen = client.ok("exec", "quiet", "cat", "/proc/mounts")
        assert "later" not in seen
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_device(client: Client) -> None:
    path = next(path for path in ("/dev/loop-control", "/dev/fuse", "/dev/net/tun") if os.path.exists(path))
    script = "(: </dev/mine) && echo read; (: >>/dev/mine) && echo written"
    run = ["run", "--rm", "--device"]
    assert client.ok(*run, f"{path}:/dev/mine", BUSYBOX, "sh", "-c", script) == "read\nwritten\n"
    result = client(*run, f"{path}:/dev/mine:r", BUSYBOX, "sh", "-c", script)
    assert result.out == "read\n" and "Operation not permitted" in result.err
    client.fails("run", "--rm", "--device", "/dev/nosuch", BUSYBOX, "true", code=127, match="/dev/nosuch")


@pytest.mark.cgroup2
def test_devices_of_the_host_are_out_of_reach(client: Client) -> None:
    script = "mknod /d b 254 0 && dd if=/d of=/dev/null bs=512 count=1; mknod /m c 1 1 && cat /m"
    result = client("run", "--rm", BUSYBOX, "sh", "-c", script)
    assert result.code != 0
    assert result.err.count("Operation not permitted") == 2, result


def test_what_is_in_dev(client: Client) -> None:
    seen = client.ok("run", "--rm", BUSYBOX, "ls", "/dev").split()
    assert [name for name in seen if name != "core"] == [  # there where the kernel has /proc/kcore
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
        "tty", "urandom", "zero",
    ]  # fmt: skip


def test_shm_size(client: Client) -> None:
    def size(*options: str) -> int:
        return int(client.ok("run", "--rm", *options, BUSYBOX, "df", "-k", "/dev/shm").split()[8])

    assert (size(), size("--shm-size", "8m")) == (64 << 10, 8 << 10)


def volumes(api: Api) -> list[str]:
    return [volume["Name"] for volume in api.get("/volumes").json["Volumes"] or ()]


def test_privileged_sees_devices(client: Client) -> None:
    host = {name for name in os.listdir("/dev") if name in ("kmsg", "loop-control", "fuse", "mem")}
    seen = set(client.ok("run", "--rm", "--privileged", BUSYBOX, "ls", "/dev").split())
    assert host <= seen


@pytest.fixture
def shared_mount(tmp_path: Path) -> Iterator[Path]:
    """A mount on the host that is shared with its peers."""
    place = tmp_path / "shared"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "proa-test", place], check=True)
    try:
        subprocess.run(["mount", "--make-shared", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", "-R", place], check=True)


def test_shared_propagation(client: Client, shared_mount: Path) -> None:
    """What is mounted below on either side appears on the other."""
    box = client.detached("--privileged", "-v", f"{shared_mount}:/m:rshared", BUSYBOX, "sleep", "1000")
    (shared_mount / "outer").mkdir()
    (shared_mount / "inner").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "proa-test", shared_mount / "outer"], check=True)
    (shared_mount / "outer/file").touch()
    assert client.ok("exec", box, "ls", "/m/outer") == "file\n"
    client.ok("exec", box, "mount", "-t", "tmpfs", "none", "/m/inner")
    assert os.path.ismount(shared_mount / "inner")


def test_slave_propagation(client: Client, shared_mount: Path) -> None:
    """What is mounted on the host appears inside, and nothing the other way."""
    box = client.detached("--privileged", "-v", f"{shared_mount}:/m:rslave", BUSYBOX, "sleep", "1000")
    for name in ("outer", "inner"):
        (shared_mount / name).mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "proa-test", shared_mount / "outer"], check=True)
    (shared_mount / "outer/file").touch()
    assert client.ok("exec", box, "ls", "/m/outer") == "file\n"
    client.ok("exec", box, "mount", "-t", "tmpfs", "none", "/m/inner")
    assert not os.path.ismount(shared_mount / "inner")


def test_propagation_needs_a_mount_that_propagates(client: Client, shared_mount: Path) -> None:
    subprocess.run(["mount", "--make-private", shared_mount], check=True)
    for mode, words in (("shared", "a shared mount"), ("rslave", "a shared or slave mount")):
        match = f"path {shared_mount} is mounted on {shared_mount} but it is not {words}"
        client.fails("run", "--rm", "-v", f"{shared_mount}:/m:{mode}", BUSYBOX, "true", code=125, match=match)
