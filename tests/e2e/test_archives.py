"""`save` and `load`: between engines, and with skopeo and umoci, which read and write the same formats."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig import archives
from rig.archives import tar
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.images import Image
from rig.registry import Registry
from rig.standard import busybox_docker
from rig.terminal import Terminal

BOX = "busybox:1.36"


@pytest.fixture
def client(image_client: Client) -> Client:
    image_client.ok("pull", "-q", BOX)
    return image_client


def forget(engine: Engine) -> None:
    engine.api.remove_everything()
    engine.api.remove_images()


def run(*command: str | Path, **options: Any) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def skopeo(*words: str | Path) -> str:
    return run("skopeo", "--insecure-policy", *words)


@pytest.mark.parametrize("way", ["pipe", "file"])
def test_save_and_load(client: Client, image_engine: Engine, tmp_path: Path, way: str) -> None:
    before = json.loads(client.ok("image", "inspect", BOX))[0]
    path = tmp_path / "image.tar"
    if way == "pipe":
        path.write_bytes(client("save", BOX).raw)
    else:
        assert client.ok("save", "-o", str(path), BOX) == ""
    forget(image_engine)
    loaded = client.ok("load", "-i", str(path)) if way == "file" else client.ok("load", stdin=path.read_bytes())
    assert loaded == f"Loaded image: {BOX}\n"
    after = json.loads(client.ok("image", "inspect", BOX))[0]
    assert (after["Id"], after["RepoTags"], after["RepoDigests"]) == (before["Id"], [BOX], [])
    assert client.ok("run", "--rm", BOX, "sh", "-c", "echo $VERSION") == "1.36\n"
    assert client.ok("load", "-q", "-i", str(path)) == f"Loaded image: {BOX}\n"
    assert client("save", BOX).raw == path.read_bytes()
    assert client.ok("images", "--digests", "--format", "{{.Repository}} {{.Digest}}") == "busybox <none>\n"


def test_several_names(client: Client, image_engine: Engine, tmp_path: Path) -> None:
    client.ok("tag", BOX, "team/box:a")
    client.ok("tag", BOX, "team/box:b")
    client.ok("pull", "-q", "settings")
    path = str(tmp_path / "all.tar")
    client.ok("image", "save", "-o", path, "team/box", "settings")
    forget(image_engine)
    assert client.ok("image", "load", "-i", path).splitlines() == [
        "Loaded image: team/box:a", "Loaded image: team/box:b", "Loaded image: settings:latest",
    ]  # fmt: skip


def test_by_identifier(client: Client, image_engine: Engine, tmp_path: Path) -> None:
    identifier = client.ok("images", "-q", "--no-trunc", BOX).strip()
    path = str(tmp_path / "one.tar")
    client.ok("save", "-o", path, identifier)
    forget(image_engine)
    assert client.ok("load", "-i", path) == f"Loaded image ID: {identifier}\n"


def test_what_was_committed_here(client: Client, image_engine: Engine, tmp_path: Path) -> None:
    client.ok("run", "--name", "maker", BOX, "sh", "-c", "echo made >/made; rm /etc/shadow")
    client.ok("commit", "-m", "a note", "maker", "mine:1")
    path = str(tmp_path / "mine.tar")
    client.ok("save", "-o", path, "mine:1")
    steps = ("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}|{{.Size}}", "mine:1")
    history = client.ok(*steps)
    forget(image_engine)
    client.ok("load", "-i", path)
    assert client.ok("run", "--rm", "mine:1", "sh", "-c", "cat /made; ls /etc/shadow 2>&1 | tail -1") == (
        "made\nls: /etc/shadow: No such file or directory\n"
    )
    assert client.ok(*steps) == history


def test_errors(client: Client, tmp_path: Path) -> None:
    client.fails("save", "nosuch", code=1, match="^Error response from daemon: No such image: nosuch$")
    client.fails("save", "nosuch:1", code=1, match="^Error response from daemon: reference does not exist$")
    client.fails("save", "--platform", "linux/s390x", BOX, match="no suitable export target found for platform")
    client.fails("load", "-i", "/no/such", code=1, match="^open /no/such: no such file or directory$")
    client.fails("load", stdin=b"", code=1, match="^invalid archive: does not contain a manifest.json$")
    client.fails("load", stdin=client("save", BOX).raw[:9000], code=1, match="^invalid archive: unexpected end$")
    client.fails("save", "-o", str(tmp_path / "x.tar"), "nosuch", code=1)
    assert list(tmp_path.iterdir()) == []


def test_terminals(client: Client, tmp_path: Path, image_engine: Engine) -> None:
    refused = "cowardly refusing to save to a terminal. Use the -o flag or redirect"
    with Terminal(client.command("save", BOX), client.environment) as terminal:
        terminal.expect(refused)
        assert terminal.wait() == 1
    with Terminal(client.command("load"), client.environment) as terminal:
        terminal.expect("requested load from stdin, but stdin is empty")
        assert terminal.wait() == 1
    path = str(tmp_path / "image.tar")
    client.ok("save", "-o", path, BOX)
    forget(image_engine)
    with Terminal(client.command("load", "-i", path), client.environment) as terminal:
        terminal.expect(r"[0-9a-f]{12}: Loading layer +\S+MB/\S+MB")
        terminal.expect(f"Loaded image: {BOX}")
        assert terminal.wait() == 0


READS: dict[str, Callable[[Path], str]] = {
    "docker-archive": lambda path: f"docker-archive:{path}",
    "oci-archive": lambda path: f"oci-archive:{path}",
}


@pytest.mark.parametrize("transport", READS)
@pytest.mark.parametrize("name", [BOX, "busybox:latest"])
def test_skopeo_reads(image_engine: Engine, tmp_path: Path, transport: str, name: str, registry: Registry) -> None:
    client = image_engine.docker
    client.ok("pull", "-q", name)
    client.ok("save", "-o", str(tmp_path / "image.tar"), name)
    seen = json.loads(skopeo("inspect", "--config", READS[transport](tmp_path / "image.tar")))
    identifier = client.inspect(name, "{{.Id}}")
    assert seen["rootfs"]["diff_ids"] == json.loads(client.inspect(name, "{{json .RootFS.Layers}}"))
    skopeo("copy", READS[transport](tmp_path / "image.tar"), f"dir:{tmp_path}/copy")
    assert json.loads((tmp_path / "copy/manifest.json").read_text())["config"]["digest"] == identifier
    forget(image_engine)


@pytest.mark.parametrize(("transport", "tag"), [("docker-archive", "1.36"), ("oci-archive", "latest")])
def test_skopeo_writes(image_engine: Engine, tmp_path: Path, transport: str, tag: str, registry: Registry) -> None:
    """Each from an image of its own form: skopeo rewrites the configuration of others."""
    client = image_engine.proa
    path = tmp_path / "image.tar"
    source = f"docker://{registry.address}/library/busybox:{tag}"
    skopeo("copy", "--src-tls-verify=false", source, f"{transport}:{path}:library/written:1")
    assert client.ok("load", "-i", str(path)) == "Loaded image: library/written:1\n".replace("library/", "")
    assert client.ok("run", "--rm", "written:1", "echo", "read") == "read\n"
    client.ok("pull", "-q", f"busybox:{tag}")
    assert client.inspect("written:1", "{{.Id}}") == client.inspect(f"busybox:{tag}", "{{.Id}}")
    forget(image_engine)


def test_umoci_reads_and_writes(image_engine: Engine, tmp_path: Path) -> None:
    client = image_engine.proa
    client.ok("pull", "-q", BOX)
    client.ok("save", "-o", str(tmp_path / "image.tar"), BOX)
    layout = tmp_path / "layout"
    layout.mkdir()
    run("tar", "-C", layout, "-xf", tmp_path / "image.tar")
    assert run("umoci", "ls", "--layout", layout) == "1.36\n"
    run("umoci", "unpack", "--image", f"{layout}:1.36", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/bin/busybox").is_file()
    (tmp_path / "bundle/rootfs/added").write_text("by umoci\n")
    run("umoci", "repack", "--image", f"{layout}:new", tmp_path / "bundle")
    run("umoci", "rm", "--image", f"{layout}:1.36")
    for name in ("manifest.json", "repositories"):
        (layout / name).unlink()
    run("tar", "-C", layout, "-cf", tmp_path / "new.tar", ".")
    loaded = client.ok("load", "-i", str(tmp_path / "new.tar")).splitlines()
    assert loaded[-1] == f"Loaded image: {BOX}"  # umoci keeps the annotation that says so
    assert client.ok("run", "--rm", BOX, "cat", "/added") == "by umoci\n"
    forget(image_engine)


def test_docker_py(image_engine: Engine) -> None:
    image_engine.docker.ok("pull", "-q", BOX)
    sdk = docker_sdk.DockerClient(base_url=image_engine.host)
    try:
        data = b"".join(sdk.images.get(BOX).save(named=True))
        forget(image_engine)
        (image,) = sdk.images.load(data)
        assert image.tags == [BOX]
    finally:
        sdk.close()
    forget(image_engine)


def test_a_killed_engine_keeps_nothing_of_a_load(fresh_engine: Engine, big_image: Image, tmp_path: Path) -> None:
    """SIGKILL in the middle: the next engine has no part of the image, and no file of the archive."""
    path = tmp_path / "big.tar"
    path.write_bytes(tar(archives.docker(big_image, "big:1", compressed=True)))
    with fresh_engine.docker.start("load", "-i", str(path)):
        layers = fresh_engine.data_root / "layers/.new"
        eventually(lambda: any(layers.iterdir()))
        fresh_engine.kill()
    fresh_engine.start()
    assert fresh_engine.api.get("/images/json").json == []
    assert list(layers.iterdir()) == []
    blobs = fresh_engine.data_root / "blobs"
    assert [path for path in blobs.rglob("*") if path.is_file()] == []
    assert fresh_engine.docker.ok("load", "-q", "-i", str(path)) == "Loaded image: big:1\n"


def test_images_of_old_docker(image_engine: Engine) -> None:
    archive = tar(archives.docker_before_25(busybox_docker(), "before:25"))
    assert image_engine.docker.ok("load", stdin=archive) == "Loaded image: before:25\n"
    layers = archives.plain_layers(busybox_docker())
    archive = tar(archives.version_1(layers, "before:1.10", Cmd=["echo", "old"], Env=["PATH=/bin"]))
    assert image_engine.proa.ok("load", stdin=archive) == "Loaded image: before:1.10\n"
    assert image_engine.docker.ok("run", "--rm", "before:1.10") == "old\n"
    forget(image_engine)
