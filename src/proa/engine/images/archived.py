"""What an archive of images holds, in whichever of its forms: found, checked, and not yet touched.

manifest.json (Docker since 1.10, Podman, skopeo, buildah) comes first where it is, as in Docker; else the index
of an OCI image layout (image-layout.md); else the layers of Docker before 1.10 (archived_v1.py). Since Docker 25
one archive has both of the first two.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from proa.engine.images import archived_v1
from proa.engine.images.staging import Member, Staging
from proa.errors import InvalidArgument, NotFound, Unsupported
from proa.oci import digest as digests
from proa.oci import image_config, media_types, platform
from proa.oci import manifest as manifests
from proa.oci.descriptor import Descriptor
from proa.oci.image_config import ImageConfig
from proa.oci.manifest import Index, Manifest
from proa.oci.platform import Platform
from proa.oci.reference import Reference

MANIFEST, INDEX, LAYOUT, REPOSITORIES = "manifest.json", "index.json", "oci-layout", "repositories"
IMAGE_NAME = "io.containerd.image.name"  # annotation: the name in full
REF_NAME = "org.opencontainers.image.ref.name"  # annotation (annotations.md): a tag, or a name in full
# Annotation: the image's manifest as registries have it; the entry's own may be made of it, in OCI's form.
ORIGINAL = "io.proa.image.original-manifest"

_MAX_LIST = 16 << 20  # bytes of manifest.json
_MOST_IMAGES = 1000
_MAX_DEPTH = 4  # of indexes in indexes


@dataclass
class Found:
    """One image of an archive. `layers` has a file for each of the configuration's layers, base first."""

    config: ImageConfig
    layers: list[Member]
    names: list[Reference] = field(default_factory=list)
    manifest: Manifest | None = None  # whose layers are these files
    parent: str = ""  # another image of the archive


class ManifestItem(msgspec.Struct, rename="pascal", omit_defaults=True):
    """An entry of manifest.json; paths are those of the archive."""

    config: str
    repo_tags: list[str] | None = None
    layers: list[str] | None = None
    parent: str = ""


def find(staging: Staging, wanted: Platform | None) -> list[Found]:
    """Return the images of an archive, with `wanted` only those for that platform.

    Raises `InvalidArgument` for what is wrong with it, `NotFound` when none is for the platform.
    """
    if MANIFEST in staging:
        found = _docker(staging)
    elif INDEX in staging:
        return _layout(staging, wanted)
    elif REPOSITORIES in staging:
        found = [
            Found(ImageConfig.parse(config), layers, [Reference.parse(name) for name in names])
            for config, layers, names in archived_v1.find(staging, REPOSITORIES)
        ]
    else:
        raise InvalidArgument(f"invalid archive: does not contain a {MANIFEST}")
    if wanted is None:
        return found
    suitable = [image for image in found if wanted.matches(image.config.platform)]
    if found and not suitable:
        raise _none_for(wanted)
    return suitable


