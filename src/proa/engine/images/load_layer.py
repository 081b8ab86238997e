"""One layer of an archive of images: verified, unpacked, and its blob kept for pushes and saves.

A compressed layer is kept as it is, so that its digest stays; one that is not, or not in a way that registries
know, is compressed on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proa.archive.compression import decompress, detect
from proa.archive.unpack import unpack
from proa.content import ContentStore
from proa.engine.images.image import Layer
from proa.engine.images.new_layer import Out, make_layer
from proa.engine.images.staging import Member, Staging
from proa.errors import InvalidArgument
from proa.oci import media_types
from proa.snapshots import Layers

REPORT_INTERVAL = 0.1  # seconds between messages about the same layer

_KEPT = {"gzip": media_types.OCI_LAYER_GZIP, "zstd": media_types.OCI_LAYER_ZSTD}

# Hears how many bytes of the file were read.
Heard = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Part:
    """A layer to load: which one of the image it is, and where in the archive."""

    number: int  # 0 is the base
    file: Member
    diff_id: str
    chain_id: str
    below: list[str]  # diffIDs, base first
    parent: str  # chain ID below, "" for a base
    media_type: str = ""  # as the archive's own manifest has it: then it is kept in any case


def load_layer(content: ContentStore, layers: Layers, staging: Staging, part: Part, heard: Heard) -> Layer:
    """Unpack and commit a layer; recording it is the caller's. Raises `InvalidArgument`, and leaves nothing."""
    start = next(iter(staging.chunks(part.file)), b"")[:6]
    media_type = part.media_type or _KEPT.get(detect(start), "")
    if media_type:
        return _as_it_is(content, layers, staging, part, media_type, heard)

    def produce(out: Out) -> None:
        for piece in decompress(_watched(staging.chunks(part.file), heard)):
            out(piece)

    made = make_layer(content, layers, part.below, produce, lambda diff_id: _check(part, diff_id))
    assert made is not None
    return made


def _as_it_is(
    content: ContentStore, layers: Layers, staging: Staging, part: Part, media_type: str, heard: Heard
) -> Layer:
    digest = part.file.digest
    directory = layers.prepare(part.chain_id)
    try:
        unpacked = unpack(_watched(staging.chunks(part.file), heard), directory)
        _check(part, unpacked.diff_id)
        if not content.has(digest):
            content.copy(digest, staging.chunks(part.file))
        layers.commit(directory, part.chain_id, part.parent, unpacked)
    except BaseException:
        layers.discard(directory)
        raise
    return Layer(
        chain_id=part.chain_id,
        diff_id=part.diff_id,
        parent=part.parent,
        size=unpacked.size,
        blob_digest=digest,
        blob_size=part.file.size,
        media_type=media_type,
    )


def _check(part: Part, diff_id: str) -> None:
    if diff_id != part.diff_id:
        raise InvalidArgument(
            f'invalid diffID for layer {part.number}: expected "{part.diff_id}", got "{diff_id}"'
        )


def _watched(chunks: Iterator[bytes], heard: Heard) -> Iterator[bytes]:
    """Tell how far it has come, not too often, and at the end."""
    read, told = 0, 0.0
    for chunk in chunks:
        yield chunk
        read += len(chunk)
        if time.monotonic() - told >= REPORT_INTERVAL:
            told = time.monotonic()
            heard(read)
    heard(read)
