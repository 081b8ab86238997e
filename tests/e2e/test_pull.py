"""`pull`: from a real registry, every kind of manifest, layer and authentication."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig import images
from rig.clients import Client
from rig.engine import Engine
from rig.images import Image
from rig.registry import PASSWORD, USER, Registry
from rig.standard import busybox_layer
from rig.terminal import Terminal
from rig.trees import Tree


@pytest.fixture
def client(image_client: Client) -> Client:
    return image_client


@pytest.mark.cgroup2
def test_what_it_prints(client: Client, registry: Registry) -> None:
    digest = images.digest(
        registry.request(
            "GET",
            "/v2/library/busybox/manifests/1.36",
            headers={"Accept": images.MEDIA_TYPES["docker"]["manifest"]},
        )[2]
    )
    layer = registry.manifest("library/busybox", "1.36")["layers"][0]["digest"].removeprefix("sha256:")[:12]
    first = client.ok("pull", "busybox:1.36").splitlines()
    assert first[0] == "1.36: Pulling from library/busybox"
    assert [line for line in first if line.startswith(layer)][-1] == f"{layer}: Pull complete"
    assert first[-3:] == [
        f"Digest: {digest}",
        "Status: Downloaded newer image for busybox:1.36",
        "docker.io/library/busybox:1.36",
    ]
    again = client.ok("pull", "busybox:1.36").splitlines()
    assert again == [first[0], *first[-3:-2], "Status: Image is up to date for busybox:1.36", first[-1]]


def test_shared_layers_are_there_already(client: Client) -> None:
    client.ok("pull", "busybox:1.36")
    assert ": Already exists" in client.ok("pull", "busybox:latest")


def test_quiet(client: Client) -> None:
    assert client.ok("pull", "-q", "busybox") == "docker.io/library/busybox:latest\n"


def test_default_tag_and_names(client: Client, registry: Registry) -> None:
    assert client.ok("pull", "busybox").startswith("Using default tag: latest\n")
    full = f"{registry.address}/library/busybox:1.36"
    assert client.ok("pull", full).endswith(f"{full}\n")
    names = client.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert sorted(names) == sorted(["busybox:latest", full])


def test_by_digest(client: Client, registry: Registry) -> None:
    digest = registry.request(
        "HEAD", "/v2/library/busybox/manifests/1.36", headers={"Accept": images.MEDIA_TYPES["docker"]["manifest"]}
    )[1]["docker-content-digest"]
    assert f"docker.io/library/busybox@{digest}" in client.ok("pull", f"busybox@{digest}")
    assert client.ok("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").split() == [
        "busybox", "<none>", digest,
    ]  # fmt: skip
    assert client.ok("run", "--rm", f"busybox@{digest}", "echo", "pinned") == "pinned\n"


def test_platform(client: Client, registry: Registry) -> None:
    client.ok("pull", "--platform", "linux/arm64", "busybox")
    assert client.inspect("busybox", "{{.Os}}/{{.Architecture}}{{.Variant}}") == "linux/arm64v8"
    client.fails(
        "pull",
        "--platform",
        "linux/s390x",
        f"{registry.address}/library/busybox",
        code=1,
        match="no matching manifest for linux/s390x in the manifest list entries",
    )


def test_all_tags(client: Client) -> None:
    out = client.ok("pull", "-a", "busybox")
    assert sorted(client.ok("images", "--format", "{{.Tag}}").split()) == ["1.36", "latest"]
    assert out.endswith("docker.io/library/busybox\n")


@pytest.mark.parametrize("style", ["oci", "docker"])
@pytest.mark.parametrize("compression", ["gzip", "zstd", ""])
def test_every_kind_of_layer(
    client: Client, registry: Registry, style: images.Style, compression: images.Compression
) -> None:
    tree = Tree().file("made", f"{style} {compression}\n")
    image = images.build([busybox_layer(), images.layer(tree, compression)], style=style)
    registry.push(image, "kinds/one", f"{style}-{compression or 'plain'}")
    name = f"{registry.address}/kinds/one:{style}-{compression or 'plain'}"
    assert client.ok("run", "--rm", name, "cat", "/made") == f"{style} {compression}\n"
    assert json.loads(client.inspect(name, "{{json .RootFS.Layers}}")) == list(image.diff_ids)
    assert client.inspect(name, "{{.Id}}") in (image.config_digest, image.digest)


def test_whiteouts_links_owners(client: Client) -> None:
    look = (
        "ls -A /d /opaque; cat /replaced; stat -c '%u:%g %h' /first; cat /second /to-first; stat -c %F /pipe;"
        "stat -c '%F %t:%T' /zero"
    )
    out = client.ok("run", "--rm", "layers", "sh", "-c", look).splitlines()
    assert out[:5] == ["/d:", "kept", "", "/opaque:", "new"]
    assert out[5:] == ["a file now7:8 2", "linkedlinkedfifo", "character special file 1:5"]


def test_many_layers(client: Client, registry: Registry) -> None:
    """Docker's limit is 127; more than one page of mount options must do."""
    layers = [busybox_layer(), *(images.layer(Tree().file(f"layer{number}", b"x")) for number in range(120))]
    registry.push(images.build(layers), "kinds/deep", "latest")
    name = f"{registry.address}/kinds/deep"
    assert client.ok("run", "--rm", name, "sh", "-c", "ls -d /layer* | wc -l") == "120\n"


