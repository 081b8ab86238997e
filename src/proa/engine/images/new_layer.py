"""A layer made here, for `commit` and `import`: one stream of tar becomes blob and unpacked layer at once.

Three threads share the work: the caller's makes and hashes the tar, one unpacks it, one compresses it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from threading import Thread
from typing import BinaryIO

from proa.archive.channel import Broken, Channel
from proa.archive.compression import Gzip
from proa.archive.unpack import Background, Unpacked
from proa.content import ContentStore
from proa.engine.images.image import Layer
from proa.errors import KernelError
from proa.oci import media_types
from proa.oci.image_config import chain_ids
from proa.snapshots import Layers

_IN_FLIGHT = 4 << 20  # bytes between two threads
_COPY = 1 << 20

# Takes pieces of an uncompressed tar; what it raises must pass through.
Out = Callable[[bytes], None]


def make_layer(
    content: ContentStore,
    layers: Layers,
    below: list[str],
    produce: Callable[[Out], None],
    check: Callable[[str], None] | None = None,
) -> Layer | None:
    """Make the layer whose tar `produce` hands over, on top of the diffIDs `below`; None if it is empty.

    The layer is committed and its blob stored; recording both is the caller's. With `check`, which may raise
    over the diffID, an empty layer is one as well. Raises what `produce`, `check` and unpacking raise, and
    leaves nothing then.
    """
    diff = hashlib.sha256()
    parent = chain_ids(below)[-1] if below else ""
    target = layers.prepare(parent or "sha256:" + "0" * 64)
    try:
        with _Blob(content) as blob, Background(target) as tree:

            def out(piece: bytes) -> None:
                diff.update(piece)
                tree.put(piece)
                blob.put(piece)

            produce(out)
            blob.end()
            applied = tree.result()
            diff_id = f"sha256:{diff.hexdigest()}"
            if check is not None:
                check(diff_id)
            elif not applied.entries:
                layers.discard(target)
                return None
            digest, size = blob.store()
        chain_id = chain_ids([*below, diff_id])[-1]
        unpacked = Unpacked(
            digest=digest,
            diff_id=diff_id,
            blob_size=size,
            size=applied.size,
            entries=applied.entries,
            implied=applied.implied,
            warnings=applied.warnings,
        )
        layers.commit(target, chain_id, parent, unpacked)
    except BaseException:
        layers.discard(target)
        raise
    return Layer(
        chain_id=chain_id,
        diff_id=diff_id,
        parent=parent,
        size=applied.size,
        blob_digest=digest,
        blob_size=size,
        media_type=media_types.OCI_LAYER_GZIP,
    )


class _Blob:
    """Compresses in a thread of its own, into a file without a name: a crash leaves nothing."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._channel = Channel(_IN_FLIGHT)
        self._hash = hashlib.sha256()
        self._size = 0
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="compress", daemon=True)
        self._file: BinaryIO

    def __enter__(self) -> _Blob:
        self._file = tempfile.TemporaryFile(dir=self._content.root)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._channel.fail()
        self._thread.join()
        self._file.close()

    def put(self, piece: bytes) -> None:
        """Hand over a piece; raises the error of the thread when it has failed."""
        try:
            self._channel.put(piece)
        except Broken:
            self._finish()
            raise

    def end(self) -> None:
        """Say that nothing follows."""
        self._channel.end()

    def store(self) -> tuple[str, int]:
        """Put what was compressed into the content store; return its digest and size."""
        self._finish()
        digest = f"sha256:{self._hash.hexdigest()}"
        if not self._content.has(digest):
            self._file.seek(0)
            self._content.copy(digest, iter(lambda: self._file.read(_COPY), b""))
        return digest, self._size

    def _finish(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        gzip = Gzip()
        try:
            for piece in self._channel:
                self._write(gzip.compress(piece))
            self._write(gzip.finish())
        except Broken:
            pass  # the other side failed and says why
        except OSError as error:
            self._error = KernelError("write a layer", error.errno or 0)
            self._channel.fail()
        except BaseException as error:
            self._error = error
            self._channel.fail()

    def _write(self, data: bytes) -> None:
        if data:
            self._hash.update(data)
            self._size += len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self._file.fileno(), view) :]
