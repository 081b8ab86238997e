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
from proa.registry.attempts import Attempts, Told
from proa.registry.course import Course
from proa.registry.download import Download
from proa.registry.endpoint import PULL, RESOLVE, Endpoint
from proa.registry.failures import Mismatch, Refused, pull_error
from proa.registry.hosts import Hosts
from proa.registry.requests import Identity, Requester, Wait
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
        notice: Callable[[str], object] = lambda text: None,
        insecure: bool = False,
    ) -> None:
        self.reference = reference
        self._hosts = hosts
        self._requester = requester
        self._identity = identity
        self._told = told
        self._attempts = Attempts(requester, hosts, reference, told, notice, insecure)
        self._sources: dict[str, set[Endpoint]] = {}  # of blobs

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
        while True:
            data = b"".join([chunk async for chunk in self.fetch(descriptor)])
            if len(data) == descriptor.size and digests.matches(data, descriptor.digest):
                return data
            if not self.disown(descriptor.digest):
                raise Internal(f"image config verification failed for digest {descriptor.digest}")

    async def fetch(
        self,
        descriptor: Descriptor,
        offset: int = 0,
        on_retry: Callable[[Wait], object] = lambda wait: None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield a blob's bytes from `offset` on, not verified; broken connections are taken up again, by another
        mirror if there is one.

        `on_retry` hears of waits before further attempts. Raises when no endpoint has the blob. Whoever finds that
        it is the wrong blob calls `disown`.
        """
        speeds = self._hosts.speeds
        download = Download(
            self._requester, self._identity, self.reference.path, descriptor, offset, speeds, on_retry
        )
        course = Course(await self._attempts.endpoints(PULL), speeds, self._requester.patience)
        self._sources[descriptor.digest] = download.sources
        try:
            async with aclosing(download.run(course)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProaError as error:
            raise self._told(error, self.reference) from error

    def disown(self, digest: str) -> bool:
        """Give up the mirrors that a blob came from, which was not what its digest says. Returns whether there
        were any: then others may have the right one."""
        mirrors = [endpoint for endpoint in self._sources.pop(digest, ()) if endpoint.mirror]
        for mirror in mirrors:
            self._attempts.drop(mirror, f"content of {digest} from {' and '.join(map(str, mirrors))} is wrong")
        return bool(mirrors)

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
            digest = await self._digest(name)
            if digest and (raw := cached(digest)) is not None:
                return raw, ""
        return await self._get_manifest(name)

    async def digest(self) -> str:
        """Return the digest that the reference has, by a HEAD request if the registry says it there."""
        name = self.reference.tag_or_digest
        return await self._digest(name) or digests.of((await self._get_manifest(name))[0])

    async def _digest(self, name: str) -> str:
        """Ask what digest a manifest has, "" when nobody says it."""
        try:
            return await self._attempts.run(_purpose(name), lambda endpoint: self._head(endpoint, name))
        except ProaError:
            if all(endpoint.mirror for endpoint in await self._attempts.endpoints(_purpose(name))):
                return ""
            raise

    async def _head(self, endpoint: Endpoint, name: str) -> str:
        """Return the digest a registry has under a name; "" when it does not say (GET will tell why). A mirror
        that does not is no use."""
        try:
            async with self._send("HEAD", endpoint, f"manifests/{name}", _ACCEPT) as response:
                found = response.headers.get("Docker-Content-Digest", "")
        except Refused:
            if endpoint.mirror:
                raise
            return ""  # the answer to GET has a body that says why
        if not digests.is_valid(found):
            if endpoint.mirror:
                raise Unavailable(f"mirror {endpoint} does not say which manifest it has")
            return ""
        return found

    async def _get_manifest(self, name: str) -> tuple[bytes, str]:
        """Fetch a manifest by tag or digest and verify it. Returns bytes and media type."""
        return await self._attempts.run(_purpose(name), lambda endpoint: self._manifest_of(endpoint, name))

    async def _manifest_of(self, endpoint: Endpoint, name: str) -> tuple[bytes, str]:
        async with self._send("GET", endpoint, f"manifests/{name}", _ACCEPT) as response:
            raw = await read_limited(response, manifests.MAX_SIZE, f"manifest of {self.reference.familiar}")
            stated = response.headers.get("Docker-Content-Digest", "")
            content_type = response.headers.get("Content-Type", "")
        expected = name if ":" in name else stated
        if expected and not digests.matches(raw, digests.validate(expected)):
            raise Mismatch(f"manifest verification failed for digest {expected}")
        if endpoint.mirror:
            manifests.parse(raw, content_type)  # a page of a portal is no answer
        return raw, content_type

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
