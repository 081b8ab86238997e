"""The store of blobs: `root/sha256/<hex>`, with partial files in `root/ingest`.

Safe against SIGKILL and power loss at any moment: a blob is written beside, verified, fsynced and renamed;
what a dead process left in `ingest` is taken up or collected.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

from proa import atomic
from proa.content.ingest import Ingest
from proa.errors import Conflict, KernelError, NotFound
from proa.oci import digest as digests

PARTIAL_LIFETIME = 7 * 24 * 3600  # seconds that an unfinished download waits to be taken up
BLOB_GRACE = 24 * 3600  # seconds that a blob nobody names is kept


class ContentStore:
    """Blobs below `root`, which is made when missing. Safe for threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ingests = root / "ingest"
        self._putting = Lock()
        for directory in (root, self._ingests, *(root / name for name in digests.HEX_LENGTHS)):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the blob is or would be."""
        digests.validate(digest)
        return self.root / digests.algorithm_of(digest) / digests.encoded(digest)

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def size(self, digest: str) -> int:
        """Return the blob's size in bytes. Raises `NotFound`."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def read(self, digest: str, limit: int = 16 << 20) -> bytes:
        """Return a small blob (manifest, configuration). Raises `NotFound`, `Conflict` if it is larger."""
        try:
            with self.path(digest).open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise _missing(digest) from None
        if len(data) > limit:
            raise Conflict(f"content {digest} is larger than {limit} bytes")
        return data

    def put(self, data: bytes) -> str:
        """Store `data` and return its digest."""
        digest = digests.of(data)
        path = self.path(digest)
        with self._putting:  # a process has one temporary name per file
            if not path.is_file():
                try:
                    atomic.write(path, data, mode=0o600)
                except OSError as error:
                    raise KernelError(f"write {path}", error.errno or 0) from error
        return digest

    def ingest(self, digest: str, size: int | None = None) -> Ingest:
        """Begin or take up the write of a blob. Raises `Conflict` while another one writes it."""
        return Ingest(self._partial(digest), digest, size, self._publish)

    def copy(self, digest: str, chunks: Iterable[bytes]) -> None:
        """Store a blob whose bytes are at hand; any number of writers may do so at a time.

        Raises `VerificationFailed` when they are not what the digest says, and leaves nothing then.
        """
        partial = self._partial(digest)
        ingest = Ingest(partial.with_name(f"{partial.name}.{os.urandom(6).hex()}"), digest, None, self._publish)
        try:
            for chunk in chunks:
                ingest.write(chunk)
            ingest.commit()
        finally:
            ingest.abort(keep=False)

    def forget(self, digest: str) -> None:
        """Remove what an unfinished write of a blob left, unless another one takes it up now."""
        if self._partial(digest).exists():
            with contextlib.suppress(Conflict):
                self.ingest(digest).abort(keep=False)

    def _partial(self, digest: str) -> Path:
        return self._ingests / f"{digests.algorithm_of(digest)}-{self.path(digest).name}"

    def verify(self, digest: str) -> bool:
        """Read the whole blob and say whether it still is what its name says. Raises `NotFound`."""
        hashed = digests.hasher(digest)
        try:
            with self.path(digest).open("rb") as file:
                while chunk := file.read(1 << 20):
                    hashed.update(chunk)
        except FileNotFoundError:
            raise _missing(digest) from None
        return hashed.hexdigest() == digests.encoded(digest)

    def remove(self, digest: str) -> None:
        """Remove the blob if it is there."""
        self.path(digest).unlink(missing_ok=True)

    def walk(self) -> Iterator[tuple[str, int]]:
        """Yield digest and size of every blob."""
        for algorithm in digests.HEX_LENGTHS:
            with os.scandir(self.root / algorithm) as entries:
                for entry in entries:
                    digest = f"{algorithm}:{entry.name}"
                    if digests.is_valid(digest) and entry.is_file(follow_symlinks=False):
                        yield digest, entry.stat().st_size

    def collect(self, live: set[str], grace: float = BLOB_GRACE) -> int:
        """Remove every blob that is not in `live`, and what is stale; return the bytes freed.

        Blobs younger than `grace` seconds stay: the next attempt at an interrupted pull finds them.
        Running operations need blobs that no record names yet: the caller counts them among the living.
        """
        freed = 0
        now = time.time()
        for digest, size in list(self.walk()):
            if digest not in live and now - self.path(digest).stat().st_mtime >= grace:
                self.remove(digest)
                freed += size
        return freed + self._sweep()

    def _sweep(self) -> int:
        """Remove partial files nobody took up, and temporary files of writers that died."""
        freed, now = 0, time.time()
        with os.scandir(self._ingests) as entries:
            stale = [entry for entry in entries if now - entry.stat().st_mtime > PARTIAL_LIFETIME]
        for algorithm in digests.HEX_LENGTHS:
            with os.scandir(self.root / algorithm) as entries:
                stale += [e for e in entries if e.name.endswith(".tmp") and now - e.stat().st_mtime > 60]
        for entry in stale:
            freed += entry.stat().st_size
            Path(entry.path).unlink(missing_ok=True)
        return freed

    def _publish(self, partial: Path, digest: str) -> None:
        """Give a verified, synced file its name."""
        path = self.path(digest)
        try:
            partial.rename(path)
            atomic.sync_directory(path.parent)
        except OSError as error:
            raise KernelError(f"rename {partial}", error.errno or 0) from error


def _missing(digest: str) -> NotFound:
    return NotFound(f"content {digest} not found")
