"""A blob over connections that break: ranges, repetitions, other servers, and never a byte twice."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from proa.errors import ProaError, Unavailable
from proa.oci.descriptor import Descriptor
from proa.registry.course import STALLED, Course
from proa.registry.endpoint import Endpoint
from proa.registry.failures import Mismatch, Refused, RequestFailed
from proa.registry.requests import Identity, Requester, Wait
from proa.registry.speeds import Speeds

if TYPE_CHECKING:
    import aiohttp

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Download:
    """What of a blob has come so far; several servers may contribute, `sources` are those that did."""

    def __init__(
        self,
        requester: Requester,
        identity: Identity,
        repository: str,
        descriptor: Descriptor,
        offset: int,
        speeds: Speeds,
        on_retry: Callable[[Wait], object],
    ) -> None:
        self.sources: set[Endpoint] = set()
        self._requester = requester
        self._identity = identity
        self._repository = repository
        self._descriptor = descriptor
        self._position = offset
        self._speeds = speeds
        self._on_retry = on_retry
        self._ranges = True  # until a server refuses one

    async def run(self, course: Course) -> AsyncGenerator[bytes, None]:
        """Yield the rest of the blob. Raises when no server can give it."""
        while self._position < self._descriptor.size:
            endpoint, mark = course.current, self._position
            try:
                async with aclosing(self._once(endpoint, course)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                continue
            except ProaError as error:
                if isinstance(error, Refused) and error.status == 416 and self._ranges:
                    self._ranges = False
                    continue
                delay = course.failed(error, self._position - mark)
                wait = Wait.because(error, delay)
            if delay:
                self._on_retry(wait)
                await asyncio.sleep(delay)

    async def _once(self, endpoint: Endpoint, course: Course) -> AsyncGenerator[bytes, None]:
        """Yield what one connection brings, all of it unless another mirror is much faster."""
        repository = endpoint.path(self._repository)
        path, scope = f"{repository}/blobs/{self._descriptor.digest}", f"repository:{repository}:pull"
        where = f'Get "{endpoint.api}/{path}"'
        headers = {"Accept-Encoding": "identity"}
        if self._position and self._ranges:
            headers["Range"] = f"bytes={self._position}-"
        patience = min(STALLED, self._requester.stall_timeout) if course.others else None
        try:
            # Only while a server is waited for: while the caller is busy with a chunk there is no deadline.
            async with (
                asyncio.timeout(patience) as deadline,
                self._requester.send("GET", endpoint, path, self._identity, scope, headers) as response,
                aclosing(self._body(response, endpoint, course)) as chunks,
            ):
                async for chunk in chunks:
                    deadline.reschedule(None)
                    yield chunk
                    if course.current is not endpoint:
                        return
                    if patience:
                        deadline.reschedule(asyncio.get_running_loop().time() + patience)
        except TimeoutError:
            raise RequestFailed(f"{where}: no data for {patience:g} seconds", connected=True) from None
        if self._position < self._descriptor.size:
            raise RequestFailed(f"{where}: unexpected EOF", connected=True)

    async def _body(
        self, response: aiohttp.ClientResponse, endpoint: Endpoint, course: Course
    ) -> AsyncGenerator[bytes, None]:
        """Yield what is new in a body, measuring how fast it comes."""
        size, waited, count = self._descriptor.size, 0.0, 0
        skip = self._position - self._start(response)
        chunks = response.content.iter_any()
        with self._speeds.busy(endpoint):
            while True:
                began = time.monotonic()
                chunk = await anext(chunks, b"")
                waited += time.monotonic() - began
                count += len(chunk)
                fresh = chunk[skip:] if skip else chunk
                skip = max(0, skip - len(chunk))
                if self._position + len(fresh) > size:
                    text = f"content of {self._descriptor.digest} is larger than the announced {size} bytes"
                    raise Mismatch(text)
                self._position += len(fresh)
                slow = course.too_slow(count, waited, size - self._position)
                if slow or not chunk or self._position == size:
                    self._speeds.measured(endpoint, count, waited)
                if fresh:
                    self.sources.add(endpoint)
                    yield fresh
                if slow or not chunk:
                    return

    def _start(self, response: aiohttp.ClientResponse) -> int:
        """Return the blob's byte at which the body begins: 0 when the server ignored the range."""
        if response.status != 206:
            return 0
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        start = int(match[1]) if match else -1
        if not 0 <= start <= self._position:
            raise Unavailable(f"registry answered with a wrong range of {self._descriptor.digest}")
        return start
