"""Pulls from a real registry into a real store."""

from __future__ import annotations

import asyncio

import pytest

from proa.engine.images.progress import Progress
from proa.errors import InvalidArgument, NotFound
from proa.oci.reference import Reference
from rig import images
from rig.faults import FaultyProxy
from rig.pulling import NOISE, Stage, layer_ids, three_layers, words
from rig.registry import Registry as RealRegistry
from rig.trees import Tree


@pytest.mark.parametrize("style", ["oci", "docker"])
async def test_an_image_in_dockers_words(stage: Stage, origin: RealRegistry, style: images.Style) -> None:
    image = origin.push(three_layers(style=style), f"team/{style}", "v1")
    name = f"{origin.address}/team/{style}:v1"
    subscription = stage.events.subscribe()
    said = await stage.pull(name)
    assert said[0] == Progress(id="v1", status=f"Pulling from team/{style}")
    ids = layer_ids(image)
    assert [(p.id, p.status) for p in said[1:4]] == [(i, "Pulling fs layer") for i in ids]
    for identifier in ids:
        assert words(said, identifier) == [
            "Pulling fs layer",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
        ]
    assert [p.id for p in said if p.status == "Pull complete"] == ids
    assert said[-2:] == [
        Progress(status=f"Digest: {image.digest}"),
        Progress(status=f"Status: Downloaded newer image for {name}"),
    ]
    found = stage.images.get(name)
    assert (found.id, found.names, found.manifest_digest) == (image.config_digest, [name], image.digest)
    assert found.repo_digests == [f"{origin.address}/team/{style}@{image.digest}"]
    base, middle, top = (stage.layers.directory(chain) for chain in found.layers)
    assert (base / "noise").read_bytes() == NOISE
    assert (middle / "etc/a").read_text() == "2"
    assert (top / "b").read_text() == "3"
    for digest, data in image.blobs.items():
        assert stage.content.read(digest) == data
    assert stage.content.read(image.digest) == image.document
    event = await anext(aiter(subscription))
    assert (event.action, event.id) == ("pull", name)
    assert event.attributes == {"kind": "test", "name": name.removesuffix(":v1")}
    subscription.close()


