"""The client's side of the distribution specification (opencontainers/distribution-spec, spec.md), workflow by
workflow, at a real registry: also where a registry answers in one of the other ways that the specification allows.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from proa.oci import digest as digests
from proa.oci.descriptor import Descriptor
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Registry
from rig.faults import FaultyProxy, Handler, answer, replace, truncate
from rig.images import Image
from rig.registry import Registry as RealRegistry

AMD64 = Platform("linux", "amd64")
SIZE = 20 << 20  # more than two chunks


def relocate(proxy: FaultyProxy, form: str) -> Handler:
    """Write Location in another way: the specification allows absolute and relative ones, with a query or none."""

    async def handle(
        request: web.Request, status: int, headers: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        parts = urlsplit(headers["Location"])
        written = {
            "absolute": f"{proxy.url}{parts.path}?{parts.query}",
            "relative": f"{parts.path}?{parts.query}",
            "with a query": f"{parts.path}?{parts.query}&partition=7",
        }[form]
        return web.Response(status=status, headers={**headers, "Location": written}, body=body)

    return handle


def blob(size: int = SIZE) -> tuple[bytes, Descriptor]:
    data = os.urandom(size)
    return data, Descriptor("application/octet-stream", digests.of(data), size)


async def push(client: Registry, address: str, repository: str, data: bytes, *sources: str) -> str:
    async def chunks(offset: int) -> AsyncGenerator[bytes, None]:
        for start in range(offset, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]

    descriptor = Descriptor("application/octet-stream", digests.of(data), len(data))
    target = client.target(Reference.parse(f"{address}/{repository}"))
    return await target.push_blob(descriptor, chunks, sources=sources)


# Pull


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_pulling_manifests(client: Registry, proxy: FaultyProxy, image: Image, by: str) -> None:
    name = f"{proxy.address}/team/app" + (":latest" if by == "tag" else f"@{image.digest}")
    repository = client.repository(Reference.parse(name))
    assert (await repository.resolve(AMD64)).manifest.raw == image.document
    assert await repository.digest() == image.digest
    head = next(seen for seen in proxy.requests if seen.method == "HEAD")
    assert image.media_type in head.headers["accept"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_pulling_blobs_by_redirects(
    client: Registry, proxy: FaultyProxy, origin: RealRegistry, image: Image, status: int
) -> None:
    digest = image.config_digest
    proxy.fault("blobs", answer(status, Location=f"{origin.url}/v2/team/app/blobs/{digest}"))
    repository = client.repository(Reference.parse(f"{proxy.address}/team/app"))
    config = Descriptor("x", digest, len(image.blobs[digest]))
    assert await repository.read(config, 1 << 20) == image.blobs[digest]


@pytest.mark.parametrize("ranges", [True, False])
async def test_resuming_blobs(client: Registry, origin: RealRegistry, ranges: bool) -> None:
    data, descriptor = blob()
    await push(client, origin.address, "conform/resume", data)
    async with FaultyProxy(origin.url, ranges=ranges) as proxy:
        proxy.fault("blobs", truncate(5 << 20))
        repository = client.repository(Reference.parse(f"{proxy.address}/conform/resume"))
        assert b"".join([chunk async for chunk in repository.fetch(descriptor)]) == data


# Push


@pytest.mark.parametrize("form", ["absolute", "relative", "with a query"])
@pytest.mark.parametrize("size", [1000, 3 << 20])
async def test_where_uploads_go_on(client: Registry, proxy: FaultyProxy, form: str, size: int) -> None:
    data, _ = blob(size)
    proxy.fault("uploads", relocate(proxy, form), times=99, methods=("POST", "PATCH"))
    assert await push(client, proxy.address, "conform/where", data) == "conform/where"
    put = next(seen for seen in proxy.requests if seen.method == "PUT")
    assert ("partition=7" in put.path) == (form == "with a query")
    assert put.path.count("?") == 1
    assert await push(client, proxy.address, "conform/where", data) == ""


@pytest.mark.parametrize("least", [0, 9 << 20, 12 << 20])
async def test_chunks_are_large_enough(client: Registry, proxy: FaultyProxy, least: int) -> None:
    """OCI-Chunk-Min-Length counts for all chunks but the last."""
    data, _ = blob()
    if least:
        minimum = replace(lambda body: body, OCI_Chunk_Min_Length=str(least))
        proxy.fault("uploads/", minimum, times=9, methods=("POST",))
    proxy.cuts = [1 << 20]
    assert await push(client, proxy.address, f"conform/chunks{least}", data)
    ranges = [
        [int(end) for end in seen.headers["content-range"].split("-")]
        for seen in proxy.requests
        if seen.method == "PATCH" and "content-range" in seen.headers
    ]
    lengths = [last - first + 1 for first, last in ranges]
    assert all(length >= max(least, 8 << 20) for length in lengths[:-1])
    assert len(lengths) == (3 if not least else 2 if least > 10 << 20 else 3)


async def test_a_mount_that_is_refused(client: Registry, proxy: FaultyProxy) -> None:
    """202 in place of 201: an upload was begun."""
    data, _ = blob(500_000)
    await push(client, proxy.address, "conform/from", data)
    proxy.fault(r"mount=", answer(202, Location="/v2/conform/to/blobs/uploads/none"), methods=("POST",))
    assert await push(client, proxy.address, "conform/to", data, "conform/from") == "conform/to"
    proxy.fault(r"mount=", answer(405), methods=("POST",))
    assert await push(client, proxy.address, "conform/too", data, "conform/from") == "conform/too"


async def test_only_200_says_that_a_blob_is_there(client: Registry, proxy: FaultyProxy) -> None:
    data, _ = blob(1000)
    proxy.fault("blobs", answer(202), methods=("HEAD",))
    assert await push(client, proxy.address, "conform/there", data) == "conform/there"
    assert await push(client, proxy.address, "conform/there", data) == ""


# Content discovery


@pytest.mark.parametrize("form", ["absolute", "relative"])
async def test_tags_page_by_page(client: Registry, proxy: FaultyProxy, form: str) -> None:
    """The link to the next page is absolute or relative (RFC 5988)."""
    path = "/v2/conform/tags/tags/list?n=2&last=b"
    link = f"{proxy.url}{path}" if form == "absolute" else path
    pages = (["a", "b"], ["c"])
    proxy.fault(r"list$", answer(200, json.dumps({"tags": pages[0]}).encode(), Link=f'<{link}>; rel="next"'))
    proxy.fault(r"last=b$", answer(200, json.dumps({"tags": pages[1]}).encode()))
    assert await client.repository(Reference.parse(f"{proxy.address}/conform/tags")).tags() == ["a", "b", "c"]


async def test_no_tags(client: Registry, proxy: FaultyProxy) -> None:
    for body in (b'{"name":"x","tags":null}', b'{"name":"x","tags":[]}', b'{"name":"x"}'):
        proxy.fault(r"list$", answer(200, body))
        assert await client.repository(Reference.parse(f"{proxy.address}/conform/tags")).tags() == []
