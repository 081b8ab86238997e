"""`push`: to real registries, open, with passwords and tokens, with TLS."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig import images
from rig.certificates import Authority
from rig.clients import Client
from rig.engine import Engine
from rig.registry import PASSWORD, USER, Registry
from rig.terminal import Terminal
from rig.tokens import TokenServer

BOX = "busybox:1.36"
ACCEPT = {"Accept": images.MEDIA_TYPES["docker"]["manifest"]}


@pytest.fixture
def client(image_client: Client) -> Client:
    image_client.ok("pull", "-q", BOX)
    return image_client


def test_an_image_keeps_its_digest(client: Client, registry: Registry) -> None:
    original = registry.request("GET", "/v2/library/busybox/manifests/1.36", headers=ACCEPT)[2]
    repository = f"{registry.address}/push/{client.name}"
    client.ok("tag", BOX, f"{repository}:1")
    lines = client.ok("push", f"{repository}:1").splitlines()
    layer = json.loads(client.inspect(BOX, "{{json .RootFS.Layers}}"))[0][7:19]
    digest = images.digest(original)
    assert lines == [
        f"The push refers to repository [{repository}]", f"{layer}: Preparing", f"{layer}: Pushed",
        f"1: digest: {digest} size: {len(original)}",
    ]  # fmt: skip
    assert registry.request("GET", f"/v2/push/{client.name}/manifests/1", headers=ACCEPT)[2] == original
    shown = client.ok("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", repository)
    assert shown == f"1 {digest}\n"
    assert f"{repository}@{digest}" in client.inspect(f"{repository}:1", "{{.RepoDigests}}")
    again = client.ok("push", f"{repository}:1").splitlines()
    assert again[2] == f"{layer}: Layer already exists"
    sibling = f"{registry.address}/push/{client.name}-sibling:1"
    client.ok("tag", BOX, sibling)
    assert f"{layer}: Mounted from push/{client.name}\n" in client.ok("push", sibling)


def test_what_was_committed_here(client: Client, registry: Registry, fresh_engine: Engine) -> None:
    name = f"{registry.address}/push/made-{client.name}"
    client.ok("run", "--name", "maker", BOX, "sh", "-c", "echo made >/made")
    client.ok("commit", "maker", f"{name}:1")
    client.ok("tag", f"{name}:1", f"{name}:latest")
    assert client.ok("push", "-q", f"{name}:1") == f"{name}:1\n"
    assert client.ok("push", name).startswith("Using default tag: latest\n")
    raw = registry.request("GET", f"/v2/push/made-{client.name}/manifests/1", headers=ACCEPT)[2]
    assert raw.startswith(b'{\n   "schemaVersion": 2,\n   "mediaType": ')
    other = fresh_engine.client(client.name)
    assert other.ok("run", "--rm", f"{name}:1", "cat", "/made") == "made\n"
    assert other.inspect(f"{name}:1", "{{.Id}}") == client.inspect(f"{name}:1", "{{.Id}}")


def test_all_tags(client: Client, registry: Registry) -> None:
    name = f"{registry.address}/push/all-{client.name}"
    for tag in ("a", "b"):
        client.ok("tag", BOX, f"{name}:{tag}")
    out = client.ok("image", "push", "--all-tags", name)
    assert re.findall(r"^(\w+): digest: sha256:", out, re.MULTILINE) == ["a", "b"]
    listed = json.loads(registry.request("GET", f"/v2/push/all-{client.name}/tags/list")[2])
    assert sorted(listed["tags"]) == ["a", "b"]
    client.fails("push", "-a", f"{name}:a", code=1, match="^tag can't be used with --all-tags/-a$")


def test_errors(client: Client, registry: Registry) -> None:
    name = f"{registry.address}/push/errors"
    client.fails("push", f"{name}:1", code=1, match=f"^An image does not exist locally with the tag: {name}$")
    client.ok("tag", BOX, f"{name}:1")
    client.fails("push", f"{name}:2", code=1, match=f"^tag does not exist: {name}:2$")
    client.fails("push", f"{name}@sha256:{'a' * 64}", code=1, match="^cannot push a digest reference$")
    client.fails("push", "UPPER", code=1, match="must be lowercase")
    client.ok("tag", BOX, "127.0.0.1:9/nobody:1")
    client.fails(
        "push", "127.0.0.1:9/nobody:1", code=1,
        match=r'^Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused$',
    )  # fmt: skip


def test_progress_on_a_terminal(client: Client, registry: Registry) -> None:
    name = f"{registry.address}/push/terminal-{client.name}:1"
    client.ok("pull", "-q", "layers")
    client.ok("tag", "layers", name)
    with Terminal(client.command("push", name), client.environment) as terminal:
        terminal.expect("Preparing|Pushing")
        terminal.expect("Pushed|Mounted from|Layer already exists")
        terminal.expect("1: digest: sha256:[0-9a-f]{64} size: [0-9]+")
        assert terminal.wait() == 0


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[[str], Registry]]:
    """Registries that ask for a password, by the two schemes there are."""
    started: list[Registry | TokenServer] = []

    def make(kind: str) -> Registry:
        if kind == "basic":
            registry = Registry(tmp_path / "registry", password=True)
        else:
            tokens = TokenServer(tmp_path / "tokens").start()
            started.append(tokens)
            registry = Registry(tmp_path / "registry", auth=tokens.configuration)
        started.append(registry.start())
        return registry

    try:
        yield make
    finally:
        for one in reversed(started):
            one.stop()


REFUSALS = "no basic auth credentials|unauthorized: |denied: requested access to the resource is denied"


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_credentials(client: Client, guarded: Callable[[str], Registry], kind: str) -> None:
    registry = guarded(kind)
    name = f"{registry.address}/secret/box:1"
    client.ok("tag", BOX, name)
    client.fails("push", name, code=1, match=f"^({REFUSALS})")
    client.fails("login", "-u", USER, "--password-stdin", registry.address, stdin="wrong", code=1)
    client.ok("login", "-u", USER, "--password-stdin", registry.address, stdin=PASSWORD)
    client.ok("push", name)
    client.ok("tag", BOX, f"{registry.address}/secret/other:1")
    assert ": Mounted from secret/box\n" in client.ok("push", f"{registry.address}/secret/other:1")
    client.ok("rmi", name)
    client.ok("pull", name)
    client.ok("logout", registry.address)
    client.fails("push", name, code=1, match=f"^({REFUSALS})")


def test_tls(client: Client, tmp_path: Path) -> None:
    certificate = Authority(tmp_path / "authority").issue("registry", "server")
    registry = Registry(tmp_path / "registry", certificate=certificate).start()
    try:
        name = f"{registry.address}/tls/box:1"
        client.ok("tag", BOX, name)
        client.ok("push", name)
        assert registry.request("HEAD", "/v2/tls/box/manifests/1", headers=ACCEPT)[0] == 200
    finally:
        registry.stop()


def test_docker_py(image_engine: Engine, registry: Registry) -> None:
    image_engine.docker.ok("pull", "-q", BOX)
    sdk = docker_sdk.DockerClient(base_url=image_engine.host)
    try:
        repository = f"{registry.address}/push/sdk"
        sdk.images.get(BOX).tag(repository, "1")
        told = list(sdk.images.push(repository, tag="1", stream=True, decode=True))
        aux = told[-1]["aux"]
        found = sdk.images.get_registry_data(f"{repository}:1")
        assert (aux["Tag"], aux["Digest"]) == ("1", found.id)
        assert found.has_platform("linux/amd64")
    finally:
        sdk.close()


def test_skopeo_sees_what_was_pushed(image_engine: Engine, registry: Registry) -> None:
    image_engine.proa.ok("pull", "-q", BOX)
    name = f"{registry.address}/push/skopeo:1"
    image_engine.proa.ok("tag", BOX, name)
    image_engine.proa.ok("push", "-q", name)
    done = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"], capture_output=True, check=True
    )
    seen = json.loads(done.stdout)
    assert seen["Digest"] == image_engine.proa.inspect(name, "{{index .RepoDigests 0}}").partition("@")[2]