async def test_an_unchanged_image_is_up_to_date(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(three_layers(), "same", "latest")
    name = f"{proxy.address}/same"
    await stage.pull(name)
    asked = len(proxy.requests)
    said = await stage.pull(name)
    assert [p.status for p in said] == [
        "Pulling from same",
        f"Digest: {image.digest}",
        f"Status: Image is up to date for {name}:latest",
    ]
    assert [seen.method for seen in proxy.requests[asked:]] == ["HEAD"]


async def test_layers_that_are_here_are_not_fetched_again(stage: Stage, origin: RealRegistry) -> None:
    base = images.layer(Tree().file("base"))
    one = origin.push(images.build([base, Tree().file("one")]), "shared", "1")
    two = origin.push(images.build([base, Tree().file("two")]), "shared", "2")
    await stage.pull(f"{origin.address}/shared:1")
    said = await stage.pull(f"{origin.address}/shared:2")
    first, second = layer_ids(two)
    assert layer_ids(one)[0] == first
    assert words(said, first) == ["Already exists"]
    assert words(said, second)[-1] == "Pull complete"


async def test_the_same_layer_twice_in_an_image(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    base, again = images.layer(Tree().file("noise", NOISE)), images.layer(Tree().file("x"))
    image = origin.push(images.build([base, again, base, again]), "twice", "latest")
    await stage.pull(f"{proxy.address}/twice")
    assert len(stage.images.get(f"{proxy.address}/twice").layers) == 4
    for digest in image.blobs:
        assert proxy.count(f"blobs/{digest}") == 1


async def test_a_moved_tag_names_the_new_image(stage: Stage, origin: RealRegistry) -> None:
    name = f"{origin.address}/moving:latest"
    old = origin.push(images.build([Tree().file("old")]), "moving", "latest")
    await stage.pull(name)
    new = origin.push(images.build([Tree().file("new")]), "moving", "latest")
    said = await stage.pull(name)
    assert said[-1].status == f"Status: Downloaded newer image for {name}"
    assert stage.images.get(name).id == new.config_digest
    assert stage.images.get(old.config_digest).names == []


async def test_by_digest(stage: Stage, origin: RealRegistry) -> None:
    image = origin.push(images.build([Tree().file("x")]), "digested", "latest")
    name = f"{origin.address}/digested@{image.digest}"
    said = await stage.pull(f"{origin.address}/digested:ignored@{image.digest}")
    assert said[0] == Progress(id=image.digest, status="Pulling from digested")
    assert said[-1].status == f"Status: Downloaded newer image for {name}"
    found = stage.images.get(name)
    assert (found.names, found.repo_digests) == ([], [name])
    assert (await stage.pull(name))[-1].status == f"Status: Image is up to date for {name}"


async def test_all_tags(stage: Stage, origin: RealRegistry) -> None:
    for tag in ("1", "2"):
        origin.push(images.build([Tree().file(tag)]), "every", tag)
    name = f"{origin.address}/every"
    tags = await stage.registry.repository(Reference.parse(name)).tags()
    assert sorted(tags) == ["1", "2"]
    said = await stage.pull(name, all_tags=True)
    assert [p.id for p in said if p.status == "Pulling from every"] == tags
    assert said[-1].status == f"Status: Downloaded newer image for {name}"
    assert stage.images.get(f"{name}:1").id != stage.images.get(f"{name}:2").id
    with pytest.raises(InvalidArgument, match="tag can't be used with --all-tags/-a"):
        await stage.pull(f"{name}:1", all_tags=True)


async def test_platforms(stage: Stage, origin: RealRegistry) -> None:
    arm = images.build([Tree().file("arm")], architecture="arm64")
    amd = images.build([Tree().file("amd")])
    index = origin.push(images.index([amd, arm]), "multi", "latest")
    name = f"{origin.address}/multi:latest"
    await stage.pull(name, platform="linux/arm64/v8")
    found = stage.images.get(name)
    assert (found.id, found.manifest_digest) == (arm.config_digest, arm.digest)
    assert found.repo_digests == [f"{origin.address}/multi@{index.digest}"]
    assert stage.content.read(index.digest) == index.document
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64 in the manifest list entries"):
        await stage.pull(name, platform="linux/riscv64")
    with pytest.raises(InvalidArgument, match="unknown operating system or architecture"):
        await stage.pull(name, platform="nonsense")
    origin.push(arm, "single", "latest")
    said = await stage.pull(f"{origin.address}/single", platform="linux/amd64")
    assert any("does not match the specified platform (linux/amd64)" in p.status for p in said)


async def test_an_image_without_layers(stage: Stage, origin: RealRegistry) -> None:
    origin.push(images.build([]), "empty", "latest")
    await stage.pull(f"{origin.address}/empty")
    assert stage.images.get(f"{origin.address}/empty").layers == []


async def test_pulls_of_the_same_image_share_the_work(
    stage: Stage, proxy: FaultyProxy, origin: RealRegistry
) -> None:
    image = origin.push(three_layers(), "popular", "latest")
    all_said = await asyncio.gather(*(stage.pull(f"{proxy.address}/popular") for _ in range(4)))
    for digest in image.blobs:
        if digest != image.config_digest:
            assert proxy.count(f"blobs/{digest}") == 1
    for said in all_said:
        # The last may be so late that a layer is there.
        ends = {words(said, identifier)[-1] for identifier in layer_ids(image)}
        assert ends <= {"Pull complete", "Already exists"}
    assert any(words(said, layer_ids(image)[-1])[-1] == "Pull complete" for said in all_said)
