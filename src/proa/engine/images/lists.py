"""Manifests at registries, and lists of them (indexes): what `proa manifest` and `proa image outdated` ask for.

Nothing is kept here. The parts of a list may come from other repositories of the same registry.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial

from proa.errors import InvalidArgument
from proa.oci import digest as digests
from proa.oci import image_config, media_types
from proa.oci import manifest as manifests
from proa.oci.descriptor import Descriptor
from proa.oci.image_config import ImageConfig
from proa.oci.manifest import Manifest
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry, Repository

MOST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index as a registry has it; `platform` of what a manifest's configuration says."""

    raw: bytes
    media_type: str
    platform: Platform | None

    @property
    def digest(self) -> str:
        return digests.of(self.raw)


@dataclass(frozen=True, slots=True)
class Part:
    """One manifest of a list, and where it is now."""

    reference: Reference
    raw: bytes
    media_type: str


class Lists:
    """The use cases. `insecure` lets a registry do without a verified certificate, or without TLS."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def look(self, reference: Reference, credentials: Credentials | None, insecure: bool) -> Document:
        """Return what a registry has under a name."""
        repository = self._registry.inspected(reference, credentials, insecure=insecure)
        raw, content_type = await repository.document()
        found = manifests.parse(raw, content_type)
        platform = None
        if isinstance(found, Manifest) and found.config.media_type in media_types.IMAGE_CONFIGS:
            config = ImageConfig.parse(await repository.read(found.config, image_config.MAX_SIZE))
            platform = Platform(  # as it is written there: an arm64 keeps its v8
                config.os, config.architecture, config.variant,
                str(config.document.get("os.version") or ""),
                tuple(map(str, config.document.get("os.features") or ())),
            )  # fmt: skip
        return Document(raw, found.media_type, platform)

    async def digest(self, reference: Reference, credentials: Credentials | None) -> str:
        """Return the digest that a name has at its registry, which counts for no limit of pulls."""
        return await self._registry.inspected(reference, credentials).digest()

    async def push(
        self,
        reference: Reference,
        raw: bytes,
        media_type: str,
        parts: Sequence[Part],
        credentials: Credentials | None,
        insecure: bool,
    ) -> list[str]:
        """Give a repository a list under a tag, and first those of its parts that are elsewhere, with their blobs.
        Returns the digests of these parts."""
        if not reference.tag:
            raise InvalidArgument(f"{reference.familiar} names no tag to push a manifest list to")
        if len(parts) > MOST_PARTS:
            raise InvalidArgument(f"a manifest list of {len(parts)} manifests is more than {MOST_PARTS}")
        index = manifests.parse(raw, media_type)
        if isinstance(index, Manifest):
            raise InvalidArgument(f"{reference.familiar} is to be a manifest list and is a manifest")
        target = self._registry.target(reference, credentials, insecure=insecure)
        pushed: list[str] = []
        for part in parts:
            if part.reference.name == reference.name:
                continue
            if part.reference.domain != reference.domain:
                raise InvalidArgument(
                    "cannot use source images from a different registry than the target image: "
                    f"{part.reference.domain} != {reference.domain}"
                )
            manifest = manifests.parse(part.raw, part.media_type)
            if not isinstance(manifest, Manifest):
                raise InvalidArgument(f"{part.reference.familiar} is a manifest list")
            source = self._registry.repository(part.reference, credentials, insecure=insecure)
            for blob in (manifest.config, *manifest.layers):
                await target.push_blob(blob, partial(_copied, source, blob), sources=[part.reference.path])
            await target.push_manifest(manifest.descriptor.digest, part.raw, manifest.media_type)
            pushed.append(manifest.descriptor.digest)
        await target.push_manifest(reference.tag, raw, index.media_type)
        return pushed


async def _copied(source: Repository, blob: Descriptor, offset: int) -> AsyncGenerator[bytes, None]:
    """Yield a blob of another repository, for a registry that does not mount it."""
    async for chunk in source.fetch(blob, offset):
        yield chunk
