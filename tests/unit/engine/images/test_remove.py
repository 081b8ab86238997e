"""`rmi` by Docker's rules: what is untagged, deleted, refused; what becomes of layers, blobs and events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from proa.engine.events import Events
from proa.engine.images.images import Images
from proa.engine.options import ContainerOptions
from proa.engine.records import Container, Status
from proa.errors import Conflict, NotFound
from proa.ids import short
from proa.oci import digest as digests
from proa.oci.reference import Reference

if TYPE_CHECKING:
    from tests.unit.engine.images.conftest import Rig

DIGEST = digests.of(b"a manifest")
OTHER_DIGEST = digests.of(b"another manifest")


class Engine:
    """Images with the test's own containers."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.containers: list[Container] = []
        self.events = Events()
        self.images = Images(rig.database, rig.blobs, rig.layers, self.events, lambda: self.containers)
        self.images.store = rig.store
        self.stream = self.events.subscribe()

    def use(self, image_id: str, status: Status) -> Container:
        image = self.images.get(image_id)
        container = Container(
            id=f"{len(self.containers):x}" * 64, name="c", created=0, image_id=image_id, layers=image.layers,
            options=ContainerOptions(image="x"),
        )  # fmt: skip
        container.state.status = status
        self.containers.append(container)
        return container

    def rmi(self, name: str, **options: bool) -> list[str]:
        """Remove an image and return the lines as the command prints them."""
        return [
            f"Untagged: {each.untagged}" if each.untagged else f"Deleted: {each.deleted}"
            for each in self.images.remove(name, **options)
        ]

    def actions(self) -> list[str]:
        return [event.action for event in self.stream._unread]


@pytest.fixture
def engine(rig: Rig) -> Iterator[Engine]:
    made = Engine(rig)
    yield made
    made.events.close()


def layers_of(engine: Engine, image_id: str) -> list[str]:
    return engine.images.get(image_id).layers


def test_one_of_several_names(engine: Engine) -> None:
    image_id = engine.rig.image("base", names=("one", "two:2"))
    assert engine.rmi("one") == ["Untagged: one:latest"]
    assert engine.images.get("two:2").id == image_id
    assert engine.actions() == ["untag"]
    assert engine.rig.layers.present


def test_the_last_name_takes_everything_with_it(engine: Engine) -> None:
    image_id = engine.rig.image("base", "top", names=("app", f"app@{DIGEST}"), config={"Labels": {"a": "b"}})
    engine.rig.blobs.put(b"a manifest")
    base, top = layers_of(engine, image_id)
    assert engine.rmi("app") == [
        "Untagged: app:latest",
        f"Untagged: app@{DIGEST}",
        f"Deleted: {image_id}",
        f"Deleted: {top}",
        f"Deleted: {base}",
    ]
    assert engine.rig.layers.present == set()
    assert engine.rig.blobs.data == {}
    assert [(event.action, event.id, event.attributes) for event in engine.stream._unread] == [
        ("untag", image_id, {"a": "b", "name": image_id}),
        ("delete", image_id, {"name": image_id}),
    ]


def test_digests_of_other_repositories_keep_the_image(engine: Engine) -> None:
    image_id = engine.rig.image("base", names=("app", f"app@{DIGEST}", f"mirror/app@{OTHER_DIGEST}"))
    assert engine.rmi("app") == ["Untagged: app:latest", f"Untagged: app@{DIGEST}"]
    assert engine.images.get(image_id).repo_digests == [f"mirror/app@{OTHER_DIGEST}"]


def test_another_tag_keeps_the_digests(engine: Engine) -> None:
    engine.rig.image("base", names=("app:1", "app:2", f"app@{DIGEST}"))
    assert engine.rmi("app:1") == ["Untagged: app:1"]
    assert engine.images.get(f"app@{DIGEST}").names == ["app:2"]


def test_by_digest(engine: Engine) -> None:
    image_id = engine.rig.image("base", names=("app", f"app@{DIGEST}"))
    assert engine.rmi(f"app@{DIGEST}") == [f"Untagged: app@{DIGEST}"]
    assert engine.images.get(image_id).names == ["app:latest"]


