"""A blob on its way to a registry, over connections that break: taken up where the registry has it.

Small blobs go in one request. Others are streamed (PATCH) and then named (PUT), as Docker does: some registries
take nothing else. After a failure the session is asked how much has arrived, and the rest goes in chunks
(distribution-spec, "Pushing a blob in chunks"), since not every registry can say it in the middle of one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from proa.errors import Unavailable
from proa.oci.descriptor import Descriptor
from proa.registry.endpoint import Endpoint
from proa.registry.failures import Refused, RequestFailed
from proa.registry.requests import Identity, Requester, Wait, is_passing

if TYPE_CHECKING:
    import aiohttp

# Gives a blob's bytes from an offset on, any number of times.
Chunks = Callable[[int], AsyncGenerator[bytes, None]]

SMALL = 256 << 10  # bytes up to which one request is enough
CHUNK = 8 << 20  # bytes of each request once one has failed
FORGIVING = 1 << 20  # bytes of progress after which earlier failures are forgotten
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_STREAM = {"Content-Type": "application/octet-stream"}


class Upload:
    """One blob for one repository; `run` ends when the registry has it."""

    def __init__(
        self,
        requester: Requester,
        identity: Identity,
        scope: str,
        blob: Descriptor,
        chunks: Chunks,
        on_progress: Callable[[int], object],
        on_retry: Callable[[Wait], object],
    ) -> None:
        self._requester = requester
        self._identity = identity
        self._scope = scope
        self._blob = blob
        self._chunks = chunks
        self._on_progress = on_progress
        self._on_retry = on_retry
        self._session = ""  # URL of the registry's upload, "" for none
        self._careful = False  # whether a request has failed
        self._begun = False  # whether there was ever one
        self._arrived = 0  # bytes that the registry says it has
        self._chunk = CHUNK

    async def run(self, endpoint: Endpoint, repository: str) -> None:
        """Send the blob. Raises when it fails more often than patience allows; nothing is left then."""
        failures, mark = 0, 0
        while True:
            try:
                await self._once(endpoint, repository)
                return
            except (Refused, RequestFailed) as error:
                self._careful = True
                await self._look(endpoint)
                if self._arrived - mark >= FORGIVING:
                    failures, mark = 0, self._arrived
                failures += 1
                patience = self._requester.patience
                if failures >= patience.attempts or not self._may_pass(error):
                    await self._cancel(endpoint)
                    raise
                delay = patience.delay(failures, error.retry_after if isinstance(error, Refused) else 0)
                wait = Wait.because(error, delay)
            except BaseException:
                await self._cancel(endpoint)
                raise
            self._on_retry(wait)
            await asyncio.sleep(delay)

    def _may_pass(self, error: Refused | RequestFailed) -> bool:
        """Whether to try again: also when the session is gone (404), or is not where it was said to be (416)."""
        lost = isinstance(error, Refused) and error.status in (404, 416) and self._begun
        return lost or is_passing(error)

    async def _once(self, endpoint: Endpoint, repository: str) -> None:
        """Begin an upload unless one is under way, send what is missing, and name it."""
        if not self._session:
            path, headers = f"{repository}/blobs/uploads/", {"Content-Length": "0"}
            async with self._send("POST", endpoint, path, headers) as response:
                self._session, self._arrived = location(response), 0
                self._begun = True
                self._chunk = max(CHUNK, _least(response))
            if not self._session:
                raise Unavailable(f"registry {endpoint.host} began an upload without saying where")
        left = self._blob.size - self._arrived
        if not self._arrived and left <= SMALL:
            await self._finish(endpoint, left)
            return
        while self._arrived < self._blob.size:
            await self._patch(endpoint)
        await self._finish(endpoint, 0)

    async def _patch(self, endpoint: Endpoint) -> None:
        """Send what is missing, or a chunk of it."""
        left = self._blob.size - self._arrived
        count = min(left, self._chunk) if self._careful else left
        headers = {**_STREAM, "Content-Length": str(count)}
        if self._careful:
            headers["Content-Range"] = f"{self._arrived}-{self._arrived + count - 1}"
        async with self._send("PATCH", endpoint, self._session, headers, count) as response:
            self._session, self._arrived = location(response) or self._session, self._arrived + count

    async def _finish(self, endpoint: Endpoint, left: int) -> None:
        """Say what the blob is called, with its last `left` bytes."""
        mark = "&" if "?" in self._session else "?"
        url = f"{self._session}{mark}digest={quote(self._blob.digest, safe='')}"
        async with self._send("PUT", endpoint, url, {**_STREAM, "Content-Length": str(left)}, left):
            self._session = ""

    def _send(
        self, method: str, endpoint: Endpoint, path: str, headers: dict[str, str], count: int = 0
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request, with the next `count` bytes of the blob as its body."""
        body = partial(self._body, count) if count else None
        return self._requester.send(method, endpoint, path, self._identity, self._scope, headers, body)

    async def _body(self, count: int) -> AsyncIterator[bytes]:
        position, end = self._arrived, self._arrived + count
        async with aclosing(self._chunks(position)) as chunks:
            async for chunk in chunks:
                piece = chunk[: end - position]
                yield piece
                position += len(piece)
                self._on_progress(position)
                if position == end:
                    return

    async def _look(self, endpoint: Endpoint) -> None:
        """Ask how much of the upload has arrived; without an answer it is given up."""
        if not self._session:
            return
        try:
            async with self._send("GET", endpoint, self._session, {}) as response:
                match = _RANGE.fullmatch(response.headers.get("Range", "").strip())
                self._session = location(response) or self._session
        except (Refused, RequestFailed):
            await self._cancel(endpoint)
            return
        arrived = int(match[1]) + 1 if match else 0
        if arrived > self._blob.size or (match and arrived == 1):
            # "0-0" stands for nothing as well as for one byte: to begin anew costs little.
            await self._cancel(endpoint)
            return
        self._arrived = arrived

    async def _cancel(self, endpoint: Endpoint) -> None:
        """End the registry's session, so that it keeps no part of the blob."""
        session, self._session, self._arrived = self._session, "", 0
        if not session:
            return
        try:
            async with self._send("DELETE", endpoint, session, {}):
                pass
        except (Refused, RequestFailed):
            pass  # it forgets them by itself after a while


def _least(response: aiohttp.ClientResponse) -> int:
    """Return how large chunks must be but the last one, 0 when the registry does not say."""
    stated = response.headers.get("OCI-Chunk-Min-Length", "")
    return int(stated) if stated.isascii() and stated.isdecimal() and len(stated) < 13 else 0


def location(response: aiohttp.ClientResponse) -> str:
    """Return where a registry wants an upload to go on, as a whole URL; "" when it does not say."""
    stated = response.headers.get("Location", "")
    return urljoin(str(response.url), stated) if stated else ""
