"""openat2: containment, flags and errors on a real directory tree."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proa.linux.openat import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "etc/secret").write_text("inside")
    (inside / "secret").write_text("inside top")
    (inside / "up").symlink_to("../secret")
    (inside / "absolute").symlink_to("/etc/secret")
    (inside / "etc/up").symlink_to("../../../secret")
    descriptor = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> str:
    with os.fdopen(descriptor) as stream:
        return stream.read()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/secret", "inside"),
        ("/etc/secret", "inside"),
        ("../secret", "inside top"),
        ("up", "inside top"),
        ("absolute", "inside"),
        ("etc/up", "inside top"),
        (b"etc/secret", "inside"),
    ],
)
def test_in_root_never_leaves(root: int, path: str | bytes, content: str) -> None:
    assert read(openat2(root, path, os.O_RDONLY, resolve=RESOLVE_IN_ROOT)) == content


@pytest.mark.parametrize("path", ["../secret", "/etc/secret", "up", "absolute", "etc/up"])
def test_beneath_refuses(root: int, path: str) -> None:
    with pytest.raises(OSError) as caught:
        openat2(root, path, os.O_RDONLY, resolve=RESOLVE_BENEATH)
    assert caught.value.errno == errno.EXDEV
    assert caught.value.filename == path


def test_no_symlinks(root: int) -> None:
    with pytest.raises(OSError) as caught:
        openat2(root, "absolute", os.O_RDONLY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
    assert caught.value.errno == errno.ELOOP


def test_creates_with_mode_and_close_on_exec(root: int) -> None:
    descriptor = openat2(root, "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, RESOLVE_BENEATH)
    try:
        assert os.fstat(descriptor).st_mode & 0o7777 == 0o600
        assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    finally:
        os.close(descriptor)


def test_null_byte(root: int) -> None:
    with pytest.raises(ValueError, match="null byte"):
        openat2(root, "a\0b", os.O_RDONLY)