@pytest.mark.parametrize("form", ["{full}", "{short}", "sha256:{short}"])
def test_by_id_with_one_repository(engine: Engine, form: str) -> None:
    image_id = engine.rig.image("base", names=("app", f"app@{DIGEST}"))
    (base,) = layers_of(engine, image_id)
    lines = engine.rmi(form.format(full=image_id, short=short(image_id)))
    assert lines == [
        "Untagged: app:latest",
        f"Untagged: app@{DIGEST}",
        f"Deleted: {image_id}",
        f"Deleted: {base}",
    ]


def test_by_id_with_several_names_must_be_forced(engine: Engine) -> None:
    image_id = engine.rig.image("base", names=("one", "two"))
    with pytest.raises(Conflict) as caught:
        engine.rmi(image_id)
    assert caught.value.message == (
        f"conflict: unable to delete {short(image_id)} (must be forced) - "
        "image is referenced in multiple repositories"
    )
    assert engine.images.get("one").names == ["one:latest", "two:latest"]
    assert engine.rmi(image_id, force=True)[:3] == [
        "Untagged: one:latest",
        "Untagged: two:latest",
        f"Deleted: {image_id}",
    ]


@pytest.mark.parametrize("force", [False, True])
def test_by_id_used_by_a_running_container(engine: Engine, force: bool) -> None:
    image_id = engine.rig.image("base", names=("app",))
    container = engine.use(image_id, Status.RUNNING)
    with pytest.raises(Conflict) as caught:
        engine.rmi(image_id, force=force)
    assert caught.value.message == (
        f"conflict: unable to delete {short(image_id)} (cannot be forced) - "
        f"image is being used by running container {short(container.id)}"
    )
    assert engine.images.get("app").id == image_id
    assert engine.actions() == []


def test_by_id_used_by_a_stopped_container(engine: Engine) -> None:
    image_id = engine.rig.image("base", names=("app",))
    container = engine.use(image_id, Status.EXITED)
    with pytest.raises(Conflict) as caught:
        engine.rmi(image_id)
    assert caught.value.message == (
        f"conflict: unable to delete {short(image_id)} (must be forced) - "
        f"image is being used by stopped container {short(container.id)}"
    )
    assert engine.rmi(image_id, force=True) == ["Untagged: app:latest", f"Deleted: {image_id}"]
    # The container runs on its layers, which go when it goes.
    assert engine.rig.layers.present == set(container.layers)
    engine.images.release_layers(container.layers)
    assert engine.rig.layers.present == set(container.layers)
    engine.containers.clear()
    engine.images.release_layers(container.layers)
    assert engine.rig.layers.present == set()
    assert engine.rig.blobs.data == {}


@pytest.mark.parametrize("status", [Status.RUNNING, Status.EXITED, Status.PAUSED])
def test_the_only_name_of_a_used_image_must_be_forced(engine: Engine, status: Status) -> None:
    image_id = engine.rig.image("base", names=("app",))
    container = engine.use(image_id, status)
    with pytest.raises(Conflict) as caught:
        engine.rmi("app")
    assert caught.value.message == (
        'conflict: unable to remove repository reference "app" (must force) - '
        f"container {short(container.id)} is using its referenced image {short(image_id)}"
    )
    lines = engine.rmi("app", force=True)
    assert lines[0] == "Untagged: app:latest"
    if status is Status.EXITED:
        assert lines[1:] == [f"Deleted: {image_id}"]
    else:  # a running container keeps the image, dangling
        assert lines[1:] == []
        assert engine.images.get(image_id).names == []


def test_one_of_several_names_of_a_used_image(engine: Engine) -> None:
    image_id = engine.rig.image("base", names=("one", "two"))
    engine.use(image_id, Status.RUNNING)
    assert engine.rmi("one") == ["Untagged: one:latest"]


