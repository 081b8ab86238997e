"""`image verify`: damage on the disk is found, said, and repaired where that is asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.engine import Engine

BUSYBOX = "busybox"


@pytest.fixture
def engine(fresh_engine: Engine) -> Engine:
    fresh_engine.docker.ok("pull", "-q", BUSYBOX)
    return fresh_engine


class Disk:
    """Where the parts of an image are."""

    def __init__(self, engine: Engine, name: str = BUSYBOX) -> None:
        self.blobs = engine.data_root / "blobs/sha256"
        found: Any = engine.api.get(f"/images/{name}/json").json
        self.config = found["Id"].removeprefix("sha256:")
        digests = [text.partition("@sha256:")[2] for text in found["RepoDigests"]]
        self.manifest = digests[0] if digests else ""
        self.layer = Path(found["GraphDriver"]["Data"]["UpperDir"])

    @property
    def blob(self) -> Path:
        """The blob of the layer: the largest."""
        return max(self.blobs.iterdir(), key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    times = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def first_file(directory: Path) -> Path:
    return max((path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()),
               key=lambda path: path.stat().st_size)  # fmt: skip


def shorten(path: Path) -> None:
    os.truncate(path, 10)


# What is done to the disk; what is said of it; whether --repair helps.
DAMAGE: dict[str, tuple[Callable[[Disk], object], str, bool]] = {
    "configuration": (lambda disk: flip(disk.blobs / disk.config), "configuration sha256:", False),
    "manifest": (lambda disk: (disk.blobs / disk.manifest).unlink(), "is missing", False),
    "blob": (lambda disk: flip(disk.blob), "is damaged: its bytes have another digest", True),
    "blob-gone": (lambda disk: disk.blob.unlink(), "is missing", True),
    "contents": (lambda disk: flip(first_file(disk.layer)), "has other contents", True),
    "shorter": (lambda disk: shorten(first_file(disk.layer)), "has 10 bytes instead of", True),
    "mode": (lambda disk: (disk.layer / "etc/passwd").chmod(0o600), "/etc/passwd has another mode", True),
    "owner": (lambda disk: os.chown(disk.layer / "etc", 5, 0), "/etc has another owner", True),
    "time": (lambda disk: os.utime(disk.layer / "etc/passwd", (1, 1)), "/etc/passwd has another time", True),
    "missing": (lambda disk: (disk.layer / "etc/passwd").unlink(), "/etc/passwd is missing", True),
    "added": (lambda disk: (disk.layer / "etc/extra").touch(), "/etc/extra should not be there", True),
    "attribute": (
        lambda disk: os.setxattr(disk.layer / "etc/passwd", "user.x", b"1"),
        "/etc/passwd has other attributes",
        True,
    ),
    "opaque": (
        lambda disk: os.setxattr(disk.layer / "etc", "trusted.overlay.opaque", b"y"),
        "/etc hides what is below it",
        True,
    ),
    "layer-gone": (lambda disk: shutil.rmtree(disk.layer), "is missing", True),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage(engine: Engine, kind: str) -> None:
    proa = engine.proa
    assert proa.ok("image", "verify", BUSYBOX) == "busybox:latest: ok, 5 blobs and layers\n"
    damage, said, repairable = DAMAGE[kind]
    damage(Disk(engine))
    found = proa("image", "verify", "--all")
    assert found.code == 1 and said in found.out and found.lines[0].startswith("busybox:latest: damaged, 5 ")
    again = proa("image", "verify", "--repair", BUSYBOX)
    assert again.code == int(not repairable), again
    if repairable:
        assert again.lines[0].startswith("busybox:latest: repaired") and "(repaired)" in again.out
        assert proa.ok("image", "verify", "--all") == "busybox:latest: ok, 5 blobs and layers\n"
        proa.ok("run", "--rm", BUSYBOX, "cat", "/etc/passwd")


def test_layers_made_here(engine: Engine) -> None:
    """Deletions, directories made anew and ones that the layer only uses are what they should be."""
    proa = engine.proa
    script = "rm /etc/shadow; rm -r /var/www; mkdir /var/www; echo x >/home/x; ln /home/x /tmp/y; mkfifo /p"
    proa.ok("run", "--name", "made", BUSYBOX, "sh", "-c", script)
    proa.ok("commit", "made", "made:1")
    result = json.loads(proa.ok("image", "verify", "--format", "json", "made:1"))
    assert result["Problems"] == [] and result["RepoTags"] == ["made:1"] and result["Checked"] == 6
    Disk(engine, "made:1").layer.joinpath("home/x").write_text("y")
    result = json.loads(proa("image", "verify", "--format", "json", "made:1").out)
    shorter = [f"{path} has 1 bytes instead of 2" for path in ("/home/x", "/tmp/y")]
    assert sorted(problem["text"] for problem in result["Problems"]) == shorter
    disk = Disk(engine, "made:1")
    blobs = {path for path in disk.blobs.iterdir() if path.read_bytes()[:2] == b"\x1f\x8b"} - {disk.blob}
    flip(blobs.pop())
    found = proa("image", "verify", "--repair", "made:1")
    assert found.code == 1 and "not repaired: the image comes from no registry" in found.out


def test_a_layer_in_use_is_not_replaced(engine: Engine) -> None:
    proa = engine.proa
    proa.ok("run", "-d", "--name", "user", BUSYBOX, "sleep", "1000")
    (Disk(engine).layer / "etc/passwd").chmod(0o600)
    found = proa("image", "verify", "--repair", BUSYBOX)
    assert found.code == 1 and "not repaired: container user runs on it, stop that first" in found.out
    proa.ok("kill", "user")
    proa.ok("image", "verify", "--repair", BUSYBOX)
    proa.ok("start", "user")


BAD = [
    ((), "name the images to verify, or say --all"),
    (("--all", BUSYBOX), "name the images to verify, or say --all"),
    (("nope",), "No such image: nope:latest"),
    ((BUSYBOX, "nope"), "No such image: nope:latest"),
    (("--format", "{{.Id}}", BUSYBOX), "invalid format: {{.Id}}: it is 'text' or 'json'"),
]


def test_bad_input(engine: Engine) -> None:
    for words, said in BAD:
        result = engine.proa("image", "verify", *words)
        assert result.code == 1 and said in result.err and not result.out, result
    answer = engine.api.post("/proa/images/verify")
    assert answer.status == 400 and answer.message.startswith("no image is named")
