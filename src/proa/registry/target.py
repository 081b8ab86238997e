"""One repository of a registry to push to: its blobs and manifests (distribution-spec, "Push").

target = registry.target(Reference.parse("host/team/app"), credentials)
await target.push_blob(descriptor, chunks, sources=["team/base"])
await target.push_manifest("latest", raw, media_type)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import quote

from proa.errors import Internal, ProaError
from proa.oci import digest as digests
from proa.oci.descriptor import Descriptor
from proa.oci.reference import Reference
from proa.registry.attempts import Attempts
from proa.registry.endpoint import PUSH, Endpoint
from proa.registry.failures import Refused, push_error
from proa.registry.hosts import Hosts
from proa.registry.requests import Identity, Requester, Wait
from proa.registry.upload import Chunks, Upload, location

# Of each blob: other repositories of the registry are asked for it before it is sent.
MOST_SOURCES = 3


class Target:
    """Made by `Registry.target`. Errors are Docker's texts for `docker push`."""

    def __init__(
        self,
        requester: Requester,
        hosts: Hosts,
        reference: Reference,
        identity: Identity,
        notice: Callable[[str], object] = lambda text: None,
        insecure: bool = False,
    ) -> None:
        self._reference = reference
        self._requester = requester
        self._identity = identity
        self._path = reference.path
        self._attempts = Attempts(requester, hosts, reference, push_error, notice, insecure)

    async def push_blob(
        self,
        blob: Descriptor,
        chunks: Chunks,
        *,
        sources: Sequence[str] = (),
        on_progress: Callable[[int], object] = lambda sent: None,
        on_retry: Callable[[Wait], object] = lambda wait: None,
    ) -> str:
        """See to it that the repository has a blob; `chunks(offset)` gives its bytes.

        `sources` are paths of repositories of the same registry that should have it. Returns how it came there:
        "" for what was there, the path it was mounted from, or the repository's own when it was sent.
        """
        if await self._attempts.run(PUSH, lambda endpoint: self._has(endpoint, blob.digest)):
            return ""
        for source in sources[:MOST_SOURCES]:
            if source != self._path and await self._mounts(blob.digest, source):
                return source
        endpoint, *_ = await self._attempts.endpoints(PUSH)  # the one that has answered
        scope = _scope(endpoint, self._path)
        upload = Upload(self._requester, self._identity, scope, blob, chunks, on_progress, on_retry)
        try:
            await upload.run(endpoint, endpoint.path(self._path))
        except ProaError as error:
            raise push_error(error, self._reference) from error
        return self._path

    async def push_manifest(self, tag: str, raw: bytes, media_type: str) -> None:
        """Give the repository a manifest and let `tag` name it."""
        await self._attempts.run(PUSH, lambda endpoint: self._put(endpoint, tag, raw, media_type))

    async def _has(self, endpoint: Endpoint, digest: str) -> bool:
        path = f"{endpoint.path(self._path)}/blobs/{digest}"
        scope = _scope(endpoint, self._path)
        try:
            async with self._requester.send("HEAD", endpoint, path, self._identity, scope) as response:
                return response.status == 200  # nothing else says that it is there
        except Refused as error:
            if error.status == 404:
                return False
            raise

    async def _mounts(self, digest: str, source: str) -> bool:
        """Try to mount a blob of another repository; a registry that does not says so by beginning an upload.

        That one is ended. Whatever goes wrong, the blob can still be sent.
        """

        async def ask(endpoint: Endpoint) -> tuple[Endpoint, int, str]:
            headers, own, other = {"Content-Length": "0"}, endpoint.path(self._path), endpoint.path(source)
            scope = f"{_scope(endpoint, self._path)} repository:{other}:pull"
            path = f"{own}/blobs/uploads/?mount={quote(digest, safe='')}&from={quote(other, safe='')}"
            async with self._requester.send("POST", endpoint, path, self._identity, scope, headers) as response:
                return endpoint, response.status, location(response)

        try:
            endpoint, status, begun = await self._attempts.run(PUSH, ask)
            if status == 201:
                return True
            if begun:
                scope = _scope(endpoint, self._path)
                async with self._requester.send("DELETE", endpoint, begun, self._identity, scope):
                    pass
        except ProaError:
            pass
        return False

    async def _put(self, endpoint: Endpoint, tag: str, raw: bytes, media_type: str) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield raw

        path, scope = f"{endpoint.path(self._path)}/manifests/{tag}", _scope(endpoint, self._path)
        headers = {"Content-Type": media_type, "Content-Length": str(len(raw))}
        async with self._requester.send("PUT", endpoint, path, self._identity, scope, headers, body) as response:
            stated = response.headers.get("Docker-Content-Digest", "")
        expected = digests.of(raw)
        if digests.is_valid(stated) and digests.algorithm_of(stated) == "sha256" and stated != expected:
            raise Internal(f"registry stored {tag} as {stated} instead of {expected}")


def _scope(endpoint: Endpoint, repository: str) -> str:
    return f"repository:{endpoint.path(repository)}:pull,push"
