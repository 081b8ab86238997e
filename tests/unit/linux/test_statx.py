"""statx: mount points are told from names beside them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proa.linux.statx import is_mount_point


@pytest.fixture
def root() -> Iterator[int]:
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_what_is_mounted_is_told(root: int, tmp_path: Path) -> None:
    assert is_mount_point(root, b"proc")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/proc")
    for name in ("", "file", "link"):
        path = os.fsencode(tmp_path / name)
        assert not is_mount_point(root, path), name


def test_a_name_that_is_not_there(root: int) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        is_mount_point(root, b"no-such-name")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "no-such-name")
