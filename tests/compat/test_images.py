"""docker-py: images."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from rig.registry import Registry
from rig.trees import Tree

BUSYBOX = "busybox"


def test_pull(sdk: docker.DockerClient) -> None:
    image = sdk.images.pull(BUSYBOX, tag="1.36")
    assert "busybox:1.36" in image.tags
    assert [one.id for one in sdk.images.list("busybox:1.36")] == [image.id]
    assert image.tag("mine", "1")
    assert image.history()[0]["Id"] == image.id
    sdk.images.remove("mine:1")
    sdk.images.remove("busybox:1.36")
    with pytest.raises(ImageNotFound):
        sdk.images.get("busybox:1.36")


def test_progress(sdk: docker.DockerClient) -> None:
    messages = list(sdk.api.pull("settings", tag="latest", stream=True, decode=True))
    assert messages[0]["status"] == "Pulling from library/settings"
    assert {"Pull complete", "Already exists"} & {message["status"] for message in messages}
    assert messages[-1]["status"] == "Status: Downloaded newer image for settings:latest"
    sdk.images.remove("settings")


def test_pull_all_tags_and_by_digest(sdk: docker.DockerClient) -> None:
    images = sdk.images.pull(BUSYBOX, all_tags=True)
    assert {tag for image in images for tag in image.tags} == {"busybox:latest", "busybox:1.36"}
    (digest,) = sdk.images.get("busybox:1.36").attrs["RepoDigests"]
    sdk.images.remove("busybox:1.36")
    by_digest = sdk.images.pull(digest)
    assert by_digest.tags == [] and by_digest.attrs["RepoDigests"] == [digest]
    sdk.images.remove(by_digest.id)


def test_platforms(sdk: docker.DockerClient) -> None:
    with pytest.raises(APIError, match="unknown operating system or architecture"):
        sdk.images.pull("busybox", platform="foobar")
    messages = list(sdk.api.pull("busybox", tag="latest", platform="linux/arm64", stream=True, decode=True))
    assert messages[-1]["status"] == "Status: Downloaded newer image for busybox:latest"
    assert sdk.images.get(BUSYBOX).attrs["Architecture"] == "arm64"
    other = sdk.images.get(BUSYBOX).id
    sdk.images.pull(BUSYBOX, tag="latest", platform="linux/amd64")
    sdk.images.remove(other)


def test_registry_data(sdk: docker.DockerClient) -> None:
    data = sdk.images.get_registry_data("busybox:latest")
    assert data.has_platform("linux/amd64") and not data.has_platform("linux/s390x")
    assert data.attrs["Descriptor"]["digest"] == data.id
    assert sdk.images.get("busybox").attrs["RepoDigests"] == [f"busybox@{data.id}"]


def test_inspect(sdk: docker.DockerClient) -> None:
    image = sdk.images.get(BUSYBOX)
    assert (image.attrs["Os"], image.attrs["Config"]["Cmd"]) == ("linux", ["sh"])
    assert image.short_id == image.id[:19] and image.labels == {}
    assert sdk.images.get(image.id[7:19]) == image
    assert image.id in sdk.api.images(quiet=True)
    (row,) = sdk.api.images(BUSYBOX)
    assert row["RepoTags"] == ["busybox:latest"] and row["Size"] == image.attrs["Size"]
    assert sdk.images.list(filters={"dangling": True}) == []
    assert sdk.images.list("nosuch") == []


def test_removal(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, "touch /x")
    image = container.commit("made", "1")
    user = sdk.containers.create("made:1", "true")
    with pytest.raises(APIError, match="is using its referenced image") as failed:
        sdk.images.remove("made:1")
    assert failed.value.status_code == 409
    image.tag("made", "2")
    assert sdk.api.remove_image("made:2") == [{"Untagged": "made:2"}]
    user.remove()
    rows = sdk.api.remove_image("made:1")
    assert rows[0] == {"Untagged": "made:1"} and {"Deleted": image.id} in rows
    with pytest.raises(ImageNotFound, match="No such image: made:1"):
        sdk.images.remove("made:1")


def test_import(sdk: docker.DockerClient, tmp_path: Path) -> None:
    tar = Tree().file("only", "x").tar()
    path = tmp_path / "image.tar"
    path.write_bytes(tar)
    for number, said in enumerate((
        sdk.api.import_image_from_data(tar, repository="imported", tag="0"),
        sdk.api.import_image_from_file(str(path), repository="imported", tag="1"),
        sdk.api.import_image_from_stream(iter([tar]), repository="imported", tag="2"),
        sdk.api.import_image(str(path), repository="imported", tag="3", changes=["USER foobar", "CMD [\"x\"]"]),
    )):  # fmt: skip
        identifier = said.split('"status":"')[1].split('"')[0]
        image = sdk.images.get(f"imported:{number}")
        assert image.id == identifier
        assert image.attrs["Config"]["User"] == ("foobar" if number == 3 else "")
        sdk.images.remove(image.id, force=True)


def test_prune(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, "true")
    dangling, tagged = container.commit(), container.commit("kept", "1")
    pruned = sdk.images.prune()
    assert {"Deleted": dangling.id} in pruned["ImagesDeleted"] and pruned["SpaceReclaimed"] >= 0
    rows = sdk.images.prune({"dangling": False})["ImagesDeleted"]
    assert {"Untagged": "kept:1"} in rows and {"Deleted": tagged.id} in rows
    assert sdk.images.get(BUSYBOX), "a container has it"


def test_archives(sdk: docker.DockerClient, tmp_path: Path) -> None:
    image = sdk.images.get(BUSYBOX)
    image.tag("archived", "1")
    plain, named = b"".join(image.save()), b"".join(sdk.images.get("archived:1").save(named="archived:1"))
    sdk.images.remove("archived:1")
    assert [one.id for one in sdk.images.load(plain)] == [image.id]
    (loaded,) = sdk.images.load(named)
    assert "archived:1" in loaded.tags
    sdk.images.remove("archived:1")
    with pytest.raises(docker.errors.InvalidArgument, match="is not a valid tag for this image"):
        b"".join(image.save(named="nosuch:1"))
    with pytest.raises(docker.errors.ImageLoadError):
        sdk.images.load(b"nonsense")


def test_push(sdk: docker.DockerClient, registry: Registry) -> None:
    name = f"{registry.address}/compat/pushed"
    sdk.images.get(BUSYBOX).tag(name, "1")
    messages = list(sdk.api.push(name, tag="1", stream=True, decode=True))
    assert messages[0]["status"] == f"The push refers to repository [{name}]"
    pushed = next(message["aux"] for message in messages if "aux" in message)
    assert pushed["Tag"] == "1" and pushed["Digest"].startswith("sha256:")
    sdk.images.remove(f"{name}:1")
    assert f"{name}@{pushed['Digest']}" in sdk.images.pull(name, tag="1").attrs["RepoDigests"]
    sdk.images.remove(f"{name}:1")
    assert "does not exist locally with the tag" in sdk.images.push(name, tag="nosuch")
