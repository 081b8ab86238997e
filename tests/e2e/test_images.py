"""`images`, `tag`, `rmi`, `history`, `inspect`, `import`."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from pathlib import Path

import pytest

from rig.clients import Client
from rig.engine import Engine
from rig.standard import busybox_tree
from rig.trees import Tree

BUSYBOX = "busybox"


@pytest.fixture
def client(image_client: Client) -> Client:
    """Begins each test with busybox and nothing else."""
    image_client.ok("pull", "-q", BUSYBOX)
    return image_client


def listed(client: Client, *arguments: str) -> list[str]:
    return sorted(client.ok("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments).split())


def test_table(client: Client) -> None:
    lines = client.ok("images").splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1].split()[:2] == ["busybox", "latest"]
    identifier = client.ok("images", "-q").strip()
    assert len(identifier) == 12
    assert client.ok("images", "-q", "--no-trunc").strip().startswith(f"sha256:{identifier}")
    assert client.ok("image", "ls") == client.ok("images")


def test_digests(client: Client) -> None:
    digest = client.ok("images", "--digests", "--format", "{{.Digest}}").strip()
    assert client.inspect(BUSYBOX, "{{index .RepoDigests 0}}") == f"busybox@{digest}"


def test_filters(client: Client) -> None:
    client.ok("tag", BUSYBOX, "other:1")
    client.ok("pull", "-q", "settings")
    assert listed(client, "--filter", "reference=other:*") == ["other:1"]
    assert listed(client, "other") == ["other:1"]
    assert listed(client, "--filter", "label=org.example.kind=settings") == ["settings:latest"]
    assert listed(client, "--filter", "label=org.example.kind", "--filter", "reference=busy*") == []
    assert listed(client, "--filter", "dangling=true") == []
    client.fails("images", "--filter", "nosuch=1", code=1, match="invalid filter 'nosuch'")


def test_tag_and_untag(client: Client) -> None:
    client.ok("tag", BUSYBOX, "example.org/team/box:v1")
    assert listed(client) == ["busybox:latest", "example.org/team/box:v1"]
    assert client.ok("rmi", "example.org/team/box:v1") == "Untagged: example.org/team/box:v1\n"
    out = client.ok("rmi", BUSYBOX).splitlines()
    assert out[0] == "Untagged: busybox:latest" and out[1].startswith("Untagged: busybox@sha256:")
    assert all(line.startswith("Deleted: sha256:") for line in out[2:]) and len(out) >= 4
    assert listed(client) == []


def test_a_tag_moves(client: Client) -> None:
    client.ok("pull", "-q", "settings")
    client.ok("tag", BUSYBOX, "moving:1")
    client.ok("tag", "settings", "moving:1")
    assert client.inspect("moving:1", "{{.Id}}") == client.inspect("settings", "{{.Id}}")


def test_remove_by_identifier(client: Client) -> None:
    client.ok("tag", BUSYBOX, "second:1")
    client.ok("tag", BUSYBOX, "third/name:1")
    identifier = client.ok("images", "-q", BUSYBOX).strip()
    client.fails("rmi", identifier, code=1, match="must be forced.*image is referenced in multiple repositories")
    client.ok("rmi", "-f", identifier)
    assert listed(client) == []


def test_remove_in_use(client: Client) -> None:
    name = client.ok("create", BUSYBOX).strip()
    client.fails(
        "rmi", BUSYBOX, code=1,
        match=rf'unable to remove repository reference "busybox" \(must force\) - container {name[:12]} '
        "is using its referenced image",
    )  # fmt: skip
    client.ok("rmi", "-f", BUSYBOX)
    assert client.ok("start", "-a", name) == ""
    client.ok("rm", name)
    running = client.ok("pull", "-q", BUSYBOX) and client.detached(BUSYBOX, "sleep", "100")
    identifier = client.ok("images", "-q", BUSYBOX).strip()
    client.fails(
        "rmi",
        identifier,
        code=1,
        match=f"cannot be forced.*image is being used by running container {running[:12]}",
    )


def test_remove_unknown(client: Client) -> None:
    client.fails("rmi", "nosuch", code=1, match="No such image: nosuch")
    client.ok("rmi", "-f", "nosuch")


def test_history(client: Client) -> None:
    lines = client.ok("history", BUSYBOX).splitlines()
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    created_by = client.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", BUSYBOX)
    assert created_by == "BusyBox from the distribution's package\n"
    assert len(client.ok("history", "-q", BUSYBOX).split()) == 1


def test_inspect(client: Client) -> None:
    seen = json.loads(client.ok("image", "inspect", BUSYBOX))[0]
    assert seen["RepoTags"] == ["busybox:latest"] and seen["Os"] == "linux"
    assert seen["Config"]["Cmd"] == ["sh"] and seen["RootFS"]["Type"] == "layers"
    assert seen["Size"] > 500_000
    by_id = json.loads(client.ok("inspect", seen["Id"]))[0]
    assert by_id == seen
    assert json.loads(client.ok("inspect", "--type", "image", seen["Id"].removeprefix("sha256:")[:8]))[0] == seen
    client.fails("inspect", "nosuch", code=1, match="(?i)no such object: nosuch")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    path.write_bytes(busybox_tree().file("made", "imported\n").tar())
    busybox_tree.cache_clear()
    return path


CHANGES = [
    "--change",
    "ENV COLOUR=green",
    "--change",
    'CMD ["cat", "/made"]',
    "--change",
    "WORKDIR /srv",
    "-m",
    "a note",
]


def test_import(client: Client, archive: Path) -> None:
    identifier = client.ok("import", *CHANGES, str(archive), "mine:1").strip()
    assert identifier.startswith("sha256:")
    assert client.ok("run", "--rm", "mine:1") == "imported\n"
    assert client.ok("run", "--rm", "mine:1", "sh", "-c", "echo $COLOUR; pwd") == "green\n/srv\n"
    assert client.ok("history", "--format", "{{.Comment}}", "mine:1") == "a note\n"


@pytest.mark.parametrize("packer", ["none", "gzip", "xz", "bzip2", "zstd"])
def test_import_from_standard_input(client: Client, archive: Path, packer: str) -> None:
    import bz2
    import gzip
    import lzma

    import zstandard

    packers = {"none": bytes, "gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress,
               "zstd": zstandard.compress}  # fmt: skip
    client.ok("import", "-", "piped", stdin=packers[packer](archive.read_bytes()))
    assert client.ok("run", "--rm", "piped", "cat", "/made") == "imported\n"


def test_import_from_a_url(client: Client, archive: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(archive.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            client.ok("import", f"http://127.0.0.1:{server.server_address[1]}/root.tar", "fetched:1")
            client.fails(
                "import", f"http://127.0.0.1:{server.server_address[1]}/nosuch", "fetched:2", code=1, match="404"
            )
        finally:
            server.shutdown()
            thread.join()
    assert client.ok("run", "--rm", "fetched:1", "cat", "/made") == "imported\n"


def test_import_of_what_is_no_archive(client: Client) -> None:
    client.fails("import", "-", "bad", stdin=b"this is not a tar archive" * 100, code=1)
    assert "bad:latest" not in listed(client)


def test_import_cannot_write_outside(client: Client, image_engine: Engine) -> None:
    evil = Tree().file("../../../../../../escaped", b"x").symlink("out", "/").file("out/escaped-too", b"x")
    client("import", "-", "evil", stdin=evil.tar())
    assert not Path("/escaped").exists() and not Path("/escaped-too").exists()
    assert not (image_engine.directory / "escaped").exists()


def test_dangling_after_a_tag_moved(client: Client, archive: Path) -> None:
    first = client.ok("import", str(archive), "same:1").strip()
    client.ok("import", "-m", "second", str(archive), "same:1")
    assert client.ok("images", "-q", "--no-trunc", "--filter", "dangling=true").strip() == first
    assert "<none>" in client.ok("images")