def _docker(staging: Staging) -> list[Found]:
    raw = staging.read(staging.member(MANIFEST), _MAX_LIST, MANIFEST)
    try:
        items = msgspec.json.decode(raw, type=list[ManifestItem] | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid archive: failed to decode {MANIFEST}: {error}") from None
    if items is None:
        raise InvalidArgument("invalid manifest, manifest cannot be null (but can be [])")
    if len(items) > _MOST_IMAGES:
        raise InvalidArgument(f"invalid archive: it has more than {_MOST_IMAGES} images")
    known: list[Manifest] = []
    if INDEX in staging:
        with suppress(InvalidArgument, Unsupported):  # manifest.json alone is enough
            known = list(_manifests(staging))
    return [_docker_image(staging, item, known) for item in items]


def _docker_image(staging: Staging, item: ManifestItem, known: Iterable[Manifest]) -> Found:
    file = staging.member(item.config)
    named = item.config.rpartition("/")[2]
    if item.config.startswith("blobs/sha256/") and file.digest != f"sha256:{named}":
        raise InvalidArgument(f"invalid archive: the blob sha256:{named} has the digest {file.digest}")
    config = _config(staging, file)
    layers = [staging.member(path) for path in item.layers or ()]
    _check_count(config, layers)
    names = []
    for text in item.repo_tags or ():
        reference = Reference.parse(text, default_tag=None)
        if not reference.tag:
            raise InvalidArgument(f'invalid tag "{text}"')
        names.append(reference.with_tag(reference.tag))
    manifest = next((one for one in known if _fits(one, config, layers)), None)
    return Found(config, layers, names, manifest, item.parent)


def _fits(manifest: Manifest, config: ImageConfig, layers: list[Member]) -> bool:
    """Whether a manifest says the same as manifest.json."""
    digests_of = [layer.digest for layer in manifest.layers]
    return manifest.config.digest == config.digest and digests_of == [layer.digest for layer in layers]


def _manifests(staging: Staging) -> Iterable[Manifest]:
    """Yield the manifests that index.json leads to and that may go to a registry as they are.

    Docker writes some whose layers are all uncompressed: it would compress them on their way to a registry. Of
    images for several platforms only some need to be in the archive.
    """
    waiting = list(_index(staging).manifests)
    seen: set[str] = set()
    while waiting:
        entry = waiting.pop()
        if entry.digest in seen or not staging.has_blob(entry.digest):
            continue
        seen.add(entry.digest)
        parsed = _parse(staging, entry.digest, "")
        if isinstance(parsed, Index):
            waiting += parsed.manifests
            continue
        original = _original(staging, entry, parsed)
        if original or not all(layer.media_type in media_types.PLAIN_LAYERS for layer in parsed.layers):
            yield original or parsed


def _original(staging: Staging, entry: Descriptor, manifest: Manifest) -> Manifest | None:
    """Return the manifest that an annotation says this one was made of; other tools carry it to other images."""
    digest = (entry.annotations or {}).get(ORIGINAL, "")
    if not digests.is_valid(digest) or not staging.has_blob(digest):
        return None
    parsed = _parse(staging, digest, "")
    if not isinstance(parsed, Manifest) or parsed.config.digest != manifest.config.digest:
        return None
    return parsed


def _layout(staging: Staging, wanted: Platform | None) -> list[Found]:
    """Return the images of an OCI layout: each name of index.json is one, and so is all without a name."""
    groups: dict[str, list[Descriptor]] = {}
    index = _index(staging)
    if len(index.manifests) > _MOST_IMAGES:
        raise InvalidArgument(f"invalid archive: it has more than {_MOST_IMAGES} images")
    for entry in index.manifests:
        annotations = entry.annotations or {}
        name = annotations.get(IMAGE_NAME) or annotations.get(REF_NAME) or ""
        if entry.platform is None:  # several images without a name are no variants of one
            name = name or entry.digest
        groups.setdefault(name, []).append(entry)
    found: dict[str, Found] = {}
    for name, entries in groups.items():
        image = _from_entries(staging, entries, wanted)
        if image is None:
            continue
        image = found.setdefault(image.config.digest, image)
        image.names += [reference for reference in _reference(name) if reference not in image.names]
    if index.manifests and not found:
        raise _none_for(wanted or platform.default())
    return list(found.values())


def _reference(name: str) -> list[Reference]:
    """Return what an annotation names; a tag alone, and a digest, name nothing here."""
    if digests.is_valid(name) or not any(mark in name for mark in ":/"):
        return []
    try:
        reference = Reference.parse(name)
    except InvalidArgument:
        return []
    return [reference.with_tag(reference.tag)] if reference.tag else []


def _from_entries(staging: Staging, entries: list[Descriptor], wanted: Platform | None) -> Found | None:
    """Return the image that suits among a name's entries, None when there is none."""
    raw = msgspec.json.encode({"schemaVersion": 2, "manifests": entries})
    parsed = manifests.parse(raw, media_types.OCI_INDEX)
    for _ in range(_MAX_DEPTH):
        if isinstance(parsed, Manifest):
            return _layout_image(staging, parsed, wanted)
        entry = parsed.select(wanted or platform.default())
        if entry is None and wanted is None:
            entry = parsed.only()  # made for another machine, and still what was meant
        if entry is None:
            return None
        parsed = _parse(staging, entry.digest, entry.media_type)
        if isinstance(parsed, Manifest):
            parsed = _original(staging, entry, parsed) or parsed
    raise InvalidArgument(f"invalid archive: its indexes are nested more than {_MAX_DEPTH} deep")


def _layout_image(staging: Staging, manifest: Manifest, wanted: Platform | None) -> Found | None:
    manifest.check_is_image()
    config = _config(staging, staging.blob(manifest.config.digest))
    if wanted is not None and not wanted.matches(config.platform):
        return None
    layers = [staging.blob(layer.digest) for layer in manifest.layers]
    _check_count(config, layers)
    return Found(config, layers, [], manifest)


def _index(staging: Staging) -> Index:
    raw = staging.read(staging.member(INDEX), manifests.MAX_SIZE, INDEX)
    index = manifests.parse(raw, media_types.OCI_INDEX)
    if not isinstance(index, Index):
        raise InvalidArgument(f"invalid archive: {INDEX} is no index")
    return index


def _parse(staging: Staging, digest: str, media_type: str) -> Manifest | Index:
    digests.validate(digest)
    return manifests.parse(staging.read(staging.blob(digest), manifests.MAX_SIZE, digest), media_type)


def _config(staging: Staging, file: Member) -> ImageConfig:
    config = ImageConfig.parse(staging.read(file, image_config.MAX_SIZE, "a configuration"))
    if config.platform.os != "linux":
        raise Unsupported(f"cannot load {config.platform.os} image on linux")
    return config


def _check_count(config: ImageConfig, layers: list[Member]) -> None:
    listed, described = len(layers), len(config.diff_ids)
    if listed != described:
        raise InvalidArgument(f"invalid manifest, layers length mismatch: expected {listed}, got {described}")
    if listed > manifests.MAX_LAYERS:
        raise InvalidArgument(f"invalid manifest: {listed} layers are more than can be stacked")


def _none_for(wanted: Platform) -> NotFound:
    return NotFound(f"no suitable image for platform {wanted} in the archive")
