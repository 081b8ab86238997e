"""What a container changes, seen by `changes` and carried by `write_layer`: a real overlay mount decides.

The layer written is applied again by our own reader, by GNU tar and by umoci; each result must be the tree
that the container saw.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proa.archive.apply import apply_layer
from proa.archive.diff import changes
from proa.archive.layer import write_layer
from proa.errors import Unsupported
from proa.linux.mount import mount, umount2
from rig.listing import describe

pytestmark = pytest.mark.root

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
OVERLAY_OWN = ("trusted.overlay.",)


@contextmanager
def overlay(lowers: list[Path], upper: Path, target: Path) -> Iterator[Path]:
    """Mount `lowers` (topmost first) and `upper`; the work directory stands beside."""
    work = upper.with_name(upper.name + ".work")
    for directory in (upper, work, target):
        directory.mkdir(exist_ok=True)
    stack = ":".join(map(str, lowers))
    mount("overlay", str(target), "overlay", 0, f"lowerdir={stack},upperdir={upper},workdir={work}")
    try:
        yield target
    finally:
        umount2(str(target), 0)


class Container:
    """Two layers and a writable one on top, mounted at `root` while it "runs"."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.base, self.second, self.upper = (place / name for name in ("base", "second", "upper"))
        self.lowers = [self.second, self.base]
        self._make_base()
        self.second.mkdir()

    def _make_base(self) -> None:
        (self.base / "etc/app").mkdir(parents=True)
        for name in ("etc/hostname", "etc/passwd", "etc/app/a", "etc/app/b", "readme"):
            (self.base / name).write_text(name)
        (self.base / "link").symlink_to("etc/passwd")
        (self.base / "bin").mkdir(mode=0o711)
        (self.base / "bin/tool").write_text("tool")
        os.link(self.base / "bin/tool", self.base / "bin/alias")

    @contextmanager
    def running(self) -> Iterator[Path]:
        with overlay(self.lowers, self.upper, self.place / "merged") as root:
            yield root

    def layer(self) -> bytes:
        pieces: list[bytes] = []
        write_layer([self.upper], self.lowers, pieces.append)
        return b"".join(pieces)

    def changes(self) -> dict[str, str]:
        return {path: "CAD"[kind] for path, kind in changes([self.upper], self.lowers)}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def add_file(root: Path) -> None:
    (root / "etc/new").write_text("new")


def modify_file(root: Path) -> None:
    with (root / "etc/app/a").open("a") as file:
        file.write("more")


def change_mode(root: Path) -> None:
    (root / "etc/passwd").chmod(0o600)
    (root / "bin").chmod(0o2750)


def change_owner(root: Path) -> None:
    os.chown(root / "etc/passwd", 1000, 70000)
    os.lchown(root / "link", 5, 6)
    os.chown(root / "bin", 3_000_000, 4)


def change_attributes(root: Path) -> None:
    os.setxattr(root / "bin/tool", "security.capability", CAPABILITY)
    os.setxattr(root / "etc", "user.note", b"binary\0\n=value")
    os.setxattr(root / "etc/passwd", "user.empty", b"")


def change_time(root: Path) -> None:
    os.utime(root / "etc/passwd", ns=(0, 1_234_567_890_123_456_789))
    os.utime(root / "readme", ns=(0, -1_500_000_000))


def delete_file(root: Path) -> None:
    (root / "etc/app/a").unlink()


def delete_directory(root: Path) -> None:
    shutil.rmtree(root / "etc/app")
    (root / "link").unlink()


def replace_directory(root: Path) -> None:
    shutil.rmtree(root / "etc/app")
    (root / "etc/app").mkdir(mode=0o700)
    (root / "etc/app/b").write_text("other")
    (root / "etc/app/c").mkdir()


def directory_by_file(root: Path) -> None:
    shutil.rmtree(root / "etc/app")
    (root / "etc/app").write_text("a file")


def file_by_directory(root: Path) -> None:
    (root / "readme").unlink()
    (root / "readme/deep").mkdir(parents=True)
    (root / "readme/deep/file").write_text("x")


def file_by_link(root: Path) -> None:
    (root / "readme").unlink()
    (root / "readme").symlink_to("/etc/" + "long/" * 60 + "target")


