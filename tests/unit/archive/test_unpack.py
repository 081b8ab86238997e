"""From blob to directory: digests, errors of either thread, bounded memory, other programs' archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proa.archive.apply import apply_layer
from proa.archive.entry import DIRECTORY, HARD_LINK, SYMLINK
from proa.archive.reader import Reader
from proa.archive.unpack import unpack
from proa.archive.writer import Writer
from proa.errors import InvalidArgument, KernelError
from rig.listing import describe
from rig.rawtar import END, directory, member, pax

pytestmark = pytest.mark.root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "layer"
    path.mkdir()
    return path


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def cut(data: bytes, size: int = 65536) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("after", [b"", END, END + b"trailing bytes count"], ids=["cut", "ended", "garbage"])
def test_digests_cover_everything(target: Path, after: bytes) -> None:
    archive = directory(b"d") + member(b"d/f", b"content") + after
    blob = gzip.compress(archive)
    unpacked = unpack(cut(blob), target)
    assert (unpacked.digest, unpacked.blob_size) == (digest(blob), len(blob))
    assert (unpacked.diff_id, unpacked.size, unpacked.entries) == (digest(archive), 7, 2)
    assert (target / "d/f").read_text() == "content"


def test_large_archive_in_bounded_memory(target: Path) -> None:
    def chunks() -> Iterator[bytes]:
        for number in range(64):
            yield member(b"f%d" % number, bytes([number]) * (1 << 20))

    unpacked = unpack(chunks(), target)
    assert unpacked.size == 64 << 20
    assert (target / "f63").read_bytes() == bytes([63]) * (1 << 20)


def test_error_of_the_archive_ends_the_reading(target: Path) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield member(b"../x")
        while True:
            taken += 1
            yield bytes(1 << 20)

    with pytest.raises(InvalidArgument, match="outside"):
        unpack(endless(), target)
    assert taken < 32
    assert "unpack" not in {thread.name for thread in threading.enumerate()}


def test_error_of_the_source_ends_the_thread(target: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield member(b"f", b"x" * 5000)[:1000]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        unpack(broken(), target)
    assert "unpack" not in {thread.name for thread in threading.enumerate()}


def test_error_of_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unpack([member(b"f")], tmp_path / "missing")


def test_full_disk(target: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", target], check=True)
    try:
        with pytest.raises(KernelError, match=r'^unpack "f": no space left on device') as caught:
            unpack(cut(member(b"f", bytes(3 << 20))), target)
        assert caught.value.errno == 28
    finally:
        subprocess.run(["umount", target], check=True)


# Other programs' archives of one and the same tree.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    deep = root / ("a" * 120) / ("b" * 130)
    deep.mkdir(parents=True)
    (deep / ("c" * 140)).write_bytes(os.urandom(70_000))
    (root / "zero").touch()
    os.utime(root / "zero", ns=(0, 1_234_567_890_123_456_789))
    os.link(root / "zero", root / "alias")
    (root / "link").symlink_to("x" * 150)
    os.mkfifo(root / "fifo")
    os.chown(root / "zero", 3_000_000, 70)
    (root / "zero").chmod(0o4751)
    with (root / "holes").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.truncate(3 << 20)
    return root


@pytest.mark.parametrize(
    "options",
    [["--format=pax"], ["--format=gnu"], ["--format=pax", "-S"], ["--format=gnu", "-S"],
     *(["--format=pax", "-S", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0"))],
    ids=" ".join,
)  # fmt: skip
def test_archives_of_gnu_tar(tree: Path, target: Path, options: list[str]) -> None:
    archive = subprocess.run(["tar", "-c", *options, "-C", tree, "."], check=True, capture_output=True).stdout
    unpack(cut(archive, 10_000), target)
    exact = "--format=pax" in options
    assert describe(target, times=exact) == describe(tree, times=exact)
    if "-S" in options:
        assert (target / "holes").stat().st_blocks < 2000


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_python(tree: Path, target: Path, form: int) -> None:
    if form == tarfile.USTAR_FORMAT:  # it has no place for these
        (tree / "link").unlink()
        os.chown(tree / "zero", 1, 70)
        (tree / ("a" * 120)).rename(tree / "a")
        (tree / "a" / ("b" * 130)).rename(tree / "a" / "b")
        (tree / "a/b" / ("c" * 140)).rename(tree / "a/b" / ("c" * 90))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.add(tree, arcname=".")
    unpack(cut(out.getvalue(), 10_000), target)
    assert describe(target, times=False) == describe(tree, times=False)


# What the writer writes, the reader and GNU tar read.

NAMES = st.binary(min_size=1, max_size=300).map(
    lambda raw: raw.replace(b"\0", b"?").replace(b"/", b"+").strip(b".")
)
ENTRIES = st.lists(
    st.tuples(
        NAMES.filter(bool),
        st.sampled_from([b"0", b"0", DIRECTORY, SYMLINK, HARD_LINK]),
        st.integers(0, 0o7777),
        st.integers(0, (1 << 32) - 2),
        st.integers(-(1 << 31) * 10**9, (1 << 62)),
        st.binary(max_size=2000),
        st.dictionaries(st.sampled_from(["user.a", "user.b=c%25", "security.capability"]), st.binary(max_size=99)),
    ),
    max_size=8,
)


@given(ENTRIES)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_writer_and_reader_agree(
    entries: list[tuple[bytes, bytes, int, int, int, bytes, dict[str, bytes]]],
) -> None:
    out = bytearray()
    writer = Writer(out.extend)
    for name, kind, mode, owner, mtime, data, xattrs in entries:
        content = data if kind == b"0" else b""
        writer.add(name, kind, mode=mode, uid=owner, gid=owner // 2, size=len(content), mtime=mtime,
                   link=b"target" + name if kind in (SYMLINK, HARD_LINK) else b"", xattrs=xattrs)  # fmt: skip
        writer.data(content)
        writer.pad(len(content))
    writer.finish()
    reader = Reader(cut(bytes(out), 1000))
    for (name, kind, mode, owner, mtime, data, xattrs), entry in zip(entries, reader, strict=True):
        assert entry.name == (name + b"/" if kind == DIRECTORY else name)
        assert (entry.type, entry.mode, entry.uid, entry.gid) == (kind, mode, owner, owner // 2)
        assert (entry.mtime, entry.xattrs or {}) == (mtime, xattrs)
        assert entry.link == (b"target" + name if kind in (SYMLINK, HARD_LINK) else b"")
        if kind == b"0":
            assert reader.read(entry.size) == data


@given(st.binary(max_size=3000), st.integers(0, 1535))
@settings(deadline=None, max_examples=200)
def test_noise_is_refused_or_harmless(noise: bytes, place: int) -> None:
    """Whatever the bytes, the reader ends with entries or `InvalidArgument`: no other error, no endless loop."""
    archive = pax({b"path": b"name"}) + member(b"f", b"data")
    damaged = archive[:place] + noise + archive[place + len(noise) :]
    for data in (noise, damaged):
        try:
            for _ in Reader(cut(data, 100)):
                pass
        except InvalidArgument:
            continue


def test_apply_takes_a_descriptor(target: Path) -> None:
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        apply_layer([member(b"f", b"x")], descriptor)
        os.fstat(descriptor)
    finally:
        os.close(descriptor)
    assert (target / "f").read_text() == "x"
