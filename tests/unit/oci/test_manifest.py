"""Manifests and indexes: both dialects, selection by platform, what is not an image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proa.errors import Unsupported
from proa.oci import digest as digests
from proa.oci import manifest, media_types
from proa.oci.manifest import Index, Manifest
from proa.oci.platform import Platform

SHA = "sha256:" + "ab" * 32


def image(**changes: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": {"mediaType": media_types.OCI_CONFIG, "digest": SHA, "size": 2},
        "layers": [{"mediaType": media_types.OCI_LAYER_GZIP, "digest": SHA, "size": 3}],
        "annotations": {"a": "b"},
        **changes,
    }


def entry(platform: str = "", **changes: Any) -> dict[str, Any]:
    descriptor: dict[str, Any] = {"mediaType": media_types.OCI_MANIFEST, "digest": SHA, "size": 2}
    if platform:
        system, architecture, *variant = platform.split("/")
        descriptor["platform"] = {"os": system, "architecture": architecture}
        if variant:
            descriptor["platform"]["variant"] = variant[0]
    return {**descriptor, **changes}


def index(*entries: dict[str, Any]) -> Index:
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": list(entries)}
    parsed = manifest.parse(json.dumps(document).encode())
    assert isinstance(parsed, Index)
    return parsed


@pytest.mark.parametrize("media_type", sorted(media_types.MANIFESTS))
def test_a_manifest_of_both_dialects(media_type: str) -> None:
    raw = json.dumps(image(mediaType=media_type), indent=3).encode()
    parsed = manifest.parse(raw, media_type + "; charset=utf-8")
    assert isinstance(parsed, Manifest)
    assert parsed.descriptor.digest == digests.of(raw)
    assert (parsed.media_type, parsed.config.size, parsed.layers[0].digest) == (media_type, 2, SHA)
    assert parsed.annotations == {"a": "b"}
    parsed.check_is_image()


def test_without_media_type_the_fields_decide() -> None:
    document = image()
    del document["mediaType"]
    assert isinstance(manifest.parse(json.dumps(document).encode(), "application/json"), Manifest)
    assert isinstance(manifest.parse(b'{"schemaVersion":2,"manifests":[]}'), Index)


def test_other_artifacts_are_named() -> None:
    chart = image(config={"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": SHA, "size": 2})
    parsed = manifest.parse(json.dumps(chart).encode())
    assert isinstance(parsed, Manifest)
    with pytest.raises(Unsupported, match=r'Encountered remote "application/vnd.cncf.helm.*"\(unknown\)'):
        parsed.check_is_image()
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+encrypted", "digest": SHA, "size": 3}
    parsed = manifest.parse(json.dumps(image(layers=[layer])).encode())
    assert isinstance(parsed, Manifest)
    with pytest.raises(Unsupported, match="unsupported media type"):
        parsed.check_is_image()


def test_selection_takes_the_best_and_of_equals_the_first() -> None:
    other = "sha256:" + "cd" * 32
    chosen = index(
        entry("linux/386"),
        entry("linux/amd64", annotations={"vnd.docker.reference.type": "attestation-manifest"}),
        entry("linux/amd64", mediaType="application/x-something"),
        entry("linux/amd64", digest=other),
        entry("linux/amd64"),
    ).select(Platform("linux", "amd64"))
    assert chosen is not None
    assert chosen.digest == other


def test_selection_ignores_attestations_and_foreign_platforms() -> None:
    assert index(entry("unknown/unknown"), entry("linux/arm64")).select(Platform("linux", "amd64")) is None
    assert index().select(Platform("linux", "amd64")) is None


def test_an_index_that_names_no_platform_gives_its_first_image() -> None:
    assert index(entry()).select(Platform("linux", "amd64")) is not None
    assert index(entry(), entry("linux/arm64")).select(Platform("linux", "amd64")) is None
