"""`proa manifest`, beside docker's at a real registry, and `proa image outdated`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import images
from rig.clients import Client
from rig.engine import Engine
from rig.images import Image
from rig.registry import Registry
from rig.trees import Tree

STYLES = ("docker", "oci")
ACCEPT = {"Accept": ", ".join(types["index"] for types in images.MEDIA_TYPES.values())}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """multi/STYLE with 1 (an index), amd and arm; other/STYLE with arm."""
    started = Registry(tmp_path_factory.mktemp("own") / "registry").start()
    try:
        for style in STYLES:
            amd, arm = parts(style)
            started.push(images.index([arm, amd], style), f"multi/{style}", "1")
            started.push(amd, f"multi/{style}", "amd")
            for repository in (f"multi/{style}", f"other/{style}"):
                started.push(arm, repository, "arm")
        yield started
    finally:
        started.stop()


def parts(style: images.Style) -> tuple[Image, Image]:
    amd = images.build([Tree().file("amd64")], style=style)
    return amd, images.build([Tree().file("arm64")], style=style, architecture="arm64", variant="v8")


@pytest.fixture(params=["docker", "proa"])
def client(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = engine.client(request.param)
    yield made
    shutil.rmtree(made.home / "docker/manifests", ignore_errors=True)


def both(engine: Engine, *words: str) -> list[str]:
    """What docker and proa print, and on which stream; they must agree."""
    found = []
    for name in ("docker", "proa"):
        done = engine.client(name)("manifest", *words)
        found.append(f"{done.code}\n{done.out}\n{done.err}")
    return found


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("tag", ["1", "amd", "arm", "none"])
@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_inspect_as_docker(engine: Engine, own: Registry, style: str, tag: str, verbose: list[str]) -> None:
    docker, proa = both(engine, "inspect", "--insecure", *verbose, f"{own.address}/multi/{style}:{tag}")
    assert proa == docker
    assert proa.startswith("1" if tag == "none" else "0")


@pytest.mark.parametrize("style", STYLES)
def test_a_list_is_made_and_pushed(client: Client, own: Registry, style: str) -> None:
    here, there = f"{own.address}/multi/{style}", f"{own.address}/other/{style}"
    new = f"{here}:{client.name}-{style}"
    assert client.ok("manifest", "create", "--insecure", new, f"{here}:amd") == f"Created manifest list {new}\n"
    client.fails(
        "manifest", "create", "--insecure", new, f"{there}:arm", code=1,
        match="^refusing to amend an existing manifest list with no --amend flag$",
    )  # fmt: skip
    client.ok("manifest", "create", "--insecure", "--amend", new, f"{there}:arm")
    client.ok(
        "manifest", "annotate", new, f"{here}:amd", "--arch", "arm", "--variant", "v7", "--os-features", "a,b",
        "--os-features", "c", "--os-version", "1.2",
    )  # fmt: skip
    drafted = client.ok("manifest", "inspect", new)
    amd, arm = parts(style)  # type: ignore[arg-type]
    said = client.ok("manifest", "push", "--insecure", new).splitlines()
    assert said[0] == f"Pushed ref {here}@{arm.digest} with digest: {arm.digest}"
    raw = own.request("GET", f"/v2/multi/{style}/manifests/{client.name}-{style}", headers=ACCEPT)[2]
    assert said[1] == images.digest(raw)
    assert raw.decode() + "\n" == drafted
    entries = {entry["digest"]: entry["platform"] for entry in json.loads(raw)["manifests"]}
    assert entries == {
        amd.digest: {
            "architecture": "arm", "os": "linux", "os.version": "1.2", "os.features": ["a", "b", "c"],
            "variant": "v7",
        },
        arm.digest: {"architecture": "arm64", "os": "linux", "variant": "v8"},
    }  # fmt: skip
    client.ok("manifest", "push", "--insecure", "--purge", new)
    client.fails("manifest", "push", new, code=1, match=f"^No such manifest: {new}$")


def test_the_same_list_has_the_same_digest(engine: Engine, own: Registry) -> None:
    here = f"{own.address}/multi/oci"
    pushed = []
    for name in ("docker", "proa"):
        made = engine.client(name)
        made.ok("manifest", "create", "--insecure", f"{here}:same", f"{here}:arm", f"{here}:amd")
        pushed.append(made.ok("manifest", "push", "--insecure", "--purge", f"{here}:same"))
    assert pushed[0] == pushed[1]


def test_one_goes_on_with_what_the_other_began(engine: Engine, own: Registry) -> None:
    here = f"{own.address}/multi/docker"
    docker, proa = engine.docker, engine.proa
    docker.ok("manifest", "create", "--insecure", f"{here}:both", f"{here}:amd")
    kept = docker.home / "docker/manifests"
    shutil.copytree(kept, proa.home / "docker/manifests", dirs_exist_ok=True)
    proa.ok("manifest", "create", "--amend", f"{here}:both", f"{here}:arm")
    shutil.rmtree(kept)
    shutil.copytree(proa.home / "docker/manifests", kept)
    assert docker.ok("manifest", "inspect", f"{here}:both") == proa.ok("manifest", "inspect", f"{here}:both")
    for each in (docker, proa):
        each.ok("manifest", "rm", f"{here}:both")


BAD = (
    ("inspect", "UPPER"),
    ("inspect", "{}/multi/docker:new", "{}/multi/docker:amd"),
    ("create", "--insecure", "{}/x:1", "{}/multi/docker:1"),
    ("create", "--insecure", "{}/x:1", "{}/multi/docker:none"),
    ("create", "--insecure", "{}/x:1", "UPPER"),
    ("annotate", "{}/x:1", "{}/multi/docker:amd", "--os", "linux"),
    ("push", "{}/x:1"),
    ("rm", "{}/x:1", "{}/y:1"),
)


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_mistakes_as_docker(engine: Engine, own: Registry, words: tuple[str, ...]) -> None:
    docker, proa = both(engine, *(word.format(own.address) for word in words))
    assert proa == docker
    assert proa.startswith("1")


def test_more_mistakes(client: Client, own: Registry) -> None:
    here, other = f"{own.address}/multi/docker", f"localhost:{own.address.partition(':')[2]}/multi/docker"
    client.ok("manifest", "create", "--insecure", f"{here}:bad", f"{other}:amd")
    client.fails(
        "manifest", "annotate", f"{here}:bad", f"{other}:amd", "--os", "foo", code=1,
        match="^manifest entry for image has unsupported os/arch combination: foo/$",
    )  # fmt: skip
    client.fails(
        "manifest", "push", "--insecure", f"{here}:bad", code=1,
        match="^cannot use source images from a different registry than the target image: localhost:",
    )  # fmt: skip
    (path,) = (client.home / "docker/manifests").glob("*/*")
    path.write_text("{}")
    if client.name == "proa":
        client.fails("manifest", "inspect", f"{here}:bad", code=1, match=f"^{path} is no manifest that docker")


def test_outdated(engine: Engine, own: Registry) -> None:
    proa, name = engine.proa, f"{own.address}/fresh/app"
    first, second = (images.build([Tree().file(text)]) for text in ("one", "two"))
    for tag in ("1", "2"):
        own.push(first, "fresh/app", tag)
        proa.ok("pull", "-q", f"{name}:{tag}")
    try:
        assert proa.ok("image", "outdated", f"{name}:1", f"{name}:2") == "IMAGE     CURRENT   NEWEST    STATUS\n"
        own.push(second, "fresh/app", "2")
        done = proa("image", "outdated", "--format", "json", f"{name}:1", f"{name}:2")
        assert done.code == 10
        (row,) = map(json.loads, done.out.splitlines())
        assert row == {
            "Image": f"{name}:2", "Current": first.digest[7:19], "Newest": second.digest[7:19],
            "Status": "outdated",
        }  # fmt: skip
        shown = proa("image", "outdated", "--all", "--format", "{{.Image}} {{.Status}}", f"{name}:1")
        assert (shown.out, shown.code) == (f"{name}:1 up to date\n", 0)
        assert f"{name}:2" in proa("image", "outdated").out
        proa.ok("pull", "-q", f"{name}:2")
        proa.ok("image", "outdated", f"{name}:2")
        proa.fails("image", "outdated", "nothing:1", code=1, match="^no image has the tag nothing:1$")
        proa.ok("tag", f"{name}:2", "local/only:1")
        proa.fails("image", "outdated", "local/only:1", code=1, match="^local/only:1 came from no registry")
        path = Path(own.directory / "data/docker/registry/v2/repositories/fresh/app/_manifests/tags/2")
        shutil.rmtree(path)
        done = proa("image", "outdated", f"{name}:2")
        assert done.code == 1
        assert "manifest unknown" in done.err
    finally:
        for each in (f"{name}:1", f"{name}:2", "local/only:1"):
            proa("rmi", each)
