"""Applying layers: attributes, times, errors of the kernel, descriptors; breakouts are in tests/hostile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proa.archive.apply import Applied, apply_layer
from proa.archive.tree import remove_tree, tree_size
from proa.errors import KernelError, ProaError
from proa.linux.openat import openat2
from rig.rawtar import directory, hard_link, member, pax, symlink

pytestmark = pytest.mark.root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "layer"
    path.mkdir()
    return path


def apply(root: Path, archive: bytes) -> Applied:
    return apply_layer([archive], root)


def test_size_and_entries(root: Path) -> None:
    """Docker's size: files and links, hard links once, what was replaced not at all."""
    applied = apply(
        root, member(b"a", b"x" * 700) + hard_link(b"b", b"a") + symlink(b"c", b"12345") + directory(b"d")
    )
    assert (applied.size, applied.entries, applied.implied) == (705, 4, ())
    assert apply(root, member(b"a", b"x" * 10)).size == 715, "b still holds what a was"


def test_implied_directories(root: Path) -> None:
    applied = apply(root, member(b"a/b/c/f") + directory(b"a/b", mode=0o700) + member(b"a/b/d/f"))
    assert applied.implied == (b"a", b"a/b/c", b"a/b/d")
    assert (root / "a/b").stat().st_mode & 0o777 == 0o700
    assert (root / "a").stat().st_mode & 0o777 == 0o755


def test_umask_does_not_show(root: Path) -> None:
    before = os.umask(0o077)
    try:
        apply(root, member(b"a/f", mode=0o666) + directory(b"d", mode=0o777) + member(b"n", kind=b"6", mode=0o622))
    finally:
        os.umask(before)
    assert [(root / name).stat().st_mode & 0o777 for name in ("a", "a/f", "d", "n")] == [
        0o755,
        0o666,
        0o777,
        0o622,
    ]


def test_times(root: Path) -> None:
    apply(
        root,
        pax({b"mtime": b"1700000000.123456789"})
        + directory(b"d")
        + pax({b"mtime": b"-1.5"})
        + member(b"d/f")
        + pax({b"mtime": b"5.1234567899"})
        + symlink(b"d/l", b"f")
        + pax({b"mtime": b"7"})
        + member(b"d/p", kind=b"6"),
    )
    assert [(root / name).lstat().st_mtime_ns for name in ("d", "d/f", "d/l", "d/p")] == [
        1700000000123456789,
        -1500000000,
        5123456789,
        7000000000,
    ]


def test_files_capabilities_survive(root: Path) -> None:
    """chown and write drop security.capability, so it has to come last (capabilities(7))."""
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    apply(
        root,
        pax({b"SCHILY.xattr.security.capability": capability}) + member(b"ping", b"x" * 9, uid=7, mode=0o4755),
    )
    assert os.getxattr(root / "ping", "security.capability") == capability
    assert (root / "ping").stat().st_mode & 0o7777 == 0o4755


def test_set_id_bits_survive_chown(root: Path) -> None:
    apply(
        root, member(b"su", b"x", uid=5, gid=6, mode=0o6755) + directory(b"d", gid=6, mode=0o2775) + member(b"d/f")
    )
    assert (root / "su").stat().st_mode & 0o7777 == 0o6755
    assert (root / "d").stat().st_mode & 0o7777 == 0o2775
    assert (root / "d/f").stat().st_gid == 0, "the set-group-id bit must not rub off while unpacking"


def test_attribute_nobody_knows_is_a_warning(root: Path) -> None:
    applied = apply(root, pax({b"SCHILY.xattr.nonsense": b"x"}) + member(b"f", b"x"))
    assert applied.warnings == ('"f": attribute nonsense: operation not supported',)


def test_warnings_are_few(root: Path) -> None:
    applied = apply(root, b"".join(pax({b"SCHILY.xattr.nonsense": b"x"}) + member(b"f%d" % n) for n in range(99)))
    assert len(applied.warnings) == 16


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        (member(b"n" * 90 + b"/" + b"f", b"x", tail=b"y" * 150) * 1 + pax({b"path": b"n" * 300}) + member(b"f"),
        "nnn"),
        (pax({b"linkpath": b"l" * 5000}) + symlink(b"link", b"x"), "link"),
        (symlink(b"empty", b""), "empty"),
        (pax({b"SCHILY.xattr.user." + b"a" * 300: b"x"}) + member(b"attr"), "attr"),
    ],
    ids=["long name", "long link", "empty link", "long attribute"],
)  # fmt: skip
def test_refused_by_the_kernel(root: Path, archive: bytes, name: str) -> None:
    with pytest.raises(KernelError, match=r"^unpack ") as caught:
        apply(root, archive)
    assert name in caught.value.message


def test_no_descriptor_is_left(root: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    many = b"".join(member(b"d%d/f" % number, b"x") for number in range(300))
    apply(root, many)
    for bad in (member(b"../x"), hard_link(b"h", b"x"), b"x" * 512, member(b"f/x")):
        with pytest.raises(ProaError):
            apply(root, many + member(b"f") + bad)
    assert set(os.listdir("/proc/self/fd")) == before


def test_deepest_path(root: Path) -> None:
    """As deep as a path can be: neither unpacking nor removing may recurse or keep a descriptor per level."""
    apply(root, pax({b"path": b"d/" * 2000 + b"f"}) + member(b"f", b"x"))
    with opened(root.parent) as above:
        with opened(root) as descriptor:
            file = openat2(descriptor, b"d/" * 2000 + b"f", os.O_RDONLY)
            assert os.read(file, 9) == b"x"
            os.close(file)
            assert tree_size(descriptor) == 1
        remove_tree(above, root.name)
    assert not root.exists()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_hard_links_across_many_directories(root: Path) -> None:
    """More directories than descriptors are kept: none may be taken for another."""
    archive = b"".join(member(b"d%d/f" % number, b"%d" % number) for number in range(200))
    archive += b"".join(hard_link(b"e%d/h" % number, b"d%d/f" % number) for number in range(200))
    apply(root, archive)
    assert [(root / f"e{number}/h").read_text() for number in range(200)] == [str(n) for n in range(200)]