def link_by_file(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").write_text("no link")


def hard_links(root: Path) -> None:
    os.link(root / "readme", root / "etc/readme")
    (root / "x1").write_text("x")
    os.link(root / "x1", root / "x2")
    (root / "s1").symlink_to("x1")
    os.link(root / "s1", root / "s2", follow_symlinks=False)


def special_files(root: Path) -> None:
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 70000))
    os.chmod(root / "null", 0o4666)


def long_names(root: Path) -> None:
    deep = root / ("d" * 99) / ("e" * 255) / "fff"
    deep.mkdir(parents=True)
    (deep / "täst\nname").write_text("x")
    (deep / os.fsdecode(b"\xff")).write_text("y")
    (root / ("n" * 100)).write_text("hundred")
    (root / ("n" * 101)).symlink_to("t" * 101)


def big_files(root: Path) -> None:
    (root / "big").write_bytes(os.urandom(1 << 20) * 3 + b"tail")
    (root / "empty").touch()
    with (root / "holes").open("wb") as file:
        file.truncate(1 << 20)


def make_and_remove(root: Path) -> None:
    (root / "etc/gone").write_text("x")
    (root / "etc/gone").unlink()


def nothing(root: Path) -> None:
    assert root.exists()


Action = Callable[[Path], None]
ETC = {"/etc": "C"}

# What happens in the container, and what `docker diff` says then.
ACTIONS: list[tuple[Action, dict[str, str]]] = [
    (nothing, {}),
    (add_file, {**ETC, "/etc/new": "A"}),
    (modify_file, {**ETC, "/etc/app": "C", "/etc/app/a": "C"}),
    (change_mode, {**ETC, "/etc/passwd": "C", "/bin": "C"}),
    (change_owner, {**ETC, "/etc/passwd": "C", "/link": "C", "/bin": "C"}),
    (change_attributes, {**ETC, "/etc/passwd": "C", "/bin": "C", "/bin/tool": "C"}),
    (change_time, {**ETC, "/etc/passwd": "C", "/readme": "C"}),
    (delete_file, {**ETC, "/etc/app": "C", "/etc/app/a": "D"}),
    (delete_directory, {**ETC, "/etc/app": "D", "/link": "D"}),
    (
        replace_directory,
        {**ETC, "/etc/app": "C", "/etc/app/a": "D", "/etc/app/b": "C", "/etc/app/c": "A"},
    ),
    (directory_by_file, {**ETC, "/etc/app": "C"}),
    (file_by_directory, {"/readme": "C", "/readme/deep": "A", "/readme/deep/file": "A"}),
    (file_by_link, {"/readme": "C"}),
    (link_by_file, {"/link": "C"}),
    (hard_links, {**ETC, "/etc/readme": "A", "/x1": "A", "/x2": "A", "/s1": "A", "/s2": "A"}),
    (special_files, {"/fifo": "A", "/null": "A", "/disk": "A"}),
    (big_files, {"/big": "A", "/empty": "A", "/holes": "A"}),
    (make_and_remove, {}),
]
NAMES = [action.__name__ for action, _ in ACTIONS]


@pytest.mark.parametrize(("action", "expected"), ACTIONS, ids=NAMES)
def test_changes(container: Container, action: Action, expected: dict[str, str]) -> None:
    with container.running() as root:
        action(root)
        while_running = container.changes()
    assert container.changes() == while_running == expected


def apply_again(container: Container, layer: bytes) -> dict[str, str]:
    again = container.place / "again"
    again.mkdir()
    apply_layer([layer], again)
    upper, target = container.place / "u2", container.place / "m2"
    with overlay([again, *container.lowers], upper, target) as root:
        return describe(root, skip=OVERLAY_OWN)


@pytest.mark.parametrize("action", [*(action for action, _ in ACTIONS), long_names], ids=[*NAMES, "long_names"])
def test_layer_reproduces_the_tree(container: Container, action: Action) -> None:
    with container.running() as root:
        action(root)
        seen = describe(root, skip=OVERLAY_OWN)
    layer = container.layer()
    assert apply_again(container, layer) == seen
    assert container.layer() == layer, "equal input, equal bytes"


