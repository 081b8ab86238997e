"""Manifests, tags and blobs of a real registry, over connections that fail."""

from __future__ import annotations

import hashlib
import json

import pytest

from proa.errors import Internal, InvalidArgument, NotFound, ProaError, Unavailable, Unsupported
from proa.oci import digest as digests
from proa.oci.descriptor import Descriptor
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Registry, Repository
from rig import images
from rig.faults import FaultyProxy, answer, corrupt, hang_up, replace, stall, truncate
from rig.images import Image
from rig.registry import Registry as RealRegistry
from rig.trees import Tree

AMD64 = Platform("linux", "amd64")


def repository(client: Registry, address: str, name: str = "team/app:latest") -> Repository:
    return client.repository(Reference.parse(f"{address}/{name}"))


def layer_of(image: Image, position: int = 0) -> Descriptor:
    entry = json.loads(image.document)["layers"][position]
    return Descriptor(entry["mediaType"], entry["digest"], entry["size"])


async def download(repo: Repository, descriptor: Descriptor, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in repo.fetch(descriptor, offset)])


@pytest.mark.parametrize("style", ["oci", "docker"])
async def test_an_index_gives_the_image_for_the_platform(
    client: Registry, origin: RealRegistry, style: images.Style
) -> None:
    amd = images.build([Tree().file("amd64")], style=style)
    arm = images.build([Tree().file("arm64")], style=style, architecture="arm64", variant="v8")
    index = origin.push(images.index([arm, amd], style), f"multi/{style}", "1")
    repo = repository(client, origin.address, f"multi/{style}:1")
    resolved = await repo.resolve(AMD64)
    assert (resolved.digest, resolved.manifest.raw) == (index.digest, amd.document)
    assert resolved.documents == (index.document, amd.document)
    assert (await repo.resolve(Platform.parse("linux/arm64/v8"))).manifest.raw == arm.document
    with pytest.raises(NotFound, match=r"^no matching manifest for linux/s390x in the manifest list entries$"):
        await repo.resolve(Platform("linux", "s390x"))
    by_digest = repository(client, origin.address, f"multi/{style}@{amd.digest}")
    assert (await by_digest.resolve(Platform("linux", "s390x"))).manifest.raw == amd.document
    config = await repo.read(resolved.manifest.config, 1 << 20)
    assert digests.of(config) == amd.config_digest


