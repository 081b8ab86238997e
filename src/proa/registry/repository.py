"""One repository of a registry as one user sees it: its tags, manifests and blobs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec

from proa.errors import Internal, NotFound, ProaError, Unavailable
from proa.oci import digest as digests
from proa.oci import manifest as manifests
from proa.oci import media_types
from proa.oci.descriptor import Descriptor
from proa.oci.manifest import Manifest
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry.attempts import Attempts, Told, is_final
from proa.registry.download import Download
from proa.registry.endpoint import PULL, RESOLVE, Endpoint
from proa.registry.failures import Refused, pull_error
from proa.registry.hosts import Hosts
from proa.registry.requests import Identity, Requester
from proa.registry.transport import read_limited

if TYPE_CHECKING:
    import aiohttp

MAX_TAG_PAGES = 1000
MAX_INDEX_DEPTH = 4  # indexes may name indexes

_ACCEPT = {"Accept": ", ".join(media_types.ACCEPTED_MANIFESTS)}

Cache = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference names for a platform. `digest` is the registry's name: of the index, if any."""

    digest: str
    manifest: Manifest
    documents: tuple[bytes, ...]  # every index on the way and the manifest, as they were fetched


class _TagPage(msgspec.Struct):
    tags: list[str] | None = None


class Repository:
    """Made by `Registry.repository`. Errors are Docker's texts for `docker pull`, unless `told` says otherwise."""

    def __init__(
        self,
        requester: Requester,
        hosts: Hosts,
        reference: Reference,
        identity: Identity,
        told: Told = pull_error,
    ) -> None:
        self.reference = reference
        self._requester = requester
        self._identity = identity
        self._told = told
        self._attempts = Attempts(requester, hosts, reference, told)

    async def resolve(self, platform: Platform, *, cached: Cache | None = None) -> Resolved:
        """Return the image that the reference names for `platform`, every document verified.

        `cached(digest)` may give documents that are here already: a tag then costs one HEAD request, which
        does not count against rate limits of public registries. Raises `NotFound` when no image of an index
        runs on the platform.
        """
        raw, content_type = await self.document(cached)
        known = cached or (lambda digest: None)
        documents, top = [raw], digests.of(raw)
        if self.reference.digest:
            top = self.reference.digest
        parsed = manifests.parse(raw, content_type)
        for _ in range(MAX_INDEX_DEPTH):
            if isinstance(parsed, Manifest):
                return Resolved(top, parsed, tuple(documents))
            entry = parsed.select(platform)
            if entry is None:
                raise NotFound(f"no matching manifest for {platform} in the manifest list entries")
            raw = known(entry.digest) or b""
            if not raw:
                raw, _ = await self._get_manifest(entry.digest)
            documents.append(raw)
            parsed = manifests.parse(raw, entry.media_type)
        raise Unavailable(f"{self.reference.familiar} is nested more than {MAX_INDEX_DEPTH} indexes deep")

    async def read(self, descriptor: Descriptor, limit: int) -> bytes:
        """Return a small blob, such as a configuration, verified."""
        if descriptor.size > limit:
            raise Unavailable(f"content {descriptor.digest} is larger than {limit} bytes")
        data = b"".join([chunk async for chunk in self.fetch(descriptor)])
        if len(data) != descriptor.size or not digests.matches(data, descriptor.digest):
            raise Internal(f"image config verification failed for digest {descriptor.digest}")
        return data

    async def fetch(
        self, descriptor: Descriptor, offset: int = 0, on_retry: Callable[[float], None] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield a blob's bytes from `offset` on, not verified; broken connections are taken up again.

        `on_retry(seconds)` hears of waits before further attempts. Raises when no endpoint has the blob.
        """
        download = Download(self._requester, self._identity, descriptor, offset, on_retry)
        endpoints = await self._attempts.endpoints(PULL)
        for endpoint in endpoints:
            try:
                async with aclosing(download.run(endpoint, endpoint.path(self.reference.path))) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except ProaError as error:
                if endpoint is endpoints[-1] or is_final(endpoint, error):
                    raise self._told(error, self.reference) from error

    async def tags(self) -> list[str]:
        """Return all tags of the repository, in the registry's order."""
        found: list[str] = []
        rest = "tags/list"
        for _ in range(MAX_TAG_PAGES):
            page, following = await self._attempts.run(
                RESOLVE,
                lambda endpoint, rest=rest: self._tag_page(endpoint, rest),  # type: ignore[misc]
            )
            found += page
            if not following:
                return found
            rest = f"tags/list?{following}"
        raise Unavailable(f"{self.reference.familiar_name} has too many tags")

    async def _tag_page(self, endpoint: Endpoint, rest: str) -> tuple[list[str], str]:
        async with self._send("GET", endpoint, rest) as response:
            body = await read_limited(response, manifests.MAX_SIZE, "the list of tags")
            link = str(response.links["next"]["url"]) if "next" in response.links else ""
        try:
            page = msgspec.json.decode(body, type=_TagPage)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"invalid list of tags of {self.reference.familiar_name}: {error}") from None
        query = urlsplit(link).query
        return page.tags or [], query if parse_qs(query) else ""

    async def document(self, cached: Cache | None = None) -> tuple[bytes, str]:
        """Return the manifest or index that the reference names, verified, and the registry's media type for
        it ("" from the cache). With a cache, a HEAD request asks for the digest first."""
        name = self.reference.tag_or_digest
        if cached is not None:
            digest = await self._attempts.run(_purpose(name), lambda endpoint: self._head(endpoint, name))
            if digest and (raw := cached(digest)) is not None:
                return raw, ""
        return await self._get_manifest(name)

    async def _head(self, endpoint: Endpoint, name: str) -> str:
        """Return the digest a registry has under a name; "" when it does not say (GET will tell why)."""
        try:
            async with self._send("HEAD", endpoint, f"manifests/{name}", _ACCEPT) as response:
                found = response.headers.get("Docker-Content-Digest", "")
        except Refused:
            return ""  # the answer to GET has a body that says why
        return found if digests.is_valid(found) else ""

    async def _get_manifest(self, name: str) -> tuple[bytes, str]:
        """Fetch a manifest by tag or digest and verify it. Returns bytes and media type."""
        raw, content_type, stated = await self._attempts.run(
            _purpose(name), lambda endpoint: self._manifest_of(endpoint, name)
        )
        expected = name if ":" in name else stated
        if expected and not digests.matches(raw, digests.validate(expected)):
            raise Internal(f"manifest verification failed for digest {expected}")
        return raw, content_type

    async def _manifest_of(self, endpoint: Endpoint, name: str) -> tuple[bytes, str, str]:
        async with self._send("GET", endpoint, f"manifests/{name}", _ACCEPT) as response:
            raw = await read_limited(response, manifests.MAX_SIZE, f"manifest of {self.reference.familiar}")
            stated = response.headers.get("Docker-Content-Digest", "")
            return raw, response.headers.get("Content-Type", ""), stated

    def _send(
        self, method: str, endpoint: Endpoint, rest: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request for something of the repository, by the name that an endpoint has for it."""
        path = endpoint.path(self.reference.path)
        scope = f"repository:{path}:pull"
        return self._requester.send(method, endpoint, f"{path}/{rest}", self._identity, scope, headers)


def _purpose(name: str) -> str:
    """Return what an endpoint must be able to do for a manifest."""
    return PULL if ":" in name else RESOLVE
