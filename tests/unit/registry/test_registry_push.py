"""Pushing blobs and manifests to a real registry, over connections that break."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from proa.errors import Forbidden, ProaError, Unavailable
from proa.oci import digest as digests
from proa.oci.descriptor import Descriptor
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry, Target
from proa.registry.requests import Patience
from rig.faults import FaultyProxy, Server, TokenPolicy, TokenProxy, TokenServer, answer, hang_up
from rig.images import Image
from rig.registry import PASSWORD, USER
from rig.registry import Registry as RealRegistry

BYTES = "application/octet-stream"


class Blob:
    """A blob, and how far it was sent."""

    def __init__(self, size: int) -> None:
        self.data = os.urandom(size)
        self.descriptor = Descriptor(BYTES, digests.of(self.data), size)
        self.opened: list[int] = []  # the offsets at which reading began
        self.progress: list[int] = []

    async def chunks(self, offset: int) -> AsyncGenerator[bytes, None]:
        self.opened.append(offset)
        for start in range(offset, len(self.data), 100_000):
            yield self.data[start : start + 100_000]
            await asyncio.sleep(0)

    async def push(self, target: Target, *sources: str) -> str:
        return await target.push_blob(
            self.descriptor, self.chunks, sources=sources, on_progress=self.progress.append
        )


def target(client: Registry, address: str, path: str = "pushed", credentials: Credentials | None = None) -> Target:
    return client.target(Reference.parse(f"{address}/{path}"), credentials)


@pytest.mark.parametrize("size", [0, 1, 256 << 10, (256 << 10) + 1, 3_000_000])
async def test_a_blob(client: Registry, origin: RealRegistry, size: int) -> None:
    blob = Blob(size)
    there = target(client, origin.address)
    assert await blob.push(there) == "pushed"
    assert origin.blob("pushed", blob.descriptor.digest) == blob.data
    assert blob.progress[-1:] == ([size] if size else [])
    assert await blob.push(there) == ""
    assert blob.opened == ([0] if size else [])


async def test_a_manifest(client: Registry, origin: RealRegistry, image: Image) -> None:
    there = target(client, origin.address, "team/app")
    await there.push_manifest("again", image.document, image.media_type)
    _, headers, body = origin.request("GET", "/v2/team/app/manifests/again", headers={"Accept": image.media_type})
    assert (body, headers["docker-content-digest"]) == (image.document, image.digest)


async def test_a_blob_of_another_repository_is_mounted(client: Registry, proxy: FaultyProxy) -> None:
    blob = Blob(500_000)
    assert await blob.push(target(client, proxy.address, "mount/first")) == "mount/first"
    assert await blob.push(target(client, proxy.address, "mount/second"), "mount/first") == "mount/first"
    assert blob.opened == [0]
    blob = Blob(500_000)  # nobody has it
    assert await blob.push(target(client, proxy.address, "mount/second"), "mount/first") == "mount/second"
    assert proxy.count("/blobs/uploads/", "DELETE") == 1  # what the registry began instead of mounting


class Resumable(Server):
    """A registry as the distribution-spec has it: it tells how much of a broken upload has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.held = bytearray()
        self.cuts: list[int] = []  # of the next PATCHes: bytes that arrive before the connection breaks
        self.stored: dict[str, bytes] = {}

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=404)
        if request.method == "PUT":
            self.stored[request.query["digest"]] = bytes(self.held) + await request.read()
            return web.Response(status=201)
        if request.method == "PATCH":
            first = request.headers.get("Content-Range", "0-").partition("-")[0]
            if int(first) != len(self.held):
                return web.Response(status=416)
            if self.cuts:
                self.held += await request.content.readexactly(self.cuts.pop(0))
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            self.held += await request.read()
        headers = {"Location": "/v2/x/blobs/uploads/1"}
        if self.held:
            headers["Range"] = f"0-{len(self.held) - 1}"
        return web.Response(status={"GET": 204}.get(request.method, 202), headers=headers)


