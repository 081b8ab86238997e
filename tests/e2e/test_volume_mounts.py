"""Volumes of the driver `local` that are mounted while they are in use: tmpfs, block devices, file servers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.needs import need

BUSYBOX = "busybox"
TMPFS = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o")


def mounted(engine: Engine, name: str) -> str:
    """Type and options of what is mounted for a volume, "" for nothing."""
    place = f"{engine.data_root}/volumes/{name}/_data"
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [words for words in lines if words[4] == place]
    assert len(found) < 2, found
    return " ".join(found[0][found[0].index("-") + 1 :]) if found else ""


def test_tmpfs_is_shared_and_goes_with_its_last_user(engine: Engine, client: Client) -> None:
    client.ok("volume", "create", *TMPFS, "o=size=1m,uid=1000,mode=1700", "memory")
    assert not mounted(engine, "memory")
    client.detached("--name", "first", "-v", "memory:/m", BUSYBOX, "sleep", "1000")
    assert mounted(engine, "memory").startswith("tmpfs tmpfs rw,size=1024k,mode=1700,uid=1000")
    assert client.ok("exec", "first", "stat", "-c", "%u %a", "/m") == "1000 1700\n"
    client.ok("exec", "first", "sh", "-c", "echo shared >/m/file")
    assert client.ok("run", "--rm", "-v", "memory:/m", BUSYBOX, "cat", "/m/file") == "shared\n"
    full = client("exec", "first", "dd", "if=/dev/zero", "of=/m/full", "bs=64k", "count=32")
    assert full.code == 1 and "No space left on device" in full.err
    assert (engine.data_root / "volumes/memory/_data/file").read_text() == "shared\n", "the host sees it, too"
    client.ok("volume", "create", *TMPFS, "o=size=1m,uid=1000,mode=1700", "memory")  # it is there
    client.fails("volume", "rm", "memory", code=1, match="volume is in use")
    client.ok("stop", "-t", "0", "first")
    eventually(lambda: not mounted(engine, "memory"))
    client.ok("start", "first")
    assert mounted(engine, "memory") and client.ok("exec", "first", "ls", "/m") == ""
    client.ok("rm", "-f", "first")
    eventually(lambda: not mounted(engine, "memory"))
    assert client.ok("volume", "rm", "memory") == "memory\n"


def test_restart_and_files_of_stopped_containers(engine: Engine, client: Client, tmp_path: Path) -> None:
    client.ok("volume", "create", *TMPFS, "o=size=1m", "memory")
    client.detached("--name", "box", "-v", "memory:/m", BUSYBOX, "sleep", "1000")
    client.ok("restart", "-t", "0", "box")
    assert mounted(engine, "memory")
    assert " /m tmpfs " in client.ok("exec", "box", "cat", "/proc/mounts")
    client.ok("stop", "-t", "0", "box")
    (tmp_path / "file").write_text("x")
    client.ok("cp", str(tmp_path / "file"), "box:/m/file")  # into memory that goes at once
    assert not mounted(engine, "memory")
    assert not os.listdir(engine.data_root / "volumes/memory/_data")


def test_directories_with_options(engine: Engine, client: Client, tmp_path: Path) -> None:
    """What is more than a plain bind is mounted, as the options say; the directory is nobody's to remove."""
    (tmp_path / "file").write_text("kept\n")
    options = ["-o", "type=none", "-o", f"device={tmp_path}", "-o"]
    client.ok("volume", "create", *options, "o=bind,ro", "fixed")
    result = client("run", "--rm", "-v", "fixed:/m", BUSYBOX, "sh", "-c", "cat /m/file; touch /m/new")
    assert result.out == "kept\n" and "Read-only file system" in result.err
    eventually(lambda: not mounted(engine, "fixed"))
    client.ok("volume", "rm", "fixed")
    assert (tmp_path / "file").read_text() == "kept\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("type=tmpfs", "device=tmpfs", "o=size=lots"), "invalid argument (tmpfs: Bad value for 'size')"),
        (("type=tmpfs", "device=tmpfs", "o=nosuchthing"), "(tmpfs: Unknown parameter 'nosuchthing')"),
        (("type=nosuchfs", "device=/dev/null"), "type: nosuchfs: no such device"),
        (("type=ext4", "device=/does/not/exist"), "no such file or directory"),
        (("type=none", "device=/does/not/exist", "o=bind,ro"), "no such file or directory"),
        (("type=nfs", "device=:/export", "o=addr=no.such.invalid"), "failed to mount local volume"),
    ],
)
def test_what_the_kernel_refuses(engine: Engine, client: Client, options: tuple[str, ...], reason: str) -> None:
    """As with Docker, the volume can be made and the container can not; nothing of either stays."""
    words = [word for option in options for word in ("-o", option)]
    client.ok("volume", "create", *words, "bad")
    missing = 127 if "no such file" in reason else 125
    result = client("run", "--name", "never", "-v", "bad:/m", BUSYBOX, "true")
    assert result.code in (125, missing), result
    assert "error while mounting volume '" in result.err and reason in result.err, result.err
    assert not mounted(engine, "bad")
    client("rm", "never")
    client.ok("volume", "rm", "bad")


