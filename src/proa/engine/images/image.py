"""What the engine knows of an image and of a layer."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from proa import times
from proa.errors import InvalidArgument
from proa.oci.image_config import ImageConfig


class Layer(msgspec.Struct, kw_only=True, frozen=True):
    """An unpacked layer; `blob_*` describe the compressed form a registry has ("" when made here)."""

    chain_id: str
    diff_id: str
    parent: str = ""  # chain ID below, "" for a base
    size: int  # bytes, unpacked
    blob_digest: str = ""
    blob_size: int = 0  # bytes, compressed
    media_type: str = ""


class Image(msgspec.Struct, kw_only=True):
    """One image at the time it was asked for. Times are nanoseconds since the epoch, 0 for never."""

    id: str  # digest of the configuration
    config: ImageConfig
    layers: list[str]  # chain IDs, base first
    size: int  # bytes, unpacked, all layers
    names: list[str]  # "busybox:latest", as users write them
    repo_digests: list[str]  # "busybox@sha256:…"
    manifest_digest: str = ""
    manifest_media_type: str = ""
    parent: str = ""  # the image it was built on here
    pulled_at: int = 0
    tagged_at: int = 0

    @property
    def created(self) -> int:
        """When it was made as its configuration says; 0 when that says nothing sensible."""
        return _moment(self.config.created)


@lru_cache(1024)  # lists sort by it, and show it
def _moment(text: str) -> int:
    try:
        return times.parse_time(text)
    except InvalidArgument:
        return 0
