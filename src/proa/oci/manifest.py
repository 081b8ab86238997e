"""Image manifests and indexes, in OCI's and Docker's (version 2, schema 2) form: parsed strictly from bytes.

A document is what its media type says: one that could be read both as manifest and as index is refused,
since two clients could see different images under one digest (CVE-2021-41190).
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from proa.errors import InvalidArgument, Unsupported
from proa.oci import digest as digests
from proa.oci import media_types
from proa.oci.descriptor import Descriptor
from proa.oci.platform import Platform

Document = TypeVar("Document", bound=msgspec.Struct)

MAX_SIZE = 4 << 20  # bytes; the distribution-spec asks registries to take manifests of at least this size
MAX_LAYERS = 500  # more than any overlayfs (its stack ends there), so more than any image that could run

SCHEMA1_MESSAGE = (
    "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest "
    "the author of the image to upgrade it to the OCI Format or Docker Image manifest v2, schema 2. "
    "More information at https://docs.docker.com/go/deprecated-image-specs/"
)


class _ManifestDocument(msgspec.Struct, rename="camel"):
    config: Descriptor
    layers: list[Descriptor]
    annotations: dict[str, str] | None = None


class _IndexDocument(msgspec.Struct, rename="camel"):
    manifests: list[Descriptor]
    annotations: dict[str, str] | None = None


class Manifest:
    """One image: its configuration and its layers, base first. `raw` is the document byte by byte."""

    def __init__(self, raw: bytes, media_type: str, document: _ManifestDocument) -> None:
        self.raw = raw
        self.media_type = media_type
        self.config = document.config
        self.layers = document.layers
        self.annotations = document.annotations or {}

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, digests.of(self.raw), len(self.raw))

    def check_is_image(self) -> None:
        """Raise `Unsupported` when this is another artifact (plugin, chart, …) than a container image."""
        kind = self.config.media_type
        if kind not in media_types.IMAGE_CONFIGS:
            sort = "plugin" if kind == media_types.DOCKER_PLUGIN_CONFIG else "unknown"
            raise Unsupported(f'Encountered remote "{kind}"({sort}) when fetching')
        for layer in self.layers:
            if layer.media_type not in media_types.LAYERS:
                raise Unsupported(f'unsupported media type "{layer.media_type}" of layer {layer.digest}')


class Index:
    """One image for several platforms. `raw` is the document byte by byte."""

    def __init__(self, raw: bytes, media_type: str, document: _IndexDocument) -> None:
        self.raw = raw
        self.media_type = media_type
        self.manifests = document.manifests
        self.annotations = document.annotations or {}

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, digests.of(self.raw), len(self.raw))

    def select(self, platform: Platform) -> Descriptor | None:
        """Return the best entry for `platform`, the first of equals; None when none runs there.

        Entries without a platform are taken when nothing names one: indexes of a single image often lack it.
        """
        candidates = [entry for entry in self.manifests if _is_image(entry)]
        ranked: list[tuple[int, int]] = []
        for position, entry in enumerate(candidates):
            rank = platform.rank(entry.platform.to_platform()) if entry.platform else None
            if rank is not None:
                ranked.append((rank, position))
        if ranked:
            return candidates[min(ranked)[1]]
        if candidates and all(entry.platform is None for entry in candidates):
            return candidates[0]
        return None

    def only(self) -> Descriptor | None:
        """Return the one entry that can be an image, None when there are more or none."""
        candidates = [entry for entry in self.manifests if _is_image(entry)]
        return candidates[0] if len(candidates) == 1 else None


def _is_image(entry: Descriptor) -> bool:
    """Whether an index's entry can be an image: attestations of builders are manifests as well."""
    if entry.media_type not in media_types.MANIFESTS and entry.media_type not in media_types.INDEXES:
        return False
    return "vnd.docker.reference.type" not in (entry.annotations or {})


def parse(raw: bytes, content_type: str = "") -> Manifest | Index:
    """Parse a manifest or an index.

    `content_type` is what the registry said; the document's own `mediaType` must agree with it. Raises
    `InvalidArgument` on anything that is not exactly one image or one index, `Unsupported` on schema 1.
    """
    if len(raw) > MAX_SIZE:
        raise InvalidArgument(f"manifest is larger than {MAX_SIZE} bytes")
    header = _header(raw)
    media_type = _media_type(header, content_type.partition(";")[0].strip().lower())
    if media_type in media_types.INDEXES:
        _refuse_fields(header, "config", "layers", kind="index")
        index = _decode(raw, _IndexDocument, "index")
        for descriptor in index.manifests:
            descriptor.check()
        return Index(raw, media_type, index)
    _refuse_fields(header, "manifests", kind="manifest")
    manifest = _decode(raw, _ManifestDocument, "manifest")
    count = len(manifest.layers)
    if count > MAX_LAYERS:
        raise InvalidArgument(f"manifest has {count} layers; at most {MAX_LAYERS} can be stacked")
    for descriptor in (manifest.config, *manifest.layers):
        descriptor.check()
    return Manifest(raw, media_type, manifest)


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid manifest: {error}") from None
    if not isinstance(header, dict):
        raise InvalidArgument("invalid manifest: not a JSON object")
    return header


def _media_type(header: dict[str, Any], content_type: str) -> str:
    """Decide what the document is, from what it says, what the registry says and what it holds."""
    stated = header.get("mediaType", "")
    if not isinstance(stated, str):
        raise InvalidArgument("invalid manifest: mediaType is not a string")
    version = header.get("schemaVersion")
    if version == 1 or content_type in media_types.SCHEMA1 or stated in media_types.SCHEMA1:
        raise Unsupported(SCHEMA1_MESSAGE)
    if version != 2 or isinstance(version, bool | float):
        raise InvalidArgument(f"invalid manifest: unsupported schemaVersion {version!r}")
    known = media_types.MANIFESTS | media_types.INDEXES
    if stated and content_type in known and stated != content_type:
        raise InvalidArgument(f'invalid manifest: mediaType is "{stated}", Content-Type "{content_type}"')
    media_type = stated or (content_type if content_type in known else "")
    if not media_type:  # optional in OCI's form, so the fields decide
        media_type = media_types.OCI_INDEX if "manifests" in header else media_types.OCI_MANIFEST
    if media_type not in known:
        raise Unsupported(f'unsupported manifest media type "{media_type}"')
    return media_type


def _refuse_fields(header: dict[str, Any], *names: str, kind: str) -> None:
    for name in names:
        if name in header:
            raise InvalidArgument(f"invalid {kind}: it has the field {name!r}, so it is ambiguous")


def _decode(raw: bytes, kind: type[Document], what: str) -> Document:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid {what}: {error}") from None
