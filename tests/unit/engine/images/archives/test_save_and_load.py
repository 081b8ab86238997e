"""`save` and `load` from store to store: what is in the archive, and what becomes of it."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile

import pytest

from proa.engine.images.progress import Progress
from proa.errors import InvalidArgument, NotFound
from proa.oci import manifest as manifests
from proa.oci import media_types
from rig import archives, images
from rig.images import Image
from rig.pulling import Stage, three_layers
from rig.registry import Registry as RealRegistry
from rig.trees import Tree

pytestmark = pytest.mark.root


def files_of(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {info.name: (opened.extractfile(info) or io.BytesIO()).read() for info in opened if info.isreg()}


async def pulled(stage: Stage, origin: RealRegistry, image: Image, repository: str, tag: str = "latest") -> str:
    origin.push(image, repository, tag)
    name = f"{origin.address}/{repository}:{tag}"
    await stage.pull(name)
    return name


@pytest.mark.parametrize("style", ["oci", "docker"])
async def test_an_image_goes_through_unchanged(
    stage: Stage, other: Stage, origin: RealRegistry, style: images.Style
) -> None:
    image = three_layers(style=style)
    name = await pulled(stage, origin, image, f"through/{style}")
    archive = await stage.save(name)
    assert await other.load(archive) == [f"Loaded image: {name}"]
    before, after = stage.images.get(name), other.images.get(name)
    assert (after.id, after.manifest_digest) == (before.id, image.digest)
    assert after.repo_digests == []
    for digest, data in image.blobs.items():
        assert other.content.read(digest) == data
    assert other.content.read(image.digest) == image.document
    assert (other.layers.directory(after.layers[1]) / "etc/a").read_text() == "2"
    assert await other.save(name) == archive


async def test_what_is_in_an_archive(stage: Stage, origin: RealRegistry) -> None:
    image = three_layers(style="docker")
    name = await pulled(stage, origin, image, "inside", "v1")
    archive = await stage.save(name)
    files = files_of(archive)
    assert sorted(files) == list(files)
    assert files["oci-layout"] == b'{"imageLayoutVersion": "1.0.0"}'
    (item,) = json.loads(files["manifest.json"])
    layers = [layer["digest"] for layer in json.loads(image.document)["layers"]]
    assert item["Config"] == f"blobs/sha256/{image.config_digest[7:]}"
    assert item["RepoTags"] == [name]
    assert item["Layers"] == [f"blobs/sha256/{digest[7:]}" for digest in layers]
    repository = name.removesuffix(":v1")
    assert json.loads(files["repositories"]) == {repository: {"v1": layers[-1][7:]}}
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["mediaType"] == media_types.OCI_MANIFEST
    assert entry["annotations"] == {
        "io.proa.image.original-manifest": image.digest,
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": "v1",
    }
    manifest = manifests.parse(files[f"blobs/sha256/{entry['digest'][7:]}"])
    assert isinstance(manifest, manifests.Manifest)
    assert [layer.media_type for layer in manifest.layers] == [
        media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_ZSTD, media_types.OCI_LAYER,
    ]  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert {(info.mtime, info.uid, info.uname) for info in opened} == {(0, 0, "")}


async def test_several_images_share_layers(stage: Stage, other: Stage, origin: RealRegistry) -> None:
    base = images.layer(Tree().file("base", "x" * 5000))
    one = await pulled(stage, origin, images.build([base, Tree().file("one")]), "several", "1")
    two = await pulled(stage, origin, images.build([base, Tree().file("two")]), "several", "2")
    stage.images.tag(one, "alias:x")
    archive = await stage.save(one.removesuffix(":1"), "alias:x")
    told = await other.load(archive)
    assert told == [f"Loaded image: {one}", "Loaded image: alias:x", f"Loaded image: {two}"]
    assert archive.count(base.blob) == 1
    assert other.images.get("alias:x").names == [one, "alias:x"] or other.images.get("alias:x").names == [
        "alias:x", one,
    ]  # fmt: skip
    assert await other.load(archive) == told


async def test_without_a_name(stage: Stage, other: Stage, origin: RealRegistry) -> None:
    name = await pulled(stage, origin, three_layers(), "nameless")
    identifier = stage.images.get(name).id
    archive = await stage.save(identifier[7:20])
    assert "repositories" not in files_of(archive)
    assert await other.load(archive) == [f"Loaded image ID: {identifier}"]
    assert await stage.save(f"{name.removesuffix(':latest')}@{stage.images.get(name).manifest_digest}") == archive
    assert await stage.save(identifier, name) == await stage.save(name)
    assert files_of(await stage.save())["manifest.json"] == b"[]\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch", "No such image: nosuch"),
        ("nosuch:1", "reference does not exist"),
        ("abcdef", "No such image: abcdef"),
        ("sha256:" + "a" * 64, f"No such image: sha256:{'a' * 64}"),
    ],
)
async def test_what_is_not_there(stage: Stage, name: str, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        await stage.save(name)
    with pytest.raises(InvalidArgument, match="must be lowercase"):
        await stage.save("Upper")


async def test_platforms(stage: Stage, other: Stage, origin: RealRegistry) -> None:
    name = await pulled(stage, origin, three_layers(), "platforms")
    archive = await stage.save(name, platform="linux/amd64")
    with pytest.raises(NotFound, match="no suitable export target found for platform linux/arm64"):
        await stage.save(name, platform="linux/arm64")
    with pytest.raises(NotFound, match="no suitable image for platform linux/arm64 in the archive"):
        await other.load(archive, platform="linux/arm64")
    assert other.trace() == ([], [], [])
    assert await other.load(archive, platform="linux/amd64") == [f"Loaded image: {name}"]


async def test_layers_are_told_of_once(stage: Stage, other: Stage, origin: RealRegistry) -> None:
    name = await pulled(stage, origin, three_layers(), "told")
    archive = await stage.save(name)
    said: list[Progress] = []
    await other.load(archive, progress=said.append)
    diff_ids = [one[7:19] for one in stage.images.get(name).config.diff_ids]
    assert list(dict.fromkeys(each.id for each in said)) == diff_ids
    assert {each.status for each in said} == {"Loading layer"}
    last = [each for each in said if each.id == diff_ids[0]][-1]
    assert last.current == last.total and last.total
    said.clear()
    await other.load(archive, progress=said.append)
    assert said == []


async def test_a_name_moves(stage: Stage, other: Stage, origin: RealRegistry) -> None:
    name = await pulled(stage, origin, images.build([Tree().file("old")]), "moves")
    old = stage.images.get(name).id
    await other.load(await stage.save(name))
    name = await pulled(stage, origin, images.build([Tree().file("new")]), "moves")
    assert await other.load(await stage.save(name)) == [
        f"The image {name} already exists, renaming the old one with ID {old} to empty string",
        f"Loaded image: {name}",
    ]
    assert other.images.get(old).names == []


async def test_events(stage: Stage, other: Stage, origin: RealRegistry) -> None:
    name = await pulled(stage, origin, three_layers(), "events")
    saved, loaded = stage.events.subscribe(), other.events.subscribe()
    await other.load(await stage.save(name))
    for subscription, action in ((saved, "save"), (loaded, "load")):
        event = await anext(aiter(subscription))
        identifier = stage.images.get(name).id
        assert (event.action, event.id) == (action, identifier)
        assert event.attributes == {"kind": "test", "name": identifier}
        subscription.close()


async def test_another_form_of_a_layer_makes_another_manifest(
    stage: Stage, other: Stage, origin: RealRegistry
) -> None:
    """The second image's manifest names a blob that is not here: its layer came with the first one."""
    tree = Tree().file("same", "x" * 1000)
    first = images.build([images.layer(tree, "gzip")], style="docker")
    second = images.build([images.layer(tree, "zstd")], {"Env": ["A=1"]}, style="docker")
    await pulled(stage, origin, first, "form", "1")
    name = await pulled(stage, origin, second, "form", "2")
    assert await other.load(await stage.save(name)) == [f"Loaded image: {name}"]
    after = other.images.get(name)
    assert after.id == second.config_digest
    manifest = manifests.parse(other.content.read(after.manifest_digest))
    assert isinstance(manifest, manifests.Manifest)
    assert manifest.layers[0].digest == json.loads(first.document)["layers"][0]["digest"]