async def test_a_known_manifest_costs_one_head_request(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    repo = repository(client, proxy.address)
    store = {image.digest: image.document}
    resolved = await repo.resolve(AMD64, cached=store.get)
    assert resolved.manifest.raw == image.document
    assert (proxy.count("manifests", "HEAD"), proxy.count("manifests")) == (1, 0)


async def test_without_a_digest_header_the_manifest_is_fetched(
    client: Registry, proxy: FaultyProxy, image: Image
) -> None:
    proxy.fault("manifests", answer(200), methods=("HEAD",))
    resolved = await repository(client, proxy.address).resolve(AMD64, cached=lambda digest: None)
    assert resolved.digest == image.digest


async def test_tags_over_several_pages(client: Registry, proxy: FaultyProxy) -> None:
    names = [f"v{number}" for number in range(7)]
    link = "</v2/many/tags/tags/list?n=3&last=v2>; rel=next"
    pages = [json.dumps({"name": "many/tags", "tags": part}).encode() for part in (names[:3], names[3:])]
    proxy.fault(r"tags/list$", answer(200, pages[0], Link=link))
    proxy.fault(r"tags/list\?n=3&last=v2$", answer(200, pages[1]))
    assert await repository(client, proxy.address, "many/tags").tags() == names
    assert proxy.count(r"tags/list\?n=3&last=v2") == 1


async def test_tags_of_a_registry_that_pages_by_itself(client: Registry, origin: RealRegistry) -> None:
    assert await repository(client, origin.address).tags() == ["latest"]


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_broken_download_is_taken_up(
    client: Registry, origin: RealRegistry, image: Image, ranges: bool
) -> None:
    layer = layer_of(image)
    waits: list[float] = []
    async with FaultyProxy(origin.url, ranges=ranges) as proxy:
        proxy.fault("blobs", truncate(100_000))
        proxy.fault("blobs", hang_up())
        proxy.fault("blobs", answer(503, Retry_After="0"))
        repo = repository(client, proxy.address)
        got = b"".join([chunk async for chunk in repo.fetch(layer, on_retry=waits.append)])
        asked = [seen.headers.get("range") for seen in proxy.requests if "blobs" in seen.path]
    assert hashlib.sha256(got).hexdigest() == digests.encoded(layer.digest)
    assert asked[-3:] == ["bytes=100000-"] * 3
    assert len(waits) == 2  # the HTTP client itself repeats what a reused connection lost


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_download_of_an_earlier_run_is_taken_up(
    client: Registry, origin: RealRegistry, image: Image, ranges: bool
) -> None:
    layer = layer_of(image)
    async with FaultyProxy(origin.url, ranges=ranges) as proxy:
        rest = await download(repository(client, proxy.address), layer, 123_456)
    assert rest == image.blobs[layer.digest][123_456:]


async def test_a_stalled_download_is_taken_up(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    layer = layer_of(image)
    proxy.fault("blobs", stall(50_000))
    assert await download(repository(client, proxy.address), layer) == image.blobs[layer.digest]
    assert proxy.count("blobs") >= 2


async def test_a_refused_range_means_from_the_beginning(
    client: Registry, proxy: FaultyProxy, image: Image
) -> None:
    layer = layer_of(image)
    proxy.fault("blobs", answer(416))
    assert await download(repository(client, proxy.address), layer, 7) == image.blobs[layer.digest][7:]


async def test_a_wrong_range_is_refused(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    proxy.fault("blobs", answer(206, b"x" * 100, Content_Range="bytes 500-599/1000"), times=9)
    with pytest.raises(Unavailable, match="wrong range"):
        await download(repository(client, proxy.address), layer_of(image), 7)


async def test_patience_ends(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    proxy.fault("blobs", truncate(0), times=99)
    with pytest.raises(Unavailable, match="unexpected EOF"):
        await download(repository(client, proxy.address), layer_of(image))
    blobs = f"blobs/{layer_of(image).digest}"
    assert proxy.count(blobs) == 4


async def test_a_server_can_not_send_more_than_it_announced(
    client: Registry, proxy: FaultyProxy, image: Image
) -> None:
    proxy.fault("blobs", replace(lambda body: body + b"more"))
    with pytest.raises(Internal, match="larger than the announced"):
        await download(repository(client, proxy.address), layer_of(image))


async def test_passing_trouble_is_waited_for(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    for code in (500, 502, 503):
        proxy.fault("manifests", answer(code), methods=("HEAD", "GET"))
    assert (await repository(client, proxy.address).resolve(AMD64)).digest == image.digest


async def test_a_rate_limit_is_told(client: Registry, proxy: FaultyProxy) -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
    proxy.fault("manifests", answer(429, body), times=99, methods=("HEAD", "GET"))
    with pytest.raises(Unavailable, match=r"^toomanyrequests: You have reached your pull rate limit\.$"):
        await repository(client, proxy.address).resolve(AMD64)


SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def error_list(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


MANIFEST_FAULTS: dict[str, tuple[object, type[ProaError], str]] = {
    "corrupt": (corrupt(5), Internal, "manifest verification failed for digest sha256:"),
    "huge": (replace(lambda body: body + b" " * (5 << 20)), Unavailable, "is larger than 4194304 bytes"),
    "a page": (answer(200, b"<html>portal</html>"), InvalidArgument, "invalid manifest"),
    "schema 1": (
        answer(200, b'{"schemaVersion":1}', Content_Type=SCHEMA1),
        Unsupported,
        "schema 1 support has been removed",
    ),
    "unknown error": (answer(418, b"\x1b[31mteapot"), Unavailable, "unexpected HTTP status: 418"),
    "terminal escapes": (answer(400, error_list("X", "a\x1b[31m\nb")), Unavailable, r"^x: a \[31m b$"),
    "denied": (
        answer(403, error_list("DENIED", "requested access to the resource is denied")),
        NotFound,
        r"^pull access denied for .*/team/app, repository does not exist or may require 'docker login': "
        r"denied: requested access to the resource is denied$",
    ),
    "name unknown": (
        answer(404, error_list("NAME_UNKNOWN", "repository name not known to registry")),
        NotFound,
        "^repository .*/team/app not found: name unknown: repository name not known to registry$",
    ),
    "no registry": (answer(404, b"page not found"), NotFound, "manifest for .*/team/app:latest not found"),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFEST_FAULTS)
async def test_bad_manifests(client: Registry, proxy: FaultyProxy, name: str) -> None:
    handler, error, text = MANIFEST_FAULTS[name]
    proxy.fault("manifests", handler, times=99)  # type: ignore[arg-type]
    with pytest.raises(error, match=text) as caught:
        await repository(client, proxy.address).resolve(AMD64)
    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message


async def test_what_is_not_there(client: Registry, origin: RealRegistry, image: Image) -> None:
    name = f"{origin.address}/team/app"
    with pytest.raises(NotFound) as caught:
        await repository(client, origin.address, "team/app:nope").resolve(AMD64)
    assert caught.value.message == f"manifest for {name}:nope not found: manifest unknown: manifest unknown"
    gone = "sha256:" + "0" * 64
    with pytest.raises(NotFound, match=f"manifest for {name}@{gone} not found: manifest unknown"):
        await repository(client, origin.address, f"team/app@{gone}").resolve(AMD64)
    with pytest.raises(NotFound, match="is missing in the registry: blob unknown"):
        await download(repository(client, origin.address), Descriptor("x", gone, 5))
    with pytest.raises(NotFound, match=r"repository .*/no/thing not found: name unknown"):
        await repository(client, origin.address, "no/thing").tags()


async def test_a_corrupt_configuration_is_refused(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    repo = repository(client, proxy.address)
    resolved = await repo.resolve(AMD64)
    proxy.fault(f"blobs/{image.config_digest}", corrupt(3))
    with pytest.raises(Internal, match="image config verification failed for digest"):
        await repo.read(resolved.manifest.config, 1 << 20)
    with pytest.raises(Unavailable, match="larger than 10 bytes"):
        await repo.read(resolved.manifest.config, 10)
