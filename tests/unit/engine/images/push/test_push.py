"""Pushes from a real store to a real registry: what arrives, and what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proa.engine.images.progress import Progress
from proa.errors import InvalidArgument, NotFound, Unavailable
from proa.oci import media_types
from rig import archives, images
from rig.archives import tar
from rig.faults import FaultyProxy, answer
from rig.images import Image
from rig.pulling import Stage, three_layers, words
from rig.registry import Registry as RealRegistry
from rig.trees import Tree

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    started = RealRegistry(tmp_path_factory.mktemp("origin") / "registry").start()
    yield started
    started.stop()


@pytest.fixture
async def proxy(origin: RealRegistry) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(origin.url) as started:
        yield started


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.close()


def ids(stage: Stage, name: str) -> list[str]:
    """The short diffIDs that progress is told by, the topmost first."""
    return [one[7:19] for one in reversed(stage.images.get(name).config.diff_ids)]


def fetched(origin: RealRegistry, repository: str, tag: str) -> tuple[bytes, str]:
    accept = ", ".join((media_types.OCI_MANIFEST, media_types.DOCKER_MANIFEST))
    _, headers, body = origin.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": accept})
    return body, headers["content-type"]


@pytest.mark.parametrize("style", ["oci", "docker"])
async def test_an_image_keeps_its_manifest(stage: Stage, origin: RealRegistry, style: images.Style) -> None:
    image = origin.push(three_layers(style=style), f"from/{style}", "v1")
    await stage.pull(f"{origin.address}/from/{style}:v1")
    name = f"{origin.address}/to/{style}:v2"
    stage.images.tag(f"{origin.address}/from/{style}:v1", name)
    subscription = stage.events.subscribe()
    said, (pushed,) = await stage.push(name)
    assert said[0] == Progress(status=f"The push refers to repository [{origin.address}/to/{style}]")
    assert said[-1] == Progress(status=f"v2: digest: {image.digest} size: {len(image.document)}")
    assert (pushed.tag, pushed.digest, pushed.size) == ("v2", image.digest, len(image.document))
    assert fetched(origin, f"to/{style}", "v2") == (image.document, image.media_type)
    for digest, data in image.blobs.items():
        assert origin.blob(f"to/{style}", digest) == data
    assert f"{origin.address}/to/{style}@{image.digest}" in stage.images.get(name).repo_digests
    event = await anext(aiter(subscription))
    assert (event.action, event.id) == ("push", name)
    assert event.attributes == {"kind": "test", "name": name.removesuffix(":v2")}
    subscription.close()


async def test_in_dockers_words(stage: Stage, origin: RealRegistry) -> None:
    name = f"{origin.address}/words:1"
    await stage.load(tar(archives.docker(three_layers(), name)))
    said, _ = await stage.push(name)
    top, middle, base = ids(stage, name)
    assert [(p.id, p.status) for p in said[1:5]] == [
        (top, "Preparing"), (middle, "Preparing"), (base, "Preparing"), (base, "Waiting"),
    ]  # fmt: skip
    assert words(said, base) == ["Preparing", "Waiting", "Pushing", "Pushed"]
    last = [p for p in said if p.id == base and p.status == "Pushing"][-1]
    assert last.current == last.total
    again, _ = await stage.push(name)
    assert words(again, top) == ["Preparing", "Layer already exists"]
    other = f"{origin.address}/team/words:1"
    stage.images.tag(name, other)
    mounted, _ = await stage.push(other)
    assert words(mounted, top) == ["Preparing", "Mounted from words"]


async def test_all_tags(stage: Stage, origin: RealRegistry) -> None:
    repository = f"{origin.address}/every"
    await stage.load(tar(archives.docker(images.build([Tree().file("1")]), f"{repository}:1")))
    await stage.load(tar(archives.docker(images.build([Tree().file("2")]), f"{repository}:2", f"{repository}:3")))
    _, pushed = await stage.push(repository)
    assert [one.tag for one in pushed] == ["1", "2", "3"]
    assert pushed[1].digest == pushed[2].digest != pushed[0].digest
    assert fetched(origin, "every", "3") == fetched(origin, "every", "2")


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("/none:1", "^An image does not exist locally with the tag: .*/none$"),
        ("/none", "^An image does not exist locally with the tag: .*/none$"),
        ("/there:none", "^tag does not exist: .*/there:none$"),
    ],
)
async def test_what_is_not_there(stage: Stage, origin: RealRegistry, suffix: str, message: str) -> None:
    await stage.load(tar(archives.docker(images.build([Tree().file("1")]), f"{origin.address}/there:1")))
    with pytest.raises(NotFound, match=message):
        await stage.push(f"{origin.address}{suffix}")


async def test_what_can_not_be_pushed(stage: Stage, origin: RealRegistry) -> None:
    image = origin.push(three_layers(), "digest", "1")
    await stage.pull(f"{origin.address}/digest@{image.digest}")
    with pytest.raises(InvalidArgument, match="cannot push a digest reference"):
        await stage.push(f"{origin.address}/digest@{image.digest}")
    with pytest.raises(NotFound, match=r"^no tags to push for .*/digest$"):
        await stage.push(f"{origin.address}/digest")
    await stage.pull(f"{origin.address}/digest:1")
    with pytest.raises(NotFound, match="does not match the specified platform"):
        await stage.push(f"{origin.address}/digest:1", platform="linux/arm64")
    await stage.push(f"{origin.address}/digest:1", platform="linux/amd64")


async def test_an_image_made_here_is_pushed_as_dockerd_would(stage: Stage, origin: RealRegistry) -> None:
    name = f"{origin.address}/made:1"
    await stage.load(tar(archives.docker(three_layers(), name)))
    await stage.push(name)
    raw, media_type = fetched(origin, "made", "1")
    assert media_type == media_types.DOCKER_MANIFEST
    document = json.loads(raw)
    assert raw == json.dumps(document, indent=3).encode()
    assert {layer["mediaType"] for layer in document["layers"]} == {media_types.DOCKER_LAYER_GZIP}


async def test_the_same_layer_twice(stage: Stage, origin: RealRegistry) -> None:
    layer = Tree().file("same", "x" * 400_000)
    name = f"{origin.address}/twice:1"
    await stage.load(tar(archives.docker(images.build([layer, Tree().file("y"), layer]), name)))
    _, (pushed,) = await stage.push(name)
    assert len(json.loads(fetched(origin, "twice", "1")[0])["layers"]) == 3
    assert pushed.tag == "1"


async def test_pushes_of_one_image_share_the_work(stage: Stage, proxy: FaultyProxy) -> None:
    name = f"{proxy.address}/popular:1"
    await stage.load(tar(archives.docker(three_layers(), name)))
    results = await asyncio.gather(*(stage.push(name) for _ in range(3)))
    assert {pushed[0].digest for _, pushed in results} == {results[0][1][0].digest}
    assert proxy.count("/blobs/uploads/", "PATCH") == 1


async def test_foreign_layers_stay_where_they_are(stage: Stage, origin: RealRegistry) -> None:
    """Their licence forbids to push them: manifests name the place where they are."""
    base = images.layer(Tree().file("foreign"))
    image = images.build([base, Tree().file("own")], style="docker")
    document = json.loads(image.document)
    document["layers"][0] |= {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "urls": [f"{origin.url}/v2/foreign/blobs/{images.digest(base.blob)}"],
    }
    changed = Image(images.encode(document), image.media_type, image.blobs)
    await stage.load(tar(archives.layout(changed, annotations={
        "io.containerd.image.name": f"{origin.address}/foreign:1",
    })))  # fmt: skip
    said: list[Progress] = []
    try:
        await stage.pusher.push(f"{origin.address}/foreign:1", progress=said.append)
    except Exception as error:  # a registry may refuse foreign layers, as this one does by default
        assert "unknown" in str(error) or "invalid" in str(error)
    assert [p.status for p in said if p.id == images.digest(images.unpacked(base.blob))[7:19]] == [
        "Preparing", "Skipped foreign layer",
    ]  # fmt: skip


async def test_a_failure_ends_the_push(stage: Stage, proxy: FaultyProxy) -> None:
    name = f"{proxy.address}/fails:1"
    await stage.load(tar(archives.docker(three_layers(), name)))
    proxy.fault("/blobs/uploads/", answer(503), times=99, methods=("POST",))
    with pytest.raises(Unavailable, match="received unexpected HTTP status: 503 Service Unavailable"):
        await stage.push(name)
    assert stage.images.get(name).repo_digests == []
    assert proxy.count("/manifests/", "PUT") == 0
    proxy.faults.clear()
    await stage.push(name)


async def test_a_push_can_be_cancelled(stage: Stage, proxy: FaultyProxy) -> None:
    name = f"{proxy.address}/cancelled:1"
    await stage.load(tar(archives.docker(three_layers(), name)))
    started = asyncio.Event()
    pushing = asyncio.create_task(
        stage.pusher.push(name, progress=lambda step: started.set() if step.status == "Pushing" else None)
    )
    await asyncio.wait_for(started.wait(), 20)
    pushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushing
    assert proxy.count("/manifests/", "PUT") == 0
