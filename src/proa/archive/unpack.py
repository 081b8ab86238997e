"""From the bytes of a layer blob to its unpacked directory, both digests on the way.

Two threads: the caller's reads, decompresses and hashes, another one writes the tree. All the costly parts
(isal, sha256, system calls) run without the interpreter's lock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Thread

from proa.archive.apply import Applied, apply_layer
from proa.archive.channel import Broken, Channel
from proa.archive.compression import decompress

_IN_FLIGHT = 4 << 20  # bytes between the two threads


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A layer in its directory."""

    digest: str  # of the bytes as they came
    diff_id: str  # of the uncompressed archive
    blob_size: int
    size: int  # bytes in its files, as Docker counts them
    entries: int
    implied: tuple[bytes, ...]  # directories without an entry of their own; `Layers.commit` wants them
    warnings: tuple[str, ...]


def unpack(chunks: Iterable[bytes], target: str | os.PathLike[str]) -> Unpacked:
    """Unpack a layer blob (gzip, zstd, bzip2, xz or plain tar) into the empty directory `target`.

    `chunks` is taken to its end, in this thread; what it raises passes through. Raises `InvalidArgument` for
    a bad archive, `KernelError` when the file system refuses; `target` is then to be thrown away.
    """
    counted = _Counted(chunks)
    diff = hashlib.sha256()
    with Background(target) as tree:
        for piece in decompress(counted):
            diff.update(piece)
            tree.put(piece)
        applied = tree.result()
    return Unpacked(
        digest=f"sha256:{counted.hash.hexdigest()}",
        diff_id=f"sha256:{diff.hexdigest()}",
        blob_size=counted.size,
        size=applied.size,
        entries=applied.entries,
        implied=applied.implied,
        warnings=applied.warnings,
    )


class _Counted:
    """Chunks, hashed and counted as they pass."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.hash = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.hash.update(chunk)
            self.size += len(chunk)
            yield chunk


class Background:
    """`apply_layer` in a thread of its own, fed by `put`; a context that always ends the thread."""

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self._target = target
        self._channel = Channel(_IN_FLIGHT)
        self._applied: Applied | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="unpack", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._channel.fail()
        self._thread.join()

    def put(self, chunk: bytes) -> None:
        """Hand over a piece of the archive; raises the error of the unpacking thread when there is one."""
        try:
            self._channel.put(chunk)
        except Broken:
            self._thread.join()
            raise self._error or RuntimeError("unpacking stopped") from None

    def result(self) -> Applied:
        """Wait for the end and return the outcome, or raise the error."""
        self._channel.end()
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._applied is not None
        return self._applied

    def _run(self) -> None:
        try:
            self._applied = apply_layer(self._channel, self._target)
        except Broken:
            pass  # the feeding side failed and says why
        except BaseException as error:  # handed to the other thread
            self._error = error
            self._channel.fail()
