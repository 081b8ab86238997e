"""Archives of every writer: Docker of all times, Podman, skopeo, buildah, umoci, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma

import pytest
import zstandard

from proa.oci import manifest as manifests
from proa.oci import media_types
from rig import archives, images
from rig.archives import tar
from rig.pulling import Stage, three_layers
from rig.rawtar import header, member
from rig.trees import Tree

pytestmark = pytest.mark.root

FORMS = {
    "docker-archive": lambda image: archives.docker(image, "form:1"),
    "compressed layers": lambda image: archives.docker(image, "form:1", compressed=True),
    "docker before 25": lambda image: archives.docker_before_25(image, "form:1"),
    "oci layout": lambda image: archives.layout(
        image, annotations={"org.opencontainers.image.ref.name": "form:1"}
    ),
    "oci layout of containerd": lambda image: archives.layout(
        image,
        annotations={
            "io.containerd.image.name": "docker.io/library/form:1",
            "org.opencontainers.image.ref.name": "1",
        },
    ),
    "both": lambda image: archives.layout(image) | archives.docker(image, "form:1", compressed=True),
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form(stage: Stage, form: str) -> None:
    image = three_layers()
    assert await stage.load(tar(FORMS[form](image))) == ["Loaded image: form:1"]
    loaded = stage.images.get("form:1")
    assert loaded.id == image.config_digest
    base, middle, top = (stage.layers.directory(chain) for chain in loaded.layers)
    assert (middle / "etc/a").read_text() == "2"
    assert (top / "b").read_text() == "3"
    assert (base / "noise").stat().st_size == 600_000
    manifest = manifests.parse(stage.content.read(loaded.manifest_digest))
    assert isinstance(manifest, manifests.Manifest)
    for descriptor in manifest.layers:
        assert stage.content.verify(descriptor.digest)
    if form.startswith(("oci", "both")):
        assert loaded.manifest_digest == image.digest


async def test_uncompressed_layers_are_kept_as_dockerd_would_push_them(stage: Stage) -> None:
    await stage.load(tar(archives.docker(three_layers(), "form:1")))
    manifest = manifests.parse(stage.content.read(stage.images.get("form:1").manifest_digest))
    assert isinstance(manifest, manifests.Manifest)
    assert manifest.media_type == media_types.DOCKER_MANIFEST
    assert {layer.media_type for layer in manifest.layers} == {media_types.DOCKER_LAYER_GZIP}
    raw = manifest.raw.decode()
    assert raw == json.dumps(json.loads(raw), indent=3)
    assert list(json.loads(raw)["config"]) == ["mediaType", "size", "digest"]


async def test_one_platform_of_an_index(stage: Stage) -> None:
    """As Docker's newer store saves what it pulled: the index is whole, other platforms' parts are not there."""
    arm = images.build([Tree().file("arm")], architecture="arm64")
    amd = images.build([Tree().file("amd")])
    index = images.index([arm, amd])
    files = archives.layout(index)
    for name in (arm.digest, *arm.blobs):
        files.pop(f"blobs/sha256/{name[7:]}", None)
    item = {
        "Config": f"blobs/sha256/{amd.config_digest[7:]}",
        "RepoTags": ["form:1"],
        "Layers": [f"blobs/sha256/{layer['digest'][7:]}" for layer in json.loads(amd.document)["layers"]],
    }
    await stage.load(tar(files | {"manifest.json": images.encode([item])}))
    assert stage.images.get("form:1").manifest_digest == amd.digest


async def test_layers_that_docker_25_lists_uncompressed(stage: Stage) -> None:
    """It writes a manifest of them as well, which no registry has ever seen."""
    image = images.build([images.layer(Tree().file("a"), ""), images.layer(Tree().file("b"), "")])
    files = archives.layout(image) | archives.docker(image, "form:1")
    layers = [f"blobs/sha256/{layer['digest'][7:]}" for layer in json.loads(image.document)["layers"]]
    item = {"Config": f"blobs/sha256/{image.config_digest[7:]}", "RepoTags": ["form:1"], "Layers": layers}
    await stage.load(tar(files | {"manifest.json": images.encode([item])}))
    assert stage.images.get("form:1").manifest_media_type == media_types.DOCKER_MANIFEST


@pytest.mark.parametrize("packer", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
async def test_compressed_archives(stage: Stage, packer: object) -> None:
    assert callable(packer)
    archive = packer(tar(archives.docker(three_layers(), "form:1")))
    assert await stage.load(archive) == ["Loaded image: form:1"]


@pytest.mark.parametrize("packer", [bz2.compress, lzma.compress])
async def test_layers_no_registry_knows_are_compressed_anew(stage: Stage, packer: object) -> None:
    assert callable(packer)
    image = images.build([Tree().file("a", "b" * 1000)])
    files = archives.docker(image, "form:1")
    layer = next(name for name in files if name.endswith(".tar"))
    await stage.load(tar(files | {layer: packer(files[layer])}))
    (row,) = stage.images.store.layers.all()
    assert (row.diff_id, row.media_type) == (image.diff_ids[0], media_types.OCI_LAYER_GZIP)
    assert gzip.decompress(stage.content.read(row.blob_digest)) == files[layer]


async def test_docker_before_1_10(stage: Stage) -> None:
    layers = [Tree().file("a", "1").tar(), Tree().file("b", "2").tar()]
    files = archives.version_1(layers, "old/image:1", Cmd=["sh"], Env=["A=<&>"])
    assert await stage.load(tar(files)) == ["Loaded image: old/image:1"]
    loaded = stage.images.get("old/image:1")
    # The identifier that dockerd 28.5 gives it.
    assert loaded.id == "sha256:a57e1e0cfd5e2862283af7e8d62740dfa8d94d7d18e567cc54c766da02151140"
    assert loaded.config.cmd == ["sh"]
    assert loaded.config.diff_ids == [images.digest(layer) for layer in layers]
    assert [step["created_by"] for step in loaded.config.history] == [
        "/bin/sh -c step 0 <&>", "/bin/sh -c step 1 <&>",
    ]  # fmt: skip


async def test_links_between_layers(stage: Stage) -> None:
    """Docker before 25 wrote a layer once and linked its other names to it."""
    image = images.build([Tree().file("a"), Tree().file("b"), Tree().file("a")])
    files = archives.docker_before_25(image, "linked:1")
    first, _, third = (name for name in files if name.endswith("layer.tar"))
    del files[third]
    link = header(third.encode(), kind=b"2", link=f"../{first}".encode())
    archive = tar(files, link)
    assert await stage.load(archive) == ["Loaded image: linked:1"]
    assert len(stage.images.get("linked:1").layers) == 3


async def test_hard_links_between_layers(stage: Stage) -> None:
    image = images.build([Tree().file("a"), Tree().file("a")])
    files = archives.docker_before_25(image, "linked:1")
    first, second = (name for name in files if name.endswith("layer.tar"))
    del files[second]
    link = header(second.encode(), kind=b"1", link=first.encode())
    assert await stage.load(tar(files, link)) == ["Loaded image: linked:1"]


async def test_names_written_in_other_ways(stage: Stage) -> None:
    """`tar -C directory -c .` begins all names with "./"; a file replaces an earlier one of its name."""
    files = archives.docker(images.build([Tree().file("a")]), "dotted:1")
    broken = member(b"./manifest.json", b"nonsense")
    archive = broken + tar({f"./{name}": data for name, data in files.items()})
    assert await stage.load(archive) == ["Loaded image: dotted:1"]


async def test_an_index_of_platforms(stage: Stage) -> None:
    arm = images.build([Tree().file("arm")], architecture="arm64")
    amd = images.build([Tree().file("amd")])
    index = images.index([arm, amd])
    annotations = {"org.opencontainers.image.ref.name": "multi:1"}
    archive = tar(archives.layout(index, annotations=annotations))
    await stage.load(archive)
    assert stage.images.get("multi:1").id == amd.config_digest
    await stage.load(archive, platform="linux/arm64")
    assert stage.images.get("multi:1").id == arm.config_digest
    await stage.load(tar(archives.layout(arm, amd, annotations=annotations)))
    assert stage.images.get("multi:1").id == amd.config_digest


async def test_a_single_image_of_another_platform(stage: Stage) -> None:
    arm = images.build([Tree().file("arm")], architecture="arm64")
    assert await stage.load(tar(archives.layout(arm))) == [f"Loaded image ID: {arm.config_digest}"]


async def test_a_tag_alone_names_nothing(stage: Stage) -> None:
    image = images.build([Tree().file("a")])
    files = archives.layout(image, annotations={"org.opencontainers.image.ref.name": "latest"})
    assert await stage.load(tar(files)) == [f"Loaded image ID: {image.config_digest}"]


async def test_parents(stage: Stage) -> None:
    base = images.build([Tree().file("a")], created_by=["first"])
    child = images.build([Tree().file("a"), Tree().file("b")], created_by=["first", "second"])
    files = archives.docker(base, "base:1") | archives.docker(child, "child:1")
    items = [
        *json.loads(archives.docker(child, "child:1")["manifest.json"]),
        *json.loads(archives.docker(base, "base:1")["manifest.json"]),
    ]
    items[0]["Parent"] = base.config_digest
    await stage.load(tar(files | {"manifest.json": images.encode(items)}))
    assert stage.images.get("child:1").parent == base.config_digest
    assert [item.id for item in stage.images.history("child:1")] == [child.config_digest, base.config_digest]


async def test_images_without_layers(stage: Stage) -> None:
    image = images.build([])
    assert await stage.load(tar(archives.docker(image, "empty:1"))) == ["Loaded image: empty:1"]
    assert await stage.load(await stage.save("empty:1")) == ["Loaded image: empty:1"]
    assert await stage.load(tar({"manifest.json": b"[]"})) == []