async def test_a_manifest_that_is_known_stays(stage: Stage, origin: RealRegistry) -> None:
    """An archive without one is no reason to forget what a registry calls the image."""
    image = three_layers()
    name = await pulled(stage, origin, image, "known")
    await stage.load(archives.tar(archives.docker(image, name)))
    assert stage.images.get(name).manifest_digest == image.digest


async def test_a_load_can_be_cancelled(stage: Stage) -> None:
    """Whatever it is doing, it waits for its thread and takes back what that has made."""
    image = three_layers()
    archive = archives.tar(archives.docker(image, "cancelled:1"))
    for pause in (0, 0.005, 0.01, 0.02, 0.03, 0.05):
        loading = asyncio.create_task(stage.load(archive))
        await asyncio.sleep(pause)
        loading.cancel()
        await asyncio.wait([loading])
        if not loading.cancelled():
            break  # this machine was faster
        assert stage.trace() == ([], [], [])


async def test_a_lost_blob_is_told(stage: Stage, origin: RealRegistry) -> None:
    image = three_layers()
    name = await pulled(stage, origin, image, "lost")
    lost = json.loads(image.document)["layers"][1]["digest"]
    stage.content.remove(lost)
    with pytest.raises(NotFound, match=f"content {lost} of image .* is missing"):
        await stage.save(name)