def test_passwords_are_not_shown(client: Client) -> None:
    options = ["-o", "type=cifs", "-o", "device=//127.0.0.1/share", "-o", "o=username=x,password=secret,vers=3.0"]
    client.ok("volume", "create", *options, "share")
    result = client("run", "--rm", "-v", "share:/m", BUSYBOX, "true")
    assert result.code == 125 and "password=********,vers=3.0" in result.err and "secret" not in result.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "tmpfs"}, 'missing required option: "type"'),
        ({"type": "tmpfs", "device": ""}, 'missing required option: "device"'),
        ({"o": "size=1m"}, 'missing required option: "device"'),
        ({"o": "size=1m", "device": "x"}, 'missing required option: "type"'),
        ({"Type": "tmpfs"}, 'invalid option: "Type"'),
        ({"type": "none", "device": "here", "o": "bind"}, "device 'here' is not an absolute path"),
        ({"type": "none", "device": "here", "o": "rbind,ro"}, "device 'here' is not an absolute path"),
        (
            {"type": "cifs", "device": "//host:445/x"},
            "port not allowed in CIFS device URL, include 'port' in 'o='",
        ),
        ({"size": "big"}, "invalid size: 'big'"),
        ({"size": "-1"}, "invalid size: '-1'"),
        ({"type": "tmpfs", "device": "x", "size": "1m"}, 'the option "size" limits volumes without a mount'),
    ],
)
def test_options_that_make_no_sense(api: Api, options: dict[str, str], reason: str) -> None:
    answer = api.post("/volumes/create", {"Name": "bad", "DriverOpts": options})
    assert answer.status == 400 and answer.json["message"].startswith(f"create bad: {reason}"), answer
    assert api.get("/volumes/bad").status == 404


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """A block device with an ext4 file system."""
    need(Path("/dev/loop-control").exists(), "loop devices")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
    out = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    yield out.stdout.strip()
    subprocess.run(["losetup", "--detach", out.stdout.strip()], check=True)
    # The kernel would let go of it later if somebody still had it mounted.
    backing = Path(f"/sys/block/{Path(out.stdout.strip()).name}/loop/backing_file")
    eventually(lambda: not backing.exists())


def test_block_device(engine: Engine, client: Client, device: str) -> None:
    """What is written stays on the device; a volume with `ro` shows it and takes nothing."""
    options = ["-o", "type=ext4", "-o", f"device={device}"]
    client.ok("volume", "create", *options, "disk")
    client.ok("run", "--rm", "-v", "disk:/d", BUSYBOX, "sh", "-c", "echo kept >/d/file")
    eventually(lambda: not mounted(engine, "disk"))
    client.ok("volume", "create", *options, "-o", "o=ro,noatime", "read-only")
    result = client("run", "--rm", "-v", "read-only:/d", BUSYBOX, "sh", "-c", "cat /d/file; touch /d/new")
    assert result.out == "kept\n" and "Read-only file system" in result.err
    eventually(lambda: not mounted(engine, "read-only"))