def everything(root: Path) -> None:
    for action in (change_attributes, replace_directory, file_by_directory, link_by_file, hard_links, big_files):
        if action is not hard_links:
            action(root)
    special_files(root)
    long_names(root)
    (root / "x1").write_text("x")
    os.link(root / "x1", root / "bin/x2")


def oci_layout(place: Path, layers: list[bytes]) -> Path:
    """An image of uncompressed layers, for umoci."""
    image = place / "image"
    (image / "blobs/sha256").mkdir(parents=True)

    def blob(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (image / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    prefix = "application/vnd.oci.image."
    descriptors = [blob(layer, prefix + "layer.v1.tar") for layer in layers]
    rootfs = {"type": "layers", "diff_ids": [descriptor["digest"] for descriptor in descriptors]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "config": blob(json.dumps(config).encode(), prefix + "config.v1+json"),
        "layers": descriptors,
    }
    named = {
        **blob(json.dumps(manifest).encode(), prefix + "manifest.v1+json"),
        "annotations": {"org.opencontainers.image.ref.name": "latest"},
    }
    (image / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (image / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return image


@pytest.mark.skipif(shutil.which("umoci") is None, reason="needs umoci")
def test_umoci_reproduces_the_tree(container: Container) -> None:
    with container.running() as root:
        everything(root)
        os.removexattr(root / "etc/passwd", "user.empty")  # Go's reader takes an empty record for none
        seen = describe(root, skip=OVERLAY_OWN)
    pieces: list[bytes] = []
    write_layer([container.base], [], pieces.append)
    image = oci_layout(container.place, [b"".join(pieces), container.layer()])
    bundle = container.place / "bundle"
    subprocess.run(["umoci", "unpack", "--image", f"{image}:latest", bundle], check=True, capture_output=True)
    assert describe(bundle / "rootfs") == seen


def test_gnu_tar_reproduces_what_is_new(container: Container) -> None:
    with container.running() as root:
        everything(root)
    target = container.place / "gnu"
    target.mkdir()
    command = ["tar", "-x", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*", "-p", "-C", str(target)]
    subprocess.run(command, input=container.layer(), check=True)
    ours = container.place / "ours"
    ours.mkdir()
    apply_layer([container.layer()], ours)
    expected = {
        name: line for name, line in describe(ours, skip=OVERLAY_OWN).items() if "c--------- 0:0" not in line
    }
    assert describe(target) == expected


def test_sockets_are_left_out(container: Container) -> None:
    with container.running() as root, ExitStack() as undo:
        bound = undo.enter_context(socket.socket(socket.AF_UNIX))
        bound.bind(str(root / "socket"))
    assert b"socket" not in container.layer()
    assert container.changes() == {"/socket": "A"}


def test_a_link_put_in_a_directorys_place_is_not_followed(container: Container) -> None:
    """A running container may swap what we have just listed (CVE-2018-15664 is of this kind)."""
    with container.running() as root:
        (root / "trap").mkdir()
        (root / "trap/file").write_text("inside")
    secret = container.place / "host"
    secret.mkdir()
    (secret / "file").write_text("of the host")
    shutil.rmtree(container.upper / "trap")
    (container.upper / "trap").symlink_to(secret)
    assert b"of the host" not in container.layer()
    assert container.changes() == {"/trap": "A"}


@pytest.mark.parametrize("attribute", ["redirect", "metacopy"])
def test_content_that_is_elsewhere(container: Container, attribute: str) -> None:
    with container.running() as root:
        (root / "etc/app/new").write_text("x")
    os.setxattr(container.upper / "etc/app", f"trusted.overlay.{attribute}", b"/x")
    with pytest.raises(Unsupported, match=attribute):
        container.layer()


def test_three_layers(container: Container) -> None:
    """Deletions and new directories of a layer between count, as overlayfs counts them."""
    with overlay([container.base], container.second, container.place / "merged") as root:
        replace_directory(root)
        (root / "readme").unlink()
    with container.running() as root:
        assert not (root / "readme").exists()
        (root / "readme").write_text("again")
        (root / "etc/app/a").write_text("again")
        (root / "etc/app/b").unlink()
        seen = describe(root, skip=OVERLAY_OWN)
    assert container.changes() == {**ETC, "/readme": "A", "/etc/app": "C", "/etc/app/a": "A", "/etc/app/b": "D"}
    assert apply_again(container, container.layer()) == seen
