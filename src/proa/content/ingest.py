"""One blob on its way into the store: a partial file that survives crashes, and the hash of what it holds.

ingest = store.ingest(digest, size)      # takes up the partial file of an earlier attempt
for chunk in download(offset=ingest.offset): ingest.write(chunk)
ingest.commit()                          # verified, fsynced, renamed: now the blob exists
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from proa.errors import Conflict, Internal, KernelError
from proa.oci import digest as digests

READ_SIZE = 1 << 20


class VerificationFailed(Internal):
    """The bytes are not those that the digest names."""


class SizeMismatch(VerificationFailed):
    """There are more or fewer bytes than announced."""


class Ingest:
    """A resumable write of one blob. Synchronous: run it in a thread. One at a time per digest.

    As a context manager it ends with `abort(keep=True)` unless it was committed.
    """

    def __init__(self, partial: Path, digest: str, size: int | None, publish: Callable[[Path, str], None]) -> None:
        self.digest = digest
        self.size = size  # expected bytes; None when unknown
        self.offset = 0  # bytes held and hashed so far
        self._partial = partial
        self._publish = publish
        self._hash = digests.hasher(digest)
        self._descriptor = _open_locked(partial, digest)
        try:
            self._take_up()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort(keep=True)

    def held(self) -> Iterator[bytes]:
        """Read what was there before, for those that follow the stream from its beginning."""
        position, end = 0, self.offset
        while position < end:
            chunk = os.pread(self._descriptor, min(READ_SIZE, end - position), position)
            if not chunk:
                raise Internal(f"{self._partial} became shorter while it was read")
            position += len(chunk)
            yield chunk

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`. Raises `SizeMismatch` beyond the expected size, `KernelError` on a bad disk."""
        if self.size is not None and self.offset + len(data) > self.size:
            raise SizeMismatch(f"content of {self.digest} is larger than the announced {self.size} bytes")
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._descriptor, view)
                self._hash.update(view[:written])
                self.offset += written
                view = view[written:]
        except OSError as error:
            raise KernelError(f"write {self._partial}", error.errno or 0) from error

    def commit(self) -> None:
        """Verify the digest and make the blob visible, power loss or not.

        Raises `SizeMismatch` or `VerificationFailed`. Missing bytes can still come, so the partial file
        stays then; wrong ones never become right, so it goes.
        """
        if self.size is not None and self.offset != self.size:
            raise SizeMismatch(
                f"content of {self.digest} has {self.offset} bytes instead of the announced {self.size}"
            )
        if self._hash.hexdigest() != digests.encoded(self.digest):
            self.abort(keep=False)
            raise VerificationFailed(f"content verification failed for digest {self.digest}")
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise KernelError(f"fsync {self._partial}", error.errno or 0) from error
        self._publish(self._partial, self.digest)
        self._close()

    def restart(self) -> None:
        """Forget what is held and begin at byte 0 again."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = digests.hasher(self.digest)
        self.offset = 0

    def abort(self, *, keep: bool = True) -> None:
        """Stop. `keep` leaves the partial file for a later attempt. After `commit` this does nothing."""
        if self._descriptor < 0:
            return
        if not keep or self.offset == 0:
            self._partial.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        os.close(self._descriptor)  # lets go of the lock too
        self._descriptor = -1

    def _take_up(self) -> None:
        """Hash what an earlier attempt left. A longer file than the blob is garbage."""
        length = os.fstat(self._descriptor).st_size
        if self.size is not None and length > self.size:
            self.restart()
            return
        while chunk := os.read(self._descriptor, READ_SIZE):
            self._hash.update(chunk)
            self.offset += len(chunk)


def _open_locked(path: Path, digest: str) -> int:
    """Open the partial file for this process alone."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise KernelError(f"open {path}", error.errno or 0) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict(f"content {digest} is being written already") from None
        except FileNotFoundError:
            pass  # renamed or removed between open and lock: that was another file
        os.close(descriptor)
