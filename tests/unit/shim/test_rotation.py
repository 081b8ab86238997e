"""Rotation of log files: how many there are, how large they get, and that older ones are compressed."""

from __future__ import annotations

import gzip
import os
import signal
from pathlib import Path

import pytest

from proa.shim import rotation
from proa.shim.rotation import RotatedFile

LINE = b"0123456789abcde\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def settle(file: RotatedFile) -> None:
    """Wait until nothing is left to compress, as the shim hears of it by SIGCHLD."""
    while file._child:
        file.reaped(*os.waitpid(file._child, 0))


def test_older_files_are_compressed(path: Path) -> None:
    file = RotatedFile(os.fspath(path), 10 * len(LINE), 4, compress=True)
    for number in range(25):
        file.append(b"%015d\n" % number)
        settle(file)
    file.close()
    assert names(path) == ["log", "log.1.gz", "log.2.gz"]
    kept = gzip.decompress(path.with_name("log.2.gz").read_bytes())
    kept += gzip.decompress(path.with_name("log.1.gz").read_bytes()) + path.read_bytes()
    assert kept == b"".join(b"%015d\n" % number for number in range(25))


def test_rotations_while_a_file_is_compressed(path: Path) -> None:
    """The child's file has another number by the time it is ready, or is gone."""
    file = RotatedFile(os.fspath(path), len(LINE), 4, compress=True)
    letters = iter("abcdefgh")

    def add(count: int) -> None:
        for _ in range(count):
            file.append(next(letters).encode() * 15 + b"\n")

    add(2)
    child = file._child  # it compresses "a", which is log.1 now
    add(1)
    status = os.waitpid(child, 0)
    file.reaped(*status)
    assert names(path)[-1] == "log.2.gz"
    settle(file)
    assert names(path) == ["log", "log.1.gz", "log.2.gz"]
    assert gzip.decompress(path.with_name("log.2.gz").read_bytes()) == b"a" * 15 + b"\n"
    add(5)  # the number of "c" runs out before anybody hears of the child
    settle(file)
    file.close()
    found = [gzip.decompress(path.with_name(f"log.{number}.gz").read_bytes())[:1] for number in (3, 2, 1)]
    assert [*found, path.read_bytes()[:1]] == [b"e", b"f", b"g", b"h"]
    assert names(path) == ["log", "log.1.gz", "log.2.gz", "log.3.gz"]


def test_a_child_that_dies_costs_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=True)
    file.append(LINE)
    with monkeypatch.context() as slow:
        slow.setattr(rotation, "_compress_and_exit", lambda *_: signal.pause())
        file.append(LINE)
    os.kill(file._child, 9)
    file.reaped(*os.waitpid(file._child, 0))
    assert names(path) == ["log", "log.1"]
    file.append(LINE)  # the next rotation tries again
    settle(file)
    file.close()
    assert names(path) == ["log", "log.1.gz", "log.2.gz"]


def test_what_was_left_plain_is_compressed_at_the_next_start(path: Path) -> None:
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=True)
    file.append(LINE)
    file.append(LINE)
    child = file._child
    file.close()
    os.waitpid(child, 0)
    assert names(path) == ["log", "log.1"]
    path.with_name("log.gz.tmp").touch()  # of a shim that was killed
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=True)
    settle(file)
    file.close()
    assert names(path) == ["log", "log.1.gz"]


def test_it_is_the_same_inode_in_its_new_form(path: Path) -> None:
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=True)
    file.append(LINE)
    status = path.stat()
    file.append(LINE)
    settle(file)
    file.close()
    header = path.with_name("log.1.gz").read_bytes()
    assert header[10:].split(b"\0")[0] == b"inode %d mtime %d" % (status.st_ino, status.st_mtime_ns)
    assert int.from_bytes(header[4:8], "little") == int(status.st_mtime)


def test_a_rotation_that_fails_goes_on_with_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=False)
    file.append(LINE)
    with monkeypatch.context() as patch:
        patch.setattr(RotatedFile, "_open", lambda self: os.open("/dev/null/x", os.O_RDONLY))
        file.append(b"x" * 15 + b"\n")
    file.append(b"y" * 15 + b"\n")
    file.close()
    assert file.lost == 0
    kept = [path.with_name(name).read_bytes() for name in reversed(names(path))]
    assert b"".join(kept) == LINE + b"x" * 15 + b"\n" + b"y" * 15 + b"\n"


def test_somebody_removes_the_files(path: Path) -> None:
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=True)
    file.append(LINE)
    path.unlink()
    file.append(LINE)
    settle(file)
    file.append(LINE)
    for each in path.parent.iterdir():
        each.unlink()
    settle(file)
    file.close()


def test_a_full_disk_is_counted_and_tried_again_after_a_while(path: Path) -> None:
    path.symlink_to("/dev/full")
    file = RotatedFile(os.fspath(path), 0, 1)
    file.append(LINE)
    file.append(LINE)
    assert file.lost == 2 * len(LINE)
    file.close()


def test_no_processes_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(rotation.os, "fork", refuse)
    file = RotatedFile(os.fspath(path), len(LINE), 3, compress=True)
    file.append(LINE)
    file.append(LINE)
    file.close()
    assert names(path) == ["log", "log.1"]
