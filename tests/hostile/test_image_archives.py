"""Archives of images that a stranger made: each is refused with a reason, and nothing of it stays."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from proa.errors import ProaError
from rig import archives, images
from rig.archives import Files, tar
from rig.images import Image
from rig.pulling import Stage
from rig.rawtar import END, header, member
from rig.trees import Tree

pytestmark = pytest.mark.root

IMAGE = images.build([Tree().file("a", "1"), Tree().file("b", "2")])
DOCKER = archives.docker(IMAGE, "hostile:1")
BASE, TOP = (name for name in DOCKER if name.endswith(".tar"))
CONFIG = f"{IMAGE.config_digest[7:]}.json"
STRANGER = images.build([Tree().file("x")], created_by=["another step"])
LAYOUT = archives.layout(IMAGE)
MANIFEST_BLOB = f"blobs/sha256/{IMAGE.digest[7:]}"
LAYER_BLOB = f"blobs/sha256/{json.loads(IMAGE.document)['layers'][0]['digest'][7:]}"


def docker(**changes: Any) -> bytes:
    """DOCKER with another entry in manifest.json."""
    (item,) = json.loads(DOCKER["manifest.json"])
    return tar(DOCKER | {"manifest.json": images.encode([item | changes])})


def without(files: Files, *names: str) -> Files:
    return {name: data for name, data in files.items() if name not in names}


def config(**changes: Any) -> bytes:
    document = json.loads(DOCKER[CONFIG]) | changes
    return tar(DOCKER | {CONFIG: images.encode(document)})


def linked(target: bytes, kind: bytes = b"2") -> bytes:
    return tar(without(DOCKER, BASE), header(BASE.encode(), kind=kind, link=target))


def index(image: Image, **changes: Any) -> bytes:
    entry = images.descriptor(image.document, image.media_type) | changes
    return tar(LAYOUT | {"index.json": images.encode({"schemaVersion": 2, "manifests": [entry]})})


def loop() -> bytes:
    """Indexes in indexes, without an end that anybody would wait for."""
    inner: Image = IMAGE
    files = dict(LAYOUT)
    for _ in range(8):
        entry = images.descriptor(inner.document, inner.media_type)
        document = images.encode({"schemaVersion": 2, "manifests": [entry]})
        inner = Image(document, images.MEDIA_TYPES["oci"]["index"])
        files[f"blobs/sha256/{inner.digest[7:]}"] = inner.document
    entry = images.descriptor(inner.document, inner.media_type)
    return tar(files | {"index.json": images.encode({"schemaVersion": 2, "manifests": [entry]})})


def old(**changes: Any) -> bytes:
    files = archives.version_1([Tree().file("a").tar()], "old:1")
    name = next(each for each in files if each.endswith("/json"))
    return tar(files | {name: images.encode(json.loads(files[name]) | changes)})


CASES: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "nothing": (b"", "does not contain a manifest.json"),
    "no archive": (b"this is no archive" * 100, "invalid archive"),
    "an archive of something else": (tar({"file": b"1"}), "does not contain a manifest.json"),
    "truncated": (tar(DOCKER)[:5000], "invalid archive: unexpected end"),
    "truncated compression": (gzip.compress(tar(DOCKER))[:-20], "unexpected end"),
    "broken compression": (gzip.compress(tar(DOCKER))[:200] + bytes(500), "invalid gzip data|invalid archive"),
    "a list that is no JSON": (tar(DOCKER | {"manifest.json": b"{"}), "failed to decode manifest.json"),
    "a list that is no list": (tar(DOCKER | {"manifest.json": b"{}"}), "failed to decode manifest.json"),
    "a list that is null": (tar(DOCKER | {"manifest.json": b"null"}), "manifest cannot be null"),
    "a list of numbers": (tar(DOCKER | {"manifest.json": b"[1]"}), "failed to decode manifest.json"),
    "a list too deep": (tar(DOCKER | {"manifest.json": b"[" * 100_000}), "failed to decode manifest.json"),
    "too many images": (
        tar(DOCKER | {"manifest.json": images.encode(json.loads(DOCKER["manifest.json"]) * 1001)}),
        "more than 1000 images",
    ),
    "a name that leads out": (tar(DOCKER | {"../escaped": b"x"}), r'"\.\./escaped" is outside of it'),
    "a name that leads out later": (tar(DOCKER | {"a/../../escaped": b"x"}), "is outside of it"),
    "a configuration outside": (docker(Config="../../etc/passwd"), "is outside of it"),
    "an absolute configuration": (docker(Config="/etc/passwd"), '"/etc/passwd" is missing'),
    "a layer outside": (docker(Layers=["../../../dev/zero", TOP]), "is outside of it"),
    "a missing configuration": (tar(without(DOCKER, CONFIG)), "is missing"),
    "a missing layer": (tar(without(DOCKER, TOP)), "is missing"),
    "too few layers": (docker(Layers=[BASE]), "layers length mismatch: expected 1, got 2"),
    "no layers": (docker(Layers=None), "layers length mismatch: expected 0, got 2"),
    "layers in the wrong order": (docker(Layers=[TOP, BASE]), "invalid diffID for layer 0"),
    "a layer that is another": (tar(DOCKER | {TOP: Tree().file("evil").tar()}), "invalid diffID for layer 1"),
    "a layer that is none": (tar(DOCKER | {TOP: b"junk" * 1000}), "invalid layer archive"),
    "a truncated layer": (tar(DOCKER | {TOP: DOCKER[TOP][:700]}), "invalid layer archive|invalid diffID"),
    "a layer with a broken compression": (tar(DOCKER | {TOP: gzip.compress(DOCKER[TOP])[:-9]}), "gzip"),
    "a link out": (linked(b"../../../../etc/passwd"), "is outside of it"),
    "an absolute link": (linked(b"/etc/passwd"), "links to a place outside of it"),
    "a link to nothing": (linked(b"nothing"), "is missing"),
    "a link to itself": (linked(BASE.encode()), "too many links"),
    "a hard link out": (linked(b"../../etc/passwd", b"1"), "is outside of it"),
    "a device": (tar(DOCKER, header(b"zero", kind=b"3", major=1, minor=5)), "is no file, directory or link"),
    "a pipe": (tar(DOCKER, header(b"pipe", kind=b"6")), "is no file, directory or link"),
    "a bad name": (docker(RepoTags=["UPPER:1"]), "must be lowercase"),
    "a name without a tag": (docker(RepoTags=["hostile"]), 'invalid tag "hostile"'),
    "a name with a digest": (docker(RepoTags=["a@sha256:" + "a" * 64]), "invalid tag"),
    "a parent that is none": (
        tar(
            DOCKER
            | archives.docker(STRANGER, "x:1")
            | {
                "manifest.json": images.encode([
                    json.loads(DOCKER["manifest.json"])[0]
                    | {"Parent": STRANGER.config_digest},
                    *json.loads(archives.docker(STRANGER, "x:1")["manifest.json"]),
                ])
            }
        ),
        "is not a valid parent for",
    ),
    "another system": (config(os="windows"), "cannot load windows image on linux"),
    "a configuration that is none": (tar(DOCKER | {CONFIG: b"[]"}), "invalid image configuration"),
    "diffIDs that are none": (
        config(rootfs={"type": "layers", "diff_ids": ["../../x", "sha256:1"]}),
        "invalid checksum digest",
    ),
    "a huge configuration": (lambda: tar(DOCKER | {CONFIG: bytes(9 << 20)}), "a configuration is larger than"),
    "a blob with a wrong digest": (tar(LAYOUT | {LAYER_BLOB: b"other"}), "has the digest sha256:"),
    "a manifest with a wrong digest": (tar(LAYOUT | {MANIFEST_BLOB: IMAGE.document + b" "}), "has the digest"),
    "a missing blob": (tar(without(LAYOUT, LAYER_BLOB)), "is missing"),
    "a missing manifest": (tar(without(LAYOUT, MANIFEST_BLOB)), "is missing"),
    "an index that is a manifest": (tar(LAYOUT | {"index.json": IMAGE.document}), "invalid"),
    "an index that is none": (tar(LAYOUT | {"index.json": b"1"}), "invalid manifest"),
    "a digest that leads out": (index(IMAGE, digest="sha256:../../etc/passwd"), "invalid checksum digest"),
    "an index of nothing that runs": (
        index(images.index([images.build([], architecture="s390x"), images.build([], architecture="arm64")])),
        "is missing",
    ),
    "an artifact": (
        index(IMAGE, mediaType="application/vnd.example.artifact"),
        "no suitable image for platform",
    ),
    "indexes without end": (loop, "nested more than 4 deep"),
    "an old image that is its own parent": (old(parent=f"{1:064x}"), "is its own parent"),
    "an old image with a parent outside": (old(parent="../../etc"), "an identifier that is none"),
    "an old image without its parent": (old(parent="ab" * 32), "is missing"),
    "an old list that is none": (tar({"repositories": b"[]"}), "failed to decode repositories"),
    "a sparse file": (member(b"big", bytes(512), kind=b"S") + END, "invalid archive|is no file"),
}  # fmt: skip


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.close()


def files(stage: Stage) -> set[str]:
    """What lies on the disk, without the database's own and what layers note for the next sweep."""
    found = {str(path.relative_to(stage.root)) for path in stage.root.rglob("*")}
    own = ("proa.db", "layers/.parents", "layers/.trash", "layers/.unsynced")
    return {name for name in found if not name.startswith(own)}


