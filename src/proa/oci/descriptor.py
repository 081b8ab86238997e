"""Descriptors: what points at a blob by media type, digest and size (OCI image-spec, descriptor.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from proa.errors import InvalidArgument
from proa.oci import digest as digests
from proa.oci.platform import Platform

MAX_SIZE = 1 << 50  # a petabyte: beyond it a size is a mistake or an attack


class PlatformRecord(msgspec.Struct, rename={"os_version": "os.version", "os_features": "os.features"},
                     omit_defaults=True, frozen=True):  # fmt: skip
    """The platform of an index's entry in its JSON form."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = ""
    os_features: list[str] | None = None

    def to_platform(self) -> Platform:
        features = tuple(self.os_features or ())
        return Platform(self.os, self.architecture, self.variant, self.os_version, features)


class Descriptor(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """A blob or manifest somewhere. `size` is in bytes. `check` must pass before any field is used."""

    media_type: str
    digest: str
    size: int
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    data: str | None = None  # base64 of the content itself
    platform: PlatformRecord | None = None
    artifact_type: str = ""

    def check(self) -> None:
        """Raise `InvalidArgument` when digest or size make no sense."""
        digests.validate(self.digest)
        if not 0 <= self.size <= MAX_SIZE:
            raise InvalidArgument(f"descriptor of {self.digest} has an impossible size: {self.size}")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, without absent fields."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built
