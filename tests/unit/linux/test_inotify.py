"""inotify: what the kernel tells, read back from its buffer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proa.linux import inotify


@pytest.fixture
def descriptor() -> Iterator[int]:
    opened = inotify.inotify_init()
    yield opened
    os.close(opened)


def test_what_happens_in_a_directory(descriptor: int, tmp_path: Path) -> None:
    watch = inotify.inotify_add_watch(
        descriptor, tmp_path, inotify.IN_CREATE | inotify.IN_MODIFY | inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO
    )
    assert inotify.read_events(descriptor) == []
    (tmp_path / "a name of some length").write_text("x")
    (tmp_path / "a name of some length").rename(tmp_path / "b")
    name = b"a name of some length"
    assert inotify.read_events(descriptor) == [
        (watch, inotify.IN_CREATE, name),
        (watch, inotify.IN_MODIFY, name),
        (watch, inotify.IN_CLOSE_WRITE, name),
        (watch, inotify.IN_MOVED_TO, b"b"),
    ]
    assert inotify.inotify_add_watch(descriptor, tmp_path, inotify.IN_CREATE) == watch
    inotify.inotify_rm_watch(descriptor, watch)
    assert inotify.read_events(descriptor) == [(watch, inotify.IN_IGNORED, b"")]


def test_errors_are_the_kernels(descriptor: int, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inotify.inotify_add_watch(descriptor, tmp_path / "missing", inotify.IN_CREATE)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        inotify.inotify_add_watch(descriptor, tmp_path / "file", inotify.IN_CREATE | inotify.IN_ONLYDIR)
    with pytest.raises(OSError, match="Invalid argument"):
        inotify.inotify_rm_watch(descriptor, 99)


def test_it_does_not_wait_and_is_not_inherited(descriptor: int) -> None:
    assert not os.get_blocking(descriptor)
    assert not os.get_inheritable(descriptor)