def test_copy_up_into_a_device(engine: Engine, client: Client, device: str) -> None:
    """As Docker: at creation, if there is nothing yet; a new ext4 has lost+found."""
    client.ok("volume", "create", "-o", "type=ext4", "-o", f"device={device}", "disk")
    client.ok("run", "--rm", "-v", "disk:/d", BUSYBOX, "rmdir", "/d/lost+found")
    client.ok("run", "--rm", "-v", "disk:/bin", BUSYBOX, "true")
    assert "busybox" in client.ok("run", "--rm", "-v", "disk:/d", BUSYBOX, "ls", "/d")
    eventually(lambda: not mounted(engine, "disk"))


def test_a_new_engine_finds_the_mounts_of_a_killed_one(fresh_engine: Engine) -> None:
    engine, client = fresh_engine, fresh_engine.docker
    client.ok("pull", "-q", BUSYBOX)
    for name in ("kept", "left"):
        client.ok("volume", "create", *TMPFS, "o=size=1m", name)
    client.detached("--name", "runs", "-v", "kept:/m", BUSYBOX, "sleep", "1000")
    client.detached("--name", "ends", "-v", "left:/m", BUSYBOX, "sleep", "1000")
    client.ok("exec", "runs", "touch", "/m/file")
    pid = int(client.ok("inspect", "-f", "{{.State.Pid}}", "ends"))
    engine.kill()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert mounted(engine, "kept") and mounted(engine, "left"), "nobody is there to unmount"
    engine.start()
    assert mounted(engine, "kept") and not mounted(engine, "left")
    assert client.ok("run", "--rm", "-v", "kept:/m", BUSYBOX, "ls", "/m") == "file\n"
    assert mounted(engine, "kept"), "the first one still has it"
    assert engine.end() == 0
    assert mounted(engine, "kept")
    engine.start()
    client.ok("rm", "-f", "runs")
    eventually(lambda: not mounted(engine, "kept"))


def test_after_a_crash_of_the_host(fresh_engine: Engine) -> None:
    """Mounts are gone then, or stand without users; a container with a restart policy has its own again."""
    engine, client = fresh_engine, fresh_engine.docker
    client.ok("pull", "-q", BUSYBOX)
    client.ok("volume", "create", *TMPFS, "o=size=1m", "memory")
    for name, policy in (("again", "always"), ("never", "no")):
        client.detached("--name", name, "--restart", policy, "-v", "memory:/m", BUSYBOX, "sleep", "1000")
    engine.crash()
    subprocess.run(["umount", engine.data_root / "volumes/memory/_data"], check=True)
    engine.start()
    eventually(lambda: mounted(engine, "memory"))
    eventually(lambda: client("exec", "again", "touch", "/m/file").code == 0)
    assert (engine.data_root / "volumes/memory/_data/file").exists()
    client.ok("rm", "-f", "again", "never")
    eventually(lambda: not mounted(engine, "memory"))
    assert client.ok("volume", "rm", "memory") == "memory\n"


def test_a_kill_between_mount_and_start(fresh_engine: Engine) -> None:
    """Killed at any moment of starts, the engine's successor leaves no mount without a container."""
    engine, client = fresh_engine, fresh_engine.docker
    client.ok("pull", "-q", BUSYBOX)
    client.ok("volume", "create", *TMPFS, "o=size=1m", "memory")
    client.ok("create", "--name", "box", "-v", "memory:/m", BUSYBOX, "sleep", "1000")
    for delay in (0.0, 0.002, 0.004, 0.006, 0.01, 0.02):
        starter = subprocess.Popen(
            ["curl", "-s", "-o", "/dev/null", "-X", "POST", "--unix-socket", engine.socket,
             "http://proa/containers/box/start"]
        )  # fmt: skip
        try:
            starter.wait(0.02 + delay)
        except subprocess.TimeoutExpired:
            pass
        engine.kill()
        starter.wait()
        engine.start()
        running = client.ok("inspect", "-f", "{{.State.Running}}", "box").strip() == "true"
        assert bool(mounted(engine, "memory")) == running
        client("kill", "box")
        eventually(lambda: not mounted(engine, "memory"))
