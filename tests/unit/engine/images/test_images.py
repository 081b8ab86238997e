"""Listing, tagging and telling the history of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proa.engine.events import Events
from proa.engine.images.images import Images
from proa.errors import Internal, InvalidArgument, NotFound
from proa.oci import digest as digests
from proa.oci import platform as platforms

if TYPE_CHECKING:
    from tests.unit.engine.images.conftest import Rig

DIGEST = digests.of(b"a manifest")


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def images(rig: Rig, events: Events) -> Images:
    made = Images(rig.database, rig.blobs, rig.layers, events, tuple)
    made.store = rig.store
    return made


@pytest.fixture
def shelf(rig: Rig) -> dict[str, str]:
    """Five images: two with names, one with a digest only, one dangling, one that is only a parent."""
    day = "2024-01-0{}T00:00:00Z".format
    parent = rig.image("base", created=day(1))
    return {
        "parent": parent,
        "app": rig.image("base", "app", created=day(2), parent=parent, names=("app", "team/app:1"),
                         config={"Labels": {"kind": "web", "tier": ""}}),
        "db": rig.image("db", created=day(3), names=("localhost:5000/db:2", f"localhost:5000/db@{DIGEST}")),
        "bare": rig.image("bare", created=day(4), names=(f"bare@{DIGEST}",)),
        "none": rig.image("none", created=day(5)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "none bare db app"),
        ({"dangling": ["true"]}, "none bare"),
        ({"dangling": ["1"]}, "none bare"),
        ({"dangling": ["false"]}, "bare db app"),
        ({"label": ["kind"]}, "app"),
        ({"label": ["kind=web", "tier"]}, "app"),
        ({"label": ["kind=web", "tier=x"]}, ""),
        ({"before": ["localhost:5000/db:2"]}, "app"),
        ({"since": ["localhost:5000/db:2"]}, "none bare"),
        ({"since": ["app"], "before": [f"bare@{DIGEST}"]}, "db"),
        ({"reference": ["app"]}, "app"),
        ({"reference": ["*"]}, "bare app"),
        ({"reference": ["*/*"]}, "db app"),
        ({"reference": ["localhost:5000/db:*", "team/app"]}, "db app"),
        ({"reference": ["nothing"]}, ""),
        ({"until": ["2024-01-03T12:00:00Z"]}, "db app"),
        ({"until": ["1704240000"]}, "app"),
        ({"until": ["1h"]}, "none bare db app"),
    ],
)
def test_listing(images: Images, shelf: dict[str, str], filters: dict[str, list[str]], expected: str) -> None:
    names = {image_id: name for name, image_id in shelf.items()}
    assert [names[image.id] for image in images.list(filters)] == expected.split()


def test_listing_everything(images: Images, shelf: dict[str, str]) -> None:
    assert [image.id for image in images.list(all=True)] == list(reversed(shelf.values()))


def test_the_filter_by_reference_narrows_the_names(images: Images, shelf: dict[str, str]) -> None:
    (image,) = images.list({"reference": ["team/*"]})
    assert image.names == ["team/app:1"]
    (image,) = images.list({"reference": ["localhost:5000/db:2"]})
    assert (image.names, image.repo_digests) == (["localhost:5000/db:2"], [])


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ({"colour": ["red"]}, InvalidArgument, "invalid filter 'colour'"),
        ({"dangling": ["maybe"]}, InvalidArgument, "invalid filter 'dangling=[maybe]'"),
        ({"dangling": ["true", "false"]}, InvalidArgument, "invalid filter 'dangling=[false true]'"),
        ({"until": ["soon"]}, InvalidArgument, 'failed to parse value as time or duration: "soon"'),
        ({"reference": ["["]}, InvalidArgument, "syntax error in pattern"),
        ({"before": ["nothing"]}, NotFound, "No such image: nothing:latest"),
        ({"since": ["%"]}, InvalidArgument, "invalid reference format"),
    ],
)
def test_filters_that_make_no_sense(
    images: Images,
    shelf: dict[str, str],
    filters: dict[str, list[str]],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error) as caught:
        images.list(filters)
    assert str(caught.value) == message


def test_tagging_tells(images: Images, rig: Rig, events: Events) -> None:
    image_id = rig.image("base", names=("app",), config={"Labels": {"a": "b"}})
    with events.subscribe() as stream:
        images.tag("app", "docker.io/team/app:2")
    assert images.get("team/app:2").id == image_id
    (event,) = stream._unread
    assert (event.type, event.action, event.id) == ("image", "tag", image_id)
    assert event.attributes == {"a": "b", "name": "team/app:2"}


def test_tagging_makes_the_old_image_dangling(images: Images, rig: Rig) -> None:
    old, new = rig.image("old", names=("app",)), rig.image("new", names=("new",))
    images.tag("new", "app")
    assert images.get("app").id == new
    assert [image.id for image in images.list({"dangling": ["true"]})] == [old]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (f"app@{DIGEST}", "refusing to create a tag with a digest reference"),
        ("sha256:abc", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("App", "invalid reference format: repository name (library/App) must be lowercase"),
        ("app:", "invalid reference format"),
    ],
)
def test_names_that_cannot_be(images: Images, rig: Rig, target: str, message: str) -> None:
    rig.image("base", names=("app",))
    with pytest.raises(InvalidArgument) as caught:
        images.tag("app", target)
    assert str(caught.value) == message


def test_tagging_what_is_not_there(images: Images) -> None:
    with pytest.raises(NotFound, match="No such image: app:latest"):
        images.tag("app", "other")


def test_the_platform_asked_for(images: Images, rig: Rig) -> None:
    image_id = rig.image("base", names=("app",))
    here = platforms.Platform("linux", "amd64")
    assert images.get("app", str(here)).id == image_id
    with pytest.raises(NotFound) as caught:
        images.get("app", "linux/s390x")
    assert str(caught.value) == (
        "image with reference app was found but its platform (linux/amd64) "
        "does not match the specified platform (linux/s390x)"
    )


def test_history(images: Images, rig: Rig) -> None:
    steps = [
        {"created": "2024-01-01T00:00:00Z", "created_by": "ADD rootfs"},
        {"created": "2024-01-02T00:00:00.5Z", "created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "RUN true", "comment": "slim"},
    ]
    parent = rig.image("base", history=steps[:1], names=("parent:1",))
    image_id = rig.image("base", "app", history=steps, parent=parent, names=("app", "again"))
    items = images.history("app")
    assert [item.id for item in items] == [image_id, parent, "<missing>"]
    assert [item.tags for item in items] == [["again:latest", "app:latest"], ["parent:1"], []]
    assert [item.size for item in items] == [30, 0, 40]
    assert [item.created for item in items] == [0, 1_704_153_600, 1_704_067_200]
    assert [item.created_by for item in items] == ["RUN true", "ENV A=b", "ADD rootfs"]
    assert items[0].comment == "slim"


def test_history_of_more_layers_than_there_are(images: Images, rig: Rig) -> None:
    rig.image("base", history=[{"created_by": "one"}, {"created_by": "two"}], names=("app",))
    with pytest.raises(Internal, match="too many non-empty layers in History section"):
        images.history("app")


def test_no_history(images: Images, rig: Rig) -> None:
    rig.image("base", names=("app",))
    assert images.history("app") == []
