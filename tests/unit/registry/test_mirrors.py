"""Several mirrors: the first good answer counts, the fastest sends the blobs, others take over, none may lie."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proa.errors import Internal, NotFound, Unavailable
from proa.oci import digest as digests
from proa.oci.descriptor import Descriptor
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Registry, Repository, attempts
from proa.registry import course as courses
from proa.registry.requests import Patience
from rig.faults import FaultyProxy, Handler, answer, corrupt, delay, hang_up, replace, stall, throttle, truncate
from rig.images import Image
from rig.registry import Registry as RealRegistry

AMD64 = Platform("linux", "amd64")
BOTH = ("GET", "HEAD")


class Site:
    """reg.example, with mirrors `one`, `two`, `three` and the registry itself, `own`: proxies all."""

    def __init__(self, proxies: list[FaultyProxy], place: Path) -> None:
        *self.mirrors, self.own = proxies
        self.one, self.two, self.three = self.mirrors
        self.notices: list[str] = []
        (place / "reg.example").mkdir()
        tables = "".join(f'[host."{mirror.url}"]\n' for mirror in self.mirrors)
        (place / "reg.example/hosts.toml").write_text(f'server = "{self.own.url}"\n{tables}')
        patience = Patience(attempts=2, first_delay=0.01, longest_delay=0.05)
        self.client = Registry(patience=patience, stall_timeout=2.0, places=[place])

    def repository(self) -> Repository:
        return self.client.repository(Reference.parse("reg.example/team/app"), notice=self.notices.append)

    def fault(self, pattern: str, handler: Handler, *proxies: FaultyProxy) -> None:
        for proxy in proxies:
            proxy.fault(pattern, handler, times=99, methods=BOTH)

    def counts(self, pattern: str) -> list[int]:
        return [proxy.count(pattern) for proxy in (*self.mirrors, self.own)]


@pytest.fixture
async def site(
    origin: RealRegistry, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    monkeypatch.setattr(attempts, "STAGGER", 0.6)  # a busy machine is no slow mirror
    monkeypatch.setattr(attempts, "OWN_STAGGER", 20.0)
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(FaultyProxy(origin.url)) for _ in range(4)]
        made = Site(proxies, tmp_path)
        yield made
        await made.client.close()


def layer_of(image: Image) -> Descriptor:
    entry = json.loads(image.document)["layers"][0]
    return Descriptor(entry["mediaType"], entry["digest"], entry["size"])


async def download(repository: Repository, descriptor: Descriptor, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in repository.fetch(descriptor, offset)])


# Manifests


async def test_a_quick_mirror_is_asked_alone(site: Site, image: Image) -> None:
    assert (await site.repository().resolve(AMD64)).digest == image.digest
    assert site.counts("manifests") == [1, 0, 0, 0]


async def test_a_slow_mirror_is_overtaken(site: Site, image: Image) -> None:
    site.fault("manifests", delay(30), site.one, site.two)
    began = time.monotonic()
    repository = site.repository()
    assert (await repository.resolve(AMD64, cached=lambda digest: None)).digest == image.digest
    assert time.monotonic() - began < 15
    assert [proxy.count("manifests", "HEAD") for proxy in site.mirrors] == [1, 1, 1]
    assert site.counts("manifests")[2:] == [1, 0]  # who answered last is asked first


MANIFEST_FAULTS: dict[str, Handler] = {
    "broken": hang_up(),
    "unknown": answer(404),
    "ill": answer(503),
    "limited": answer(429, Retry_After="30"),
    "locked": answer(401),
    "a portal": answer(200, b"<html>please log in</html>"),
    "endless": replace(lambda body: body + b" " * (5 << 20)),
}


@pytest.mark.parametrize("name", MANIFEST_FAULTS)
async def test_mirrors_that_cannot(site: Site, image: Image, name: str) -> None:
    site.fault("manifests", MANIFEST_FAULTS[name], site.one, site.two, site.three)
    began = time.monotonic()
    repository = site.repository()
    assert (await repository.resolve(AMD64, cached=lambda digest: None)).digest == image.digest
    assert time.monotonic() - began < 15
    assert site.counts("manifests")[3] == 1


async def test_a_mirror_that_lies_about_a_manifest(site: Site, image: Image) -> None:
    site.fault("manifests", corrupt(5), site.one)
    assert (await site.repository().resolve(AMD64)).digest == image.digest
    text = (
        f"mirror {site.one.address} is not asked any more: manifest verification failed for digest {image.digest}"
    )
    assert site.notices == [text]
    await download(site.repository(), layer_of(image))
    assert site.counts("") == [1, 1, 1, 0] or site.counts("") == [1, 2, 0, 0]


async def test_nobody_has_it(site: Site) -> None:
    repository = site.client.repository(Reference.parse("reg.example/no/such"))
    with pytest.raises(NotFound, match=r"^manifest for reg.example/no/such:latest not found"):
        await repository.resolve(AMD64)
    assert site.counts("manifests") == [1, 1, 1, 1]


async def test_all_lie(site: Site, image: Image) -> None:
    reference = Reference.parse(f"reg.example/team/app@{image.digest}")
    site.fault("manifests", corrupt(5), *site.mirrors, site.own)
    for _ in range(2):
        with pytest.raises(Internal, match=f"^manifest verification failed for digest {image.digest}$"):
            await site.client.repository(reference).resolve(AMD64)
    assert site.counts("manifests") == [1, 1, 1, 2]


async def test_a_cancelled_race_leaves_nothing(site: Site) -> None:
    site.fault("manifests", delay(30), *site.mirrors)
    task = asyncio.create_task(site.repository().resolve(AMD64))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert site.counts("manifests")[2:] == [0, 0]


# Blobs


BLOB_FAULTS: dict[str, tuple[Handler, str | None]] = {
    "stalls": (stall(100_000), "bytes=100000-"),
    "stalls at once": (stall(0), None),
    "breaks": (truncate(100_000), "bytes=100000-"),
    "hangs up": (hang_up(), None),
    "has it not": (answer(404), None),
    "is ill": (answer(500), None),
    "is limited": (answer(429, Retry_After="50"), None),
    "sends too much": (replace(lambda body: body + b"x" * (1 << 20)), None),
}


@pytest.mark.parametrize("name", BLOB_FAULTS)
async def test_another_mirror_takes_over(site: Site, image: Image, name: str) -> None:
    handler, asked = BLOB_FAULTS[name]
    layer = layer_of(image)
    site.fault("blobs", handler, site.one)
    began = time.monotonic()
    data = await download(site.repository(), layer)
    assert hashlib.sha256(data).hexdigest() == digests.encoded(layer.digest) or name == "sends too much"
    assert time.monotonic() - began < 15
    others = [seen for proxy in site.mirrors[1:] for seen in proxy.requests]
    if asked:
        assert [seen.headers.get("range") for seen in others] == [asked]
    assert site.own.requests == []
    await download(site.repository(), layer)
    assert site.one.count("blobs") <= 2  # it is the last to be asked now


async def test_every_mirror_fails_in_another_way(site: Site, image: Image) -> None:
    layer = layer_of(image)
    site.fault("blobs", truncate(50_000), site.one)
    site.fault("blobs", stall(100_000), site.two)
    site.fault("blobs", answer(404), site.three)
    assert await download(site.repository(), layer) == image.blobs[layer.digest]
    assert site.counts("blobs")[3] == 1
    assert site.own.requests[0].headers["range"] > "bytes=100000-"


async def test_all_fail(site: Site, image: Image) -> None:
    site.fault("blobs", answer(404), *site.mirrors)
    site.fault("blobs", hang_up(), site.own)
    with pytest.raises(Unavailable, match=f"{site.own.address}.*unexpected EOF"):
        await download(site.repository(), layer_of(image))


async def test_a_mirror_without_ranges(site: Site, image: Image) -> None:
    layer = layer_of(image)
    site.fault("blobs", truncate(100_000), site.one)
    for proxy in (*site.mirrors[1:], site.own):
        proxy.ranges = False
    assert await download(site.repository(), layer) == image.blobs[layer.digest]


async def test_the_fastest_sends_blobs(site: Site, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of(image)
    monkeypatch.setattr(courses, "WATCHED", 100.0)
    site.fault("blobs", throttle(100_000), site.one)
    site.fault("blobs", throttle(200_000), site.three)
    for _ in range(5):
        assert await download(site.repository(), layer) == image.blobs[layer.digest]
    assert site.counts("blobs") == [1, 3, 1, 0]  # each once to learn


async def test_a_crawling_mirror_gives_way(site: Site, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courses, "WATCHED", 0.2)
    layer = layer_of(image)
    site.fault("blobs", throttle(40_000), site.one)
    began = time.monotonic()
    assert await download(site.repository(), layer) == image.blobs[layer.digest]
    assert time.monotonic() - began < 8  # alone it would take ten seconds
    assert site.counts("blobs")[0] == 1
    assert site.counts("blobs")[3] == 0


async def test_a_mirror_that_lies_about_a_configuration(site: Site, image: Image) -> None:
    site.fault(f"blobs/{image.config_digest}", corrupt(3), site.one, site.two)
    repository = site.repository()
    resolved = await repository.resolve(AMD64)
    config = resolved.manifest.config
    assert digests.matches(await repository.read(config, 1 << 20), config.digest)
    assert site.notices == [
        f"mirror {mirror.address} is not asked any more: content of {config.digest} from {mirror.address} is wrong"
        for mirror in (site.one, site.two)
    ]