async def test_an_upload_is_taken_up_where_it_broke(client: Registry) -> None:
    async with Resumable() as registry:
        blob = Blob(3_000_000)
        registry.cuts = [1_200_000, 700_000]
        assert await blob.push(target(client, registry.address, "x")) == "x"
        assert registry.stored == {blob.descriptor.digest: blob.data}
        assert blob.opened == [0, 1_200_000, 1_900_000]
        assert registry.count("/blobs/uploads/", "POST") == 1
        ranges = [seen.headers["content-range"] for seen in registry.requests if "content-range" in seen.headers]
        assert ranges == ["1200000-2999999", "1900000-2999999"]


async def test_after_a_failure_chunks_are_sent(client: Registry, proxy: FaultyProxy) -> None:
    """Those that a registry has acknowledged are not sent again."""
    blob = Blob(20_000_000)
    proxy.fault("/blobs/uploads/", answer(503), times=1, methods=("PATCH",))
    assert await blob.push(target(client, proxy.address, "chunks")) == "chunks"
    sizes = [int(seen.headers["content-length"]) for seen in proxy.requests if seen.method == "PATCH"]
    assert sizes == [20_000_000, 8 << 20, 8 << 20, 20_000_000 - (16 << 20)]


async def test_a_registry_that_cannot_say_how_much_it_has(
    client: Registry, proxy: FaultyProxy, origin: RealRegistry
) -> None:
    """Docker's has a state in its URLs that is wrong in the middle of a request: it begins anew."""
    blob = Blob(3_000_000)
    proxy.cuts = [1_200_000, 700_000]
    assert await blob.push(target(client, proxy.address, "cut")) == "cut"
    assert origin.blob("cut", blob.descriptor.digest) == blob.data
    assert proxy.count("/blobs/uploads/", "POST") == 3


async def test_an_upload_that_always_breaks_is_given_up(client: Registry, proxy: FaultyProxy) -> None:
    blob = Blob(3_000_000)
    proxy.cuts = [1000] * 10
    with pytest.raises(Unavailable, match=r"unexpected EOF|reset|cannot write|broken pipe|closing"):
        await blob.push(target(client, proxy.address, "broken"))
    assert len(blob.opened) == 4  # as patient as the client is