@pytest.mark.parametrize("case", CASES)
async def test_refused(stage: Stage, case: str) -> None:
    archive, message = CASES[case]
    before = files(stage)
    with pytest.raises(ProaError, match=message) as caught:
        await stage.load(archive() if callable(archive) else archive)
    assert "\n" not in caught.value.message
    assert stage.trace() == ([], [], [])
    assert stage.unfinished() == []
    stage.layers.trash.flush()
    assert files(stage) == before


async def test_the_good_part_of_a_bad_archive_is_taken_back(stage: Stage) -> None:
    """The first image is whole; the second one's last layer is not what it should be."""
    second = images.build([Tree().file("a", "1"), Tree().file("c", "3")])
    files = DOCKER | archives.docker(second, "second:1")
    bad = f"{images.digest(Tree().file('c', '3').tar())[7:]}.tar"
    items = [*json.loads(DOCKER["manifest.json"])]
    items += json.loads(archives.docker(second, "second:1")["manifest.json"])
    archive = tar(files | {"manifest.json": images.encode(items), bad: Tree().file("d").tar()})
    with pytest.raises(ProaError, match="invalid diffID for layer 1"):
        await stage.load(archive)
    images_left, blobs, layers = stage.trace()
    assert (images_left, layers) == ([], [])
    assert blobs == []


async def test_what_was_there_stays(stage: Stage) -> None:
    await stage.load(tar(DOCKER))
    before = stage.trace()
    with pytest.raises(ProaError):
        await stage.load(tar(DOCKER | {"manifest.json": b"{"}))
    with pytest.raises(ProaError, match="invalid diffID"):
        more = images.build([Tree().file("a", "1"), Tree().file("b", "2"), Tree().file("c")])
        files = archives.docker(more, "hostile:1")
        top = f"{more.diff_ids[-1][7:]}.tar"
        await stage.load(tar(files | {top: Tree().file("evil").tar()}))
    assert stage.trace() == before


async def test_a_bomb_is_stopped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proa.engine.images.staging._HARMLESS", 1 << 20)
    size = 48 << 20
    archive = lzma.compress(header(b"zeros", size=size) + bytes(size) + END)
    assert size > len(archive) * 2000
    with pytest.raises(ProaError, match="unpacks to more than 2000 times its size"):
        await stage.load(archive)
    assert stage.trace() == ([], [], [])
