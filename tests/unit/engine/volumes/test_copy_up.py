"""Copy-up: every kind of file, and trees that were made to break a copier."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from proa.archive.tree import remove_tree
from proa.engine.volumes.copy_up import copy_up

pytestmark = pytest.mark.root

SECOND = 1_000_000_000


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    return source, target


def picture(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that can be seen of a tree, without access times (reading changes them)."""
    seen: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        name = str(path.relative_to(root))
        linked = first.setdefault(status.st_ino, name)
        contents: object = None
        if stat.S_ISREG(status.st_mode):
            contents = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            contents = os.readlink(path)
        names = os.listxattr(path, follow_symlinks=False)
        attributes = {key: os.getxattr(path, key, follow_symlinks=False) for key in names}
        device = status.st_rdev if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode) else 0
        seen[name] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, device, contents,
                      attributes, linked)  # fmt: skip
    return seen


def test_everything_comes_out_the_same(trees: tuple[Path, Path]) -> None:
    source, target = trees
    (source / "directory").mkdir()
    (source / "directory" / "file").write_bytes(b"contents\0" * 1000)
    (source / "empty").touch()
    (source / "setuid").write_bytes(b"#!")
    (source / "setuid").chmod(0o6711)
    os.chown(source / "setuid", 1234, 5678)
    (source / "setuid").chmod(0o6711)
    (source / "hard").hardlink_to(source / "directory" / "file")
    (source / "directory" / "hard too").hardlink_to(source / "directory" / "file")
    (source / "link").symlink_to("directory/file")
    (source / "dangling").symlink_to("/nowhere/at all")
    os.chown(source / "link", 12, 34, follow_symlinks=False)
    os.mkfifo(source / "pipe", 0o640)
    os.mknod(source / "socket", stat.S_IFSOCK | 0o600)
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(source / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 0))
    (source / "null").chmod(0o666)
    Path(os.fsdecode(os.fsencode(source) + b"/latin-\xe9")).write_bytes(b"x")
    os.setxattr(source / "empty", "user.note", b"kept")
    os.setxattr(source / "directory", "user.note", b"of a directory")
    os.setxattr(source / "link", "trusted.note", b"of a link", follow_symlinks=False)
    capability = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+ep
    os.setxattr(source / "setuid", "security.capability", capability)
    (source / "directory").chmod(0o1777)
    os.chown(source / "directory", 99, 98)
    for index, path in enumerate([*source.rglob("*"), source]):
        os.utime(path, ns=(index * SECOND, index * SECOND + 123_456_789), follow_symlinks=False)
    source.chmod(0o2750)
    os.chown(source, 70, 71)
    source.chmod(0o2750)
    before = picture(source)
    copy_up(source, target)
    assert picture(target) == before
    assert len(before) == 14


def test_from_descriptors(trees: tuple[Path, Path]) -> None:
    source, target = trees
    (source / "file").write_text("x")
    descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in trees]
    try:
        os.listdir(descriptors[0])
        copy_up(*descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert (target / "file").read_text() == "x"


def test_holes_stay_holes(trees: tuple[Path, Path]) -> None:
    source, target = trees
    with (source / "sparse").open("wb") as file:
        file.truncate(50 << 20)
        file.seek(10 << 20)
        file.write(b"island")
    with (source / "only a hole").open("wb") as file:
        file.truncate(5 << 20)
    copy_up(source, target)
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "only a hole").stat().st_size == 5 << 20
    for name in ("sparse", "only a hole"):
        assert (target / name).stat().st_blocks * 512 < 1 << 20


def test_links_are_not_followed(trees: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = trees
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (source / "out").symlink_to(outside)
    (source / "up").symlink_to("../../../etc")
    copy_up(source, target)
    assert os.readlink(target / "out") == str(outside)
    assert os.readlink(target / "up") == "../../../etc"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_a_tree_as_deep_as_hostile_layers_make_it(trees: tuple[Path, Path], tmp_path: Path) -> None:
    source, target = trees
    depth = 3000
    here = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    for name in ("one", "two"):  # hard links whose path is longer than any call takes
        if name == "one":
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=here))
        else:
            os.link("one", name, src_dir_fd=here, dst_dir_fd=here)
    os.close(here)
    try:
        copy_up(source, target)
        here = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(depth):
            below = os.open("d" * 100, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        assert sorted(os.listdir(here)) == ["one", "two"]
        os.close(here)
    finally:
        directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        remove_tree(directory, "source")
        remove_tree(directory, "target")
        os.close(directory)


def test_what_stands_in_the_way_is_an_error_and_nothing_leaks(trees: tuple[Path, Path]) -> None:
    source, target = trees
    (source / "file").write_text("new")
    (target / "file").write_text("old")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileExistsError):
        copy_up(source, target)
    with pytest.raises(FileNotFoundError):
        copy_up(source, target / "missing")
    assert (target / "file").read_text() == "old"
    assert len(os.listdir("/proc/self/fd")) == before


def test_marks_of_writable_layers_are_kept_where_asked_for(trees: tuple[Path, Path]) -> None:
    source, target = trees
    (source / "fresh").mkdir()
    os.setxattr(source / "fresh", "trusted.overlay.opaque", b"y")
    os.mknod(source / "deleted", stat.S_IFCHR, 0)
    copy_up(source, target, marks=True)
    assert os.getxattr(target / "fresh", "trusted.overlay.opaque") == b"y"
    status = (target / "deleted").lstat()
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
    shutil.rmtree(target)
    target.mkdir()
    copy_up(source, target)
    assert "trusted.overlay.opaque" not in os.listxattr(target / "fresh")
