"""Images' rows: how users' references resolve, names move, layers and blobs are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proa.engine.database import AlreadyExists
from proa.errors import InvalidArgument, NotFound
from proa.oci import digest as digests
from proa.oci.image_config import chain_ids
from proa.oci.reference import Reference

if TYPE_CHECKING:
    from tests.unit.engine.images.conftest import Rig

DIGEST = digests.of(b"a manifest")


def test_every_way_to_name_an_image(rig: Rig) -> None:
    image_id = rig.image("base", names=("busybox", f"busybox@{DIGEST}", "localhost:5000/a/b:1.0"))
    rig.image("other", names=("other",))
    hexadecimal = image_id.removeprefix("sha256:")
    for text in (
        "busybox", "busybox:latest", "library/busybox", "docker.io/library/busybox:latest",
        f"busybox@{DIGEST}", f"busybox:whatever@{DIGEST}", "localhost:5000/a/b:1.0",
        image_id, hexadecimal, hexadecimal[:12], f"sha256:{hexadecimal[:12]}",
    ):  # fmt: skip
        assert rig.store.find(text) == image_id, text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "No such image: nothing:latest"),
        ("nothing:1", "No such image: nothing:1"),
        ("docker.io/library/nothing", "No such image: nothing:latest"),
        (f"busybox@sha256:{'0' * 64}", f"No such image: busybox@sha256:{'0' * 64}"),
        ("0" * 64, f"No such image: sha256:{'0' * 64}"),
        (f"sha256:{'0' * 64}", f"No such image: sha256:{'0' * 64}"),
        ("%", "invalid reference format"),
        ("", "invalid reference format"),
    ],
)
def test_what_names_no_image(rig: Rig, text: str, message: str) -> None:
    rig.image("base", names=("busybox",))
    with pytest.raises((NotFound, InvalidArgument)) as caught:
        rig.store.find(text)
    assert caught.value.message == message


def test_an_ambiguous_prefix_names_nothing_and_a_name_beats_a_prefix(rig: Rig) -> None:
    ids = [rig.image(f"layer {number}") for number in range(40)]
    firsts = [image_id[7] for image_id in ids]
    shared = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(NotFound):
        rig.store.find(shared)
    named, other = ids[0], ids[1]
    rig.store.tag(Reference.parse(other[7:19]), named)
    assert rig.store.find(other[7:19]) == named


def test_an_image_as_it_is_read_back(rig: Rig) -> None:
    image_id = rig.image("base", "toppings", names=("b:2", "a", f"a@{DIGEST}"))
    image = rig.store.get(image_id)
    assert image is not None
    assert image.names == ["a:latest", "b:2"]
    assert image.repo_digests == [f"a@{DIGEST}"]
    assert image.size == 10 * len("basetoppings")
    assert image.layers == chain_ids(image.config.diff_ids)
    assert image.created == 1_714_979_289 * 10**9
    assert image.pulled_at == image.tagged_at == rig.time
    assert [layer.chain_id for layer in rig.store.layers.of_image(image_id)] == image.layers
    assert rig.store.get("sha256:" + "0" * 64) is None


@pytest.mark.parametrize(
    ("created", "expected"), [("", 0), ("nonsense", 0), ("0001-01-01T00:00:00Z", -62135596800 * 10**9)]
)
def test_strange_times_of_creation(rig: Rig, created: str, expected: int) -> None:
    image = rig.store.get(rig.image("base", created=created))
    assert image is not None
    assert image.created == expected


def test_an_image_needs_its_layers(rig: Rig) -> None:
    with pytest.raises(AlreadyExists, match="FOREIGN KEY"):
        rig.store.put(rig.config("unknown"))
    assert rig.store.all() == []


def test_putting_an_image_again_keeps_what_it_knows(rig: Rig) -> None:
    image_id = rig.image("base")
    config = rig.config("base")
    assert rig.store.put(config, manifest_digest=DIGEST, manifest_media_type="type") == image_id
    assert rig.store.put(config) == image_id
    image = rig.store.get(image_id)
    assert image is not None
    assert (image.manifest_digest, image.manifest_media_type) == (DIGEST, "type")
    assert len(rig.store.layers.of_image(image_id)) == 1


def test_a_name_moves(rig: Rig) -> None:
    old, new = rig.image("old", names=("app",)), rig.image("new")
    assert rig.store.tag(Reference.parse("app"), new) == old
    assert rig.store.references(old) == []
    assert rig.store.find("app") == new
    assert rig.store.tag(Reference.parse("fresh"), new) is None


def test_untagging(rig: Rig) -> None:
    image_id = rig.image("base", names=("app", f"app@{DIGEST}"))
    assert rig.store.untag(Reference.parse("app"))
    assert not rig.store.untag(Reference.parse("app"))
    assert [str(reference) for reference in rig.store.references(image_id)] == [f"docker.io/library/app@{DIGEST}"]
    assert rig.store.untag(Reference.parse(f"app@{DIGEST}"))
    assert not rig.store.untag(Reference.parse(f"app@{DIGEST}"))


def test_an_image_with_names_is_not_deleted(rig: Rig) -> None:
    image_id = rig.image("base", names=("app",))
    with pytest.raises(AlreadyExists, match="FOREIGN KEY"):
        rig.store.delete(image_id)
    assert rig.store.find("app") == image_id
    assert len(rig.store.layers.of_image(image_id)) == 1


def test_deleting_spares_shared_and_kept_layers(rig: Rig) -> None:
    first = rig.image("base", "middle", "one")
    second = rig.image("base", "two")
    kept = rig.store.layers.of_image(first)[1].chain_id
    deleted = rig.store.delete(first, keep={kept})
    assert [layer.size for layer in deleted] == [10 * len("one")]
    assert {layer.size for layer in rig.store.layers.all()} == {40, 60, 30}
    assert [layer.size for layer in rig.store.delete(second)] == [30, 40]
    assert [layer.chain_id for layer in rig.store.layers.delete_unused([kept, kept])] == [kept]
    assert rig.store.layers.all() == []


def test_a_layer_learns_of_its_blob_once(rig: Rig) -> None:
    image_id = rig.image("base")
    (layer,) = rig.store.layers.of_image(image_id)
    rig.store.layers.register(
        type(layer)(chain_id=layer.chain_id, diff_id=layer.diff_id, size=40, blob_digest=DIGEST)
    )
    assert rig.store.layers.get(layer.chain_id) == layer


def test_which_blobs_are_named(rig: Rig) -> None:
    image_id = rig.image("base", names=(f"app@{DIGEST}",))
    manifest = digests.of(b"another")
    rig.store.put(rig.config("base"), manifest_digest=manifest)
    blob = digests.of(b"blob of base")
    assert rig.store.blobs() == {image_id, DIGEST, manifest, blob}
    assert all(rig.store.has_blob(digest) for digest in (image_id, DIGEST, manifest, blob))
    assert not rig.store.has_blob(digests.of(b"unknown"))
    assert not rig.store.has_blob("")