def test_shared_layers_stay(engine: Engine) -> None:
    first = engine.rig.image("base", "one", names=("first",))
    second = engine.rig.image("base", "two", names=("second",))
    base, one = layers_of(engine, first)
    assert engine.rmi("first") == ["Untagged: first:latest", f"Deleted: {first}", f"Deleted: {one}"]
    assert engine.rig.layers.present == {base, layers_of(engine, second)[1]}
    assert digests.of(b"blob of base") in engine.rig.blobs.data
    assert digests.of(b"blob of one") not in engine.rig.blobs.data


def test_children_and_pruned_parents(engine: Engine) -> None:
    grandparent = engine.rig.image("base")
    parent = engine.rig.image("base", "step", parent=grandparent)
    child = engine.rig.image("base", "step", "last", parent=parent, names=("app",))
    base, step, last = layers_of(engine, child)
    for name in (grandparent, parent):
        with pytest.raises(Conflict, match=r"\(cannot be forced\) - image has dependent child images"):
            engine.rmi(name, force=True)
    assert engine.rmi("app") == [
        "Untagged: app:latest",
        f"Deleted: {child}", f"Deleted: {last}",
        f"Deleted: {parent}", f"Deleted: {step}",
        f"Deleted: {grandparent}", f"Deleted: {base}",
    ]  # fmt: skip


def test_parents_stay_when_named_used_or_not_to_be_pruned(engine: Engine) -> None:
    parent = engine.rig.image("base", names=("parent",))
    engine.rig.image("base", "a", parent=parent, names=("a",))
    assert len(engine.rmi("a")) == 3
    engine.rig.store.untag(Reference.parse("parent"))
    engine.rig.image("base", "b", parent=parent, names=("b",))
    assert len(engine.rmi("b", noprune=True)) == 3
    engine.use(parent, Status.EXITED)
    engine.rig.image("base", "c", parent=parent, names=("c",))
    assert len(engine.rmi("c")) == 3
    assert engine.images.get(parent).layers


def test_a_name_of_a_parent_only_is_untagged(engine: Engine) -> None:
    parent = engine.rig.image("base", names=("parent",))
    engine.rig.image("base", "step", parent=parent, names=("app",))
    assert engine.rmi("parent") == ["Untagged: parent:latest"]
    assert engine.images.get(parent).names == []


def test_what_does_not_exist(engine: Engine) -> None:
    with pytest.raises(NotFound, match="No such image: nothing:latest"):
        engine.rmi("nothing")


def test_a_running_pull_keeps_what_it_counts_on(engine: Engine) -> None:
    image_id = engine.rig.image("base", "top", names=("app",))
    base, top = layers_of(engine, image_id)
    blob = digests.of(b"blob of base")
    with engine.images.leases.hold(base) as lease:
        lease.add(base, blob)
        assert engine.rmi("app")[-1] == f"Deleted: {top}"
        assert engine.rig.layers.present == {base}
        assert engine.rig.store.layers.get(base) is not None
        engine.images.sweep()
        assert engine.rig.layers.present == {base}
    engine.images.sweep()
    assert engine.rig.layers.present == set()
    assert engine.rig.store.layers.all() == []
    assert engine.rig.blobs.data == {}


def test_sweeping_spares_what_is_needed(engine: Engine) -> None:
    kept = engine.rig.image("base", names=("kept",))
    used = engine.use(engine.rig.image("used"), Status.EXITED)
    engine.rmi(used.image_id, force=True)
    engine.rig.layers.present.add("sha256:left by a crash")
    engine.rig.blobs.put(b"left by a crash")
    engine.images.sweep()
    assert engine.rig.layers.present == {*layers_of(engine, kept), *used.layers}
    assert set(engine.rig.blobs.data) == {
        kept, digests.of(b"blob of base"), digests.of(b"blob of used")
    }  # fmt: skip


def test_files_that_cannot_be_removed_now_are_swept_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.rig.image("base", names=("app",))

    def fail(_: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(engine.rig.layers, "remove", fail)
    assert len(engine.rmi("app")) == 3
    assert "Input/output error" in caplog.text
    monkeypatch.undo()
    engine.images.sweep()
    assert engine.rig.layers.present == set()
