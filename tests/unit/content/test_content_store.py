"""The content store: what is visible is verified, what broke is taken up, what nobody needs goes."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proa.content import ContentStore, SizeMismatch, VerificationFailed
from proa.content.store import PARTIAL_LIFETIME
from proa.errors import Conflict, InvalidArgument, KernelError, NotFound
from proa.oci import digest as digests

DATA = os.urandom(300_000)
DIGEST = digests.of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "blobs")


def partials(store: ContentStore) -> list[str]:
    return sorted(path.name for path in (store.root / "ingest").iterdir())


def test_a_blob_is_visible_once_it_is_committed(store: ContentStore) -> None:
    ingest = store.ingest(DIGEST, len(DATA))
    ingest.write(DATA[:1000])
    ingest.write(memoryview(DATA)[1000:])
    assert not store.has(DIGEST)
    ingest.commit()
    assert store.has(DIGEST)
    assert (store.size(DIGEST), store.read(DIGEST)) == (len(DATA), DATA)
    assert list(store.walk()) == [(DIGEST, len(DATA))]
    assert store.verify(DIGEST)
    assert partials(store) == []
    ingest.abort()  # after a commit: nothing
    assert store.path(DIGEST) == store.root / "sha256" / DIGEST.removeprefix("sha256:")


@pytest.mark.parametrize("algorithm", sorted(digests.HEX_LENGTHS))
def test_every_algorithm(store: ContentStore, algorithm: str) -> None:
    digest = digests.of(DATA, algorithm)
    with store.ingest(digest) as ingest:
        ingest.write(DATA)
        ingest.commit()
    assert store.verify(digest)


def test_a_broken_write_is_taken_up(store: ContentStore) -> None:
    with store.ingest(DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[:100_000])
    again = ContentStore(store.root).ingest(DIGEST, len(DATA))
    assert again.offset == 100_000
    assert b"".join(again.held()) == DATA[:100_000]
    again.write(DATA[100_000:])
    again.commit()
    assert store.read(DIGEST) == DATA


def test_a_partial_file_survives_the_death_of_its_writer(store: ContentStore) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from proa.content import ContentStore\n"
        "ingest = ContentStore(Path(sys.argv[1])).ingest(sys.argv[2], 300000)\n"
        "ingest.write(sys.stdin.buffer.read()); os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(store.root), DIGEST],
        input=DATA[:70_000],
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert died.returncode == -signal.SIGKILL
    assert not store.has(DIGEST)
    with store.ingest(DIGEST, len(DATA)) as ingest:
        assert ingest.offset == 70_000


def test_wrong_bytes_are_refused_and_forgotten(store: ContentStore) -> None:
    ingest = store.ingest(DIGEST, len(DATA))
    ingest.write(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(VerificationFailed, match=DIGEST):
        ingest.commit()
    assert not store.has(DIGEST)
    assert partials(store) == []


def test_missing_bytes_are_refused_but_kept(store: ContentStore) -> None:
    with store.ingest(DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[:-1])
        with pytest.raises(SizeMismatch):
            ingest.commit()
    with store.ingest(DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[-1:])
        ingest.commit()
    assert store.has(DIGEST)


def test_more_bytes_than_announced_are_never_written(store: ContentStore) -> None:
    with store.ingest(DIGEST, 10) as ingest:
        ingest.write(b"0123456789")
        with pytest.raises(SizeMismatch):
            ingest.write(b"x")
        assert ingest.offset == 10


def test_a_partial_file_longer_than_the_blob_is_garbage(store: ContentStore) -> None:
    with store.ingest(DIGEST) as ingest:
        ingest.write(DATA + b"more")
    with store.ingest(DIGEST, len(DATA)) as ingest:
        assert ingest.offset == 0
        ingest.write(DATA)
        ingest.commit()


def test_restart_begins_at_zero(store: ContentStore) -> None:
    with store.ingest(DIGEST, len(DATA)) as ingest:
        ingest.write(b"wrong")
        ingest.restart()
        ingest.write(DATA)
        ingest.commit()
    assert store.verify(DIGEST)


def test_one_writer_at_a_time(store: ContentStore) -> None:
    with store.ingest(DIGEST) as ingest:
        ingest.write(b"x")
        with pytest.raises(Conflict, match="being written"):
            store.ingest(DIGEST)
    store.ingest(DIGEST).abort(keep=False)
    assert partials(store) == []


def test_a_full_disk_is_named_and_loses_nothing(store: ContentStore) -> None:
    """RLIMIT_FSIZE fails writes as a full disk does, in the middle and with a short count first."""
    ingest = store.ingest(DIGEST, len(DATA))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(KernelError, match=r"write .*ingest") as caught:
            ingest.write(DATA)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.errno == errno.EFBIG
    assert ingest.offset == 100_000
    ingest.write(DATA[ingest.offset :])
    ingest.commit()
    assert store.verify(DIGEST)


def test_put_and_read_small_blobs(store: ContentStore) -> None:
    assert store.put(b"{}") == store.put(b"{}") == digests.of(b"{}")
    with pytest.raises(Conflict):
        store.read(digests.of(b"{}"), limit=1)
    store.remove(digests.of(b"{}"))
    store.remove(digests.of(b"{}"))
    for action in (store.read, store.size, store.verify):
        with pytest.raises(NotFound):
            action(digests.of(b"{}"))


def test_put_of_the_same_at_the_same_time(store: ContentStore) -> None:
    with ThreadPoolExecutor(4) as threads:
        for data in (os.urandom(2000) for _ in range(20)):
            stored = list(threads.map(store.put, [data] * 4))
            assert stored == [digests.of(data)] * 4
            assert store.verify(stored[0])


def test_damage_is_seen(store: ContentStore) -> None:
    digest = store.put(DATA)
    with store.path(digest).open("r+b") as file:
        file.write(b"\0\0\0\0")
    assert not store.verify(digest)


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "x", "", "sha256:" + "A" * 64])
def test_only_digests_become_paths(store: ContentStore, digest: str) -> None:
    for action in (store.path, store.has, store.read, store.remove, store.ingest):
        with pytest.raises(InvalidArgument):
            action(digest)


def test_collect_keeps_what_lives(store: ContentStore) -> None:
    live, dead = (store.put(data) for data in (b"live", b"dead!"))
    assert store.collect({live}) == 0  # it may belong to a pull that was interrupted
    assert store.collect({live}, grace=0) == len(b"dead!")
    assert store.has(live)
    assert not store.has(dead)


def test_collect_takes_stale_partial_and_temporary_files(store: ContentStore) -> None:
    for data in (b"old", b"new"):
        with store.ingest(digests.of(data)) as ingest:
            ingest.write(data)
    old = store.root / "ingest" / digests.of(b"old").replace(":", "-")
    temporary = store.root / "sha256" / f"{'a' * 64}.1.tmp"
    temporary.write_bytes(b"half")
    past = time.time() - PARTIAL_LIFETIME - 60
    for path in (old, temporary):
        os.utime(path, (past, past))
    assert store.collect(set()) == len(b"old") + len(b"half")
    assert partials(store) == [digests.of(b"new").replace(":", "-")]
    assert list((store.root / "sha256").iterdir()) == []
