"""Bodies of /proa/manifests."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from msgspec import field

from proa.api.types.base import Wire


class ListPart(Wire):
    """One manifest of a list: where it is now, and its bytes (base64 in JSON)."""

    ref: str
    raw: bytes
    media_type: str = field(default="", name="MediaType")


class ListPush(Wire):
    """`POST /proa/manifests/{name}`: a manifest list to push."""

    raw: bytes
    media_type: str = field(default="", name="MediaType")
    manifests: list[ListPart] = []
