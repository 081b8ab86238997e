"""`commit` and `import` on real stores: what becomes of blobs, layers, configuration, records and events."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import lzma
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aiohttp import web

from proa import times
from proa.archive.unpack import unpack
from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.commit import Committer, merged
from proa.engine.images.images import Images
from proa.engine.images.import_ import Importer
from proa.engine.options import ContainerOptions, Mount
from proa.engine.records import Container
from proa.errors import InvalidArgument, NotFound, Unavailable
from proa.oci import digest as digests
from proa.oci import manifest as manifests
from proa.oci import platform
from proa.oci.image_config import chain_ids
from proa.snapshots import Layers
from rig.rawtar import END, directory, member

pytestmark = pytest.mark.root

ARCHIVE = directory(b"etc") + member(b"etc/hosts", b"x") + member(b"bin/sh", b"#!" * 500, mode=0o755) + END


@dataclass
class Place:
    """An engine's stores, and what makes images in them."""

    root: Path
    database: Database
    content: ContentStore
    layers: Layers
    events: Events
    images: Images

    def __post_init__(self) -> None:
        parts = {"database": self.database, "content": self.content, "layers": self.layers}
        self.importer = Importer(images=self.images, **parts)  # type: ignore[arg-type]
        self.committer = Committer(images=self.images, **parts)  # type: ignore[arg-type]

    async def import_(self, archive: bytes = ARCHIVE, **options: Any) -> str:
        return await self.importer.import_(chunks(archive), **options)

    def container(self, image_id: str, **options: Any) -> Container:
        image = self.images.store.get(image_id)
        assert image is not None
        (self.root / "upper").mkdir(exist_ok=True)
        given: dict[str, Any] = {"image": "test", "command": ["sh", "-c", "make it"], **options}
        return Container(
            id="1" * 64, name="test", created=1, image_id=image_id, layers=image.layers,
            options=ContainerOptions(**given),
        )  # fmt: skip

    def config(self, image_id: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.content.read(image_id))
        return document

    def leftovers(self) -> list[Path]:
        return [*(self.layers.root / ".new").iterdir(), *(self.content.root / "ingest").iterdir()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    database = Database(tmp_path / "test.db")
    content, layers, events = ContentStore(tmp_path / "blobs"), Layers(tmp_path / "layers"), Events()
    images = Images(database, content, layers, events, lambda: ())
    opened = Place(tmp_path, database, content, layers, events, images)
    yield opened
    assert not opened.leftovers()
    layers.close()
    layers.trash.close()
    events.close()
    database.close()


async def chunks(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_import(place: Place) -> None:
    before = times.now()
    image_id = await place.import_(reference="mine:1", message="why", changes=["CMD sh", "ENV A=1"])
    image = place.images.get("mine:1")
    assert image.id == image_id == digests.of(image.config.to_bytes())
    assert image.names == ["mine:1"]
    assert image.size == 1001
    assert before <= image.created <= times.now()
    document = place.config(image_id)
    created = document.pop("created")
    own = platform.default()
    assert document == {
        "architecture": own.architecture,
        "os": "linux",
        "comment": "why",
        "config": {"Cmd": ["/bin/sh", "-c", "sh"], "Env": ["A=1"]},
        "rootfs": {"type": "layers", "diff_ids": [digests.of(ARCHIVE)]},
        "history": [{"created": created, "comment": "why"}],
    }
    assert (place.layers.directory(image.layers[0]) / "bin/sh").read_bytes() == b"#!" * 500


async def test_import_writes_a_manifest_and_a_blob(place: Place, tmp_path: Path) -> None:
    image = place.images.store.get(await place.import_())
    assert image is not None
    manifest = manifests.parse(place.content.read(image.manifest_digest))
    assert isinstance(manifest, manifests.Manifest)
    assert manifest.config.digest == image.id
    (layer,) = manifest.layers
    blob = place.content.read(layer.digest)
    assert (len(blob), gzip.decompress(blob)) == (layer.size, ARCHIVE)
    assert place.content.verify(layer.digest)
    again = tmp_path / "again"
    again.mkdir()
    assert unpack([blob], again).diff_id == image.config.diff_ids[0]


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
async def test_import_of_every_compression(place: Place, compress: Callable[[bytes], bytes]) -> None:
    image = place.images.store.get(await place.import_(compress(ARCHIVE)))
    assert image is not None
    assert image.config.diff_ids == [digests.of(ARCHIVE)]


async def test_import_has_docker_s_comment(place: Place) -> None:
    assert place.config(await place.import_())["history"][0]["comment"] == "Imported from -"


async def test_import_for_a_platform(place: Place) -> None:
    document = place.config(await place.import_(platform="linux/arm/v6"))
    assert (document["architecture"], document["os"], document["variant"]) == ("arm", "linux", "v6")


async def test_import_of_nothing(place: Place) -> None:
    image = place.images.store.get(await place.import_(END))
    assert image is not None
    assert (image.layers, image.size) == ([], 0)


@pytest.mark.parametrize(
    ("archive", "options", "message"),
    [
        (b"no archive" * 100, {}, "checksum"),
        (gzip.compress(ARCHIVE)[:-20], {}, "invalid gzip data"),
        (ARCHIVE[:700], {}, "unexpected end"),
        (member(b"../x"), {}, "outside"),
        (ARCHIVE, {"reference": "Mine"}, "must be lowercase"),
        (ARCHIVE, {"reference": "mine@sha256:" + "0" * 64}, "digest reference"),
        (ARCHIVE, {"changes": ["RUN true"]}, "RUN is not a valid change command"),
        (ARCHIVE, {"platform": "windows/amd64"}, "windows"),
        (ARCHIVE, {"platform": "a/b/c/d"}, "a/b/c/d"),
        (b"", {"origin": "ftp://host/file"}, "only http and https"),
    ],
)
async def test_import_refuses(place: Place, archive: bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await place.import_(archive, **options)
    assert message in caught.value.message
    assert not place.images.store.all() and not list(place.content.walk())


async def test_import_when_the_client_goes_away(place: Place) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield ARCHIVE[:700]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await place.importer.import_(broken())
    assert not list(place.content.walk())


async def test_import_cancelled(place: Place) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield ARCHIVE[:700]
        await asyncio.Event().wait()

    task = asyncio.create_task(place.importer.import_(stuck()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(place.content.walk())


async def test_import_from_a_url(place: Place) -> None:
    async def serve(request: web.Request) -> web.Response:
        return (
            web.Response(body=gzip.compress(ARCHIVE))
            if request.path == "/root.tar.gz"
            else web.Response(status=404)
        )

    application = web.Application()
    application.router.add_get("/{name}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        image_id = await place.import_(b"", origin=f"http://127.0.0.1:{port}/root.tar.gz")
        assert place.config(image_id)["comment"] == f"Imported from http://127.0.0.1:{port}/root.tar.gz"
        with pytest.raises(Unavailable, match="with status 404"):
            await place.import_(b"", origin=f"127.0.0.1:{port}/other")
    finally:
        await runner.cleanup()
    with pytest.raises(Unavailable, match="failed to GET"):
        await place.import_(b"", origin=f"http://127.0.0.1:{port}/root.tar.gz")


async def test_commit(place: Place) -> None:
    base = await place.import_(message="base", changes=["ENV A=1", "LABEL a=1"], platform="linux/arm/v7")
    container = place.container(
        base, env=["A=1", "B=2"], labels={"a": "1", "b": "2"}, entrypoint=["/init"], user="12",
        working_dir="/w", exposed_ports=["80/tcp"], stop_signal="SIGUSR1",
        mounts=[Mount(type="volume", target="/v", from_image=True), Mount(type="bind", source="/x", target="/x"),
                Mount(type="volume", source="named", target="/n")],
    )  # fmt: skip
    upper = place.root / "upper"
    (upper / "etc").mkdir()
    (upper / "etc/new").write_text("new")
    os.mknod(upper / "etc/hosts", 0o20000)
    image_id = await place.committer.commit(
        container, [upper], repository="mine", tag="2", comment="why", author="me",
        changes=["ENV C=$B", "LABEL c=3", "WORKDIR /z", "EXPOSE 81"],
    )  # fmt: skip
    image = place.images.get("mine:2")
    assert (image.id, image.parent) == (image_id, base)
    document = place.config(image_id)
    diff_ids = document["rootfs"]["diff_ids"]
    assert diff_ids[0] == digests.of(ARCHIVE) and len(diff_ids) == 2
    assert image.layers == chain_ids(diff_ids)
    assert (document["architecture"], document["variant"]) == ("arm", "v7")
    assert (document["author"], document["comment"]) == ("me", "why")
    assert document["config"] == {
        "Cmd": ["sh", "-c", "make it"], "Entrypoint": ["/init"], "Env": ["A=1", "B=2", "C=2"],
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}}, "Labels": {"a": "1", "b": "2", "c": "3"},
        "StopSignal": "SIGUSR1", "User": "12", "Volumes": {"/v": {}}, "WorkingDir": "/z",
    }  # fmt: skip
    created = document["created"]
    assert document["history"] == [
        place.config(base)["history"][0],
        {"created": created, "created_by": "sh -c make it", "author": "me", "comment": "why"},
    ]
    layer = place.layers.directory(image.layers[1])
    assert (layer / "etc/new").read_text() == "new"
    assert (layer / "etc/hosts").lstat().st_rdev == 0
    assert not (layer / "bin").exists()
    manifest = manifests.parse(place.content.read(image.manifest_digest))
    assert isinstance(manifest, manifests.Manifest)
    assert [digests.of(gzip.decompress(place.content.read(one.digest))) for one in manifest.layers] == diff_ids


@pytest.mark.parametrize("started", [True, False])
async def test_commit_of_nothing_changed(place: Place, started: bool) -> None:
    base = await place.import_()
    container = place.container(base)
    upper = place.root / "upper"
    image_id = await place.committer.commit(container, [upper] if started else [])
    document = place.config(image_id)
    assert document["rootfs"] == place.config(base)["rootfs"]
    assert document["history"][-1]["empty_layer"] is True
    assert place.images.store.get(image_id) is not None


async def test_commit_twice_gives_one_layer(place: Place) -> None:
    container = place.container(await place.import_())
    (place.root / "upper/new").write_text("new")
    first = await place.committer.commit(container, [place.root / "upper"], comment="first")
    second = await place.committer.commit(container, [place.root / "upper"], comment="second")
    assert first != second
    assert place.config(first)["rootfs"] == place.config(second)["rootfs"]


async def test_commit_when_the_base_s_record_is_gone(place: Place) -> None:
    """`rmi -f` may take the image of a container that stays: its layers remain."""
    base = await place.import_(reference="base")
    container = place.container(base)
    place.images.store.untag(place.images.store.references(base)[0])
    place.images.store.delete(base, keep=set(container.layers))
    image_id = await place.committer.commit(container, [place.root / "upper"], repository="mine")
    assert place.config(image_id)["rootfs"]["diff_ids"] == [digests.of(ARCHIVE)]


async def test_commit_refuses_before_it_works(place: Place) -> None:
    container = place.container(await place.import_())
    (place.root / "upper/new").write_text("new")
    before = set(place.content.walk())
    for options in ({"repository": "Mine"}, {"repository": "a", "tag": "b c"}, {"changes": ["FROM x"]}):
        with pytest.raises(InvalidArgument):
            await place.committer.commit(container, [place.root / "upper"], **options)  # type: ignore[arg-type]
    container.layers = ["sha256:" + "0" * 64]
    with pytest.raises(NotFound, match="does not exist"):
        await place.committer.commit(container, [place.root / "upper"])
    assert set(place.content.walk()) == before


async def test_layers_are_held_while_they_are_made(place: Place) -> None:
    """Removing the base meanwhile must not take the layers that the new image stands on."""
    base = await place.import_(reference="base")
    container = place.container(base)
    (place.root / "upper/new").write_bytes(os.urandom(8 << 20))
    task = asyncio.create_task(place.committer.commit(container, [place.root / "upper"], repository="mine"))
    await asyncio.sleep(0.01)
    place.images.remove("base", force=True)
    await task
    image = place.images.get("mine")
    assert all(place.layers.has(chain_id) for chain_id in image.layers)


MERGED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {"Entrypoint": ["e"], "Cmd": ["c"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}),
    ({"Cmd": ["d"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}, {"Entrypoint": ["e"], "Cmd": ["d"]}),
    ({"Entrypoint": ["f"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}, {"Entrypoint": ["f"]}),
    ({"Entrypoint": ["f"], "Cmd": ["d"]}, {"Entrypoint": ["e"], "Cmd": ["c"]},
     {"Entrypoint": ["f"], "Cmd": ["d"]}),
    ({"Env": ["A=2"]}, {"Env": ["A=1", "B=1"]}, {"Env": ["A=2", "B=1"]}),
    ({"User": "u"}, {"User": "v", "WorkingDir": "/w"}, {"User": "u", "WorkingDir": "/w"}),
    ({"Healthcheck": {"Test": ["NONE"]}}, {"Healthcheck": {"Test": ["CMD", "x"]}},
     {"Healthcheck": {"Test": ["NONE"]}}),
    ({"OnBuild": ["RUN x"]}, {}, {"OnBuild": ["RUN x"]}),
    ({}, {"User": "", "Env": [], "Labels": {}}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("own", "inherited", "expected"), MERGED)
def test_merged(own: dict[str, Any], inherited: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merged(own, inherited) == expected