def test_progress_on_a_terminal(client: Client) -> None:
    with Terminal(client.command("pull", "busybox:1.36"), client.environment) as terminal:
        terminal.expect("Pulling fs layer|Downloading|Extracting|Pull complete")
        terminal.expect("Pull complete")
        terminal.expect("docker.io/library/busybox:1.36")
        assert terminal.wait() == 0


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_credentials(client: Client, tmp_path: Path, kind: str, guarded: Callable[[str], Registry]) -> None:
    registry = guarded(kind)
    name = f"{registry.address}/secret/box:1"
    denied = client.fails("pull", name, code=1)
    assert re.search("no basic auth credentials|authentication required|unauthorized|denied", denied)
    config = {"auths": {registry.address: {"auth": images.base64(f"{USER}:{PASSWORD}")}}}
    (client.home / "docker" / "config.json").write_text(json.dumps(config))
    try:
        client.ok("pull", name)
        wrong = {"auths": {registry.address: {"auth": images.base64(f"{USER}:wrong")}}}
        (client.home / "docker" / "config.json").write_text(json.dumps(wrong))
        client.fails(
            "pull", f"{registry.address}/secret/box:2", code=1, match="unauthorized|denied|authentication"
        )
    finally:
        (client.home / "docker" / "config.json").unlink()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[[str], Registry]]:
    """Registries that ask for a password, by the two schemes there are."""
    from rig.tokens import TokenServer

    started: list[Registry | TokenServer] = []

    def make(kind: str) -> Registry:
        box = images.build([busybox_layer()])
        if kind == "basic":
            registry = Registry(tmp_path / "registry", password=True).start()
            registry.headers["Authorization"] = f"Basic {images.base64(f'{USER}:{PASSWORD}')}"
        else:
            tokens = TokenServer(tmp_path / "tokens").start()
            started.append(tokens)
            registry = Registry(tmp_path / "registry", auth=tokens.configuration).start()
            registry.headers["Authorization"] = f"Bearer {tokens.token('secret/box', ['pull', 'push'])}"
        started.append(registry)
        for tag in ("1", "2"):
            registry.push(box, "secret/box", tag)
        return registry

    try:
        yield make
    finally:
        for one in reversed(started):
            one.stop()


def test_pulls_of_the_same_layer_at_once(image_engine: Engine, client: Client, big_image: Image) -> None:
    """Two clients ask for the same image: both succeed, the download is shared."""
    first, second = (client.start("pull", "-q", "big") for _ in range(2))
    for one in (first, second):
        out, err = one.communicate(timeout=60)
        assert one.returncode == 0, err
        assert out == b"docker.io/library/big:latest\n"
    assert client.inspect("big", "{{len .RootFS.Layers}}") == "1"