@pytest.mark.parametrize("code", [500, 502, 503, 429])
@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
async def test_passing_trouble(client: Registry, proxy: FaultyProxy, code: int, method: str) -> None:
    blob = Blob(600_000)
    proxy.fault("/blobs/", answer(code, Retry_After="0"), times=2, methods=(method,))
    assert await blob.push(target(client, proxy.address, "trouble")) == "trouble"
    assert sum(seen.status == code for seen in proxy.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_lasting_trouble(client: Registry, proxy: FaultyProxy, method: str) -> None:
    blob = Blob(600_000)
    proxy.fault("/blobs/", answer(503), times=99, methods=(method,))
    with pytest.raises(Unavailable, match="received unexpected HTTP status: 503 Service Unavailable"):
        await blob.push(target(client, proxy.address, "lasting"))
    assert sum(seen.status == 503 for seen in proxy.requests) == 4


async def test_a_refusal_is_not_repeated(client: Registry, proxy: FaultyProxy) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
    proxy.fault("/blobs/", answer(403, body), times=99, methods=("POST",))
    with pytest.raises(Forbidden, match=r"^denied: requested access to the resource is denied$"):
        await Blob(10).push(target(client, proxy.address, "refused"))
    assert proxy.count("/blobs/uploads/", "POST") == 1


async def test_a_session_that_is_gone_begins_anew(client: Registry, proxy: FaultyProxy) -> None:
    blob = Blob(600_000)
    body = b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown to registry"}]}'
    proxy.fault("/blobs/uploads/", answer(404, body), methods=("PATCH",))
    proxy.fault("/blobs/uploads/", answer(404, body), methods=("GET",))
    assert await blob.push(target(client, proxy.address, "gone")) == "gone"
    assert proxy.count("/blobs/uploads/", "POST") == 2


async def test_no_answer_to_a_manifest(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    proxy.fault("/manifests/", hang_up(), times=2, methods=("PUT",))
    await target(client, proxy.address, "team/app").push_manifest("late", image.document, image.media_type)


async def test_a_refused_manifest(client: Registry, origin: RealRegistry) -> None:
    missing = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
    missing += b'"application/vnd.oci.image.config.v1+json","digest":"sha256:' + b"1" * 64
    missing += b'","size":1},"layers":[]}'
    with pytest.raises(ProaError, match=r"^manifest blob unknown: blob unknown to registry$"):
        await target(client, origin.address).push_manifest(
            "bad", missing, "application/vnd.oci.image.manifest.v1+json"
        )


async def test_a_wrong_blob_is_refused_by_the_registry(client: Registry, origin: RealRegistry) -> None:
    blob = Blob(600_000)
    blob.data = bytes(600_000)  # not what its digest says
    with pytest.raises(ProaError, match="digest invalid"):
        await blob.push(target(client, origin.address, "wrong"))


async def test_mirrors_are_for_reading(origin: RealRegistry, tmp_path: Path) -> None:
    async with FaultyProxy(origin.url) as mirror:
        mirrored = Registry(mirrors=[mirror.url], patience=Patience(attempts=1), certificates=tmp_path)
        with pytest.raises(Unavailable, match=r"registry-1\.docker\.io"):
            await Blob(10).push(mirrored.target(Reference.parse("team/app")))
        assert mirror.requests == []
        await mirrored.close()


# Who may push


async def test_passwords(client: Registry, locked: RealRegistry) -> None:
    blob = Blob(600_000)
    await blob.push(target(client, locked.address, "team/app", Credentials(USER, PASSWORD)))
    with pytest.raises(Forbidden, match=r"^no basic auth credentials$"):
        await Blob(10).push(target(client, locked.address, "team/app"))
    with pytest.raises(Forbidden, match=r"^unauthorized: authentication required$"):
        await Blob(10).push(target(client, locked.address, "team/app", Credentials(USER, "wrong")))


@pytest.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    async with TokenServer(TokenPolicy(users={USER: PASSWORD}, public=False)) as started:
        yield started


async def test_tokens(client: Registry, origin: RealRegistry, tokens: TokenServer) -> None:
    async with TokenProxy(origin.url, tokens) as guarded:
        there = target(client, guarded.address, "token/app", Credentials(USER, PASSWORD))
        first, second = Blob(600_000), Blob(10)
        assert await first.push(there) == "token/app"
        assert await second.push(there) == "token/app"
        assert [grant.scope for grant in tokens.grants] == ["repository:token/app:pull,push"]
        other = target(client, guarded.address, "token/other", Credentials(USER, PASSWORD))
        assert await first.push(other, "token/app") == "token/app"
        assert tokens.grants[-1].scope == "repository:token/other:pull,push repository:token/app:pull"
        with pytest.raises(Forbidden, match=r"^denied: requested access to the resource is denied$"):
            await first.push(target(client, guarded.address, "token/none"))


class Elsewhere(Server):
    """A registry that lets another server take the data, as those on object stores do."""

    def __init__(self, store: Server) -> None:
        super().__init__()
        self.store = store

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=404)
        if request.headers.get("Authorization") != Credentials(USER, PASSWORD).basic:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return web.Response(status=202, headers={"Location": f"{self.store.url}/v2/bucket?signature=1"})


class Bucket(Server):
    async def respond(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=201)


async def test_another_server_for_the_data_gets_no_secret(client: Registry) -> None:
    async with Bucket() as bucket, Elsewhere(bucket) as registry:
        blob = Blob(10)
        assert await blob.push(target(client, registry.address, "x", Credentials(USER, PASSWORD))) == "x"
        (seen,) = bucket.requests
        assert seen.path == f"/v2/bucket?signature=1&digest={blob.descriptor.digest.replace(':', '%3A')}"
        assert "authorization" not in seen.headers


class Deaf(Server):
    """Takes an upload's beginning, and then nothing."""

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=404)
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": "/v2/x/blobs/uploads/1"})
        await asyncio.sleep(3600)
        return web.Response()


async def test_a_registry_that_takes_nothing_is_given_up(client: Registry) -> None:
    async with Deaf() as registry:
        with pytest.raises(Unavailable, match=r"no data for 0.5 seconds"):
            await Blob(50_000_000).push(target(client, registry.address, "x"))
