"""A blob over connections that break: ranges, repetitions, and never a byte twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from proa.errors import Internal, Unavailable
from proa.oci.descriptor import Descriptor
from proa.registry.endpoint import Endpoint
from proa.registry.failures import Refused, RequestFailed
from proa.registry.requests import Identity, Requester, is_passing

if TYPE_CHECKING:
    import aiohttp

FORGIVING = 1 << 20  # bytes of progress after which earlier failures are forgotten
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Download:
    """What of a blob has come so far; several endpoints may contribute."""

    def __init__(
        self,
        requester: Requester,
        identity: Identity,
        descriptor: Descriptor,
        offset: int,
        on_retry: Callable[[float], None] | None,
    ) -> None:
        self._requester = requester
        self._identity = identity
        self._descriptor = descriptor
        self._position = offset
        self._ranges = True  # until a server refuses one
        self._on_retry = on_retry or (lambda seconds: None)

    async def run(self, endpoint: Endpoint, repository: str) -> AsyncGenerator[bytes, None]:
        """Yield the rest of the blob. Raises when the endpoint, which has its own name for the repository, fails
        more often than patience allows."""
        failures, mark = 0, self._position
        while self._position < self._descriptor.size:
            try:
                async with aclosing(self._once(endpoint, repository)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                continue
            except (Refused, RequestFailed) as error:
                if isinstance(error, Refused) and error.status == 416 and self._ranges:
                    self._ranges = False
                    continue
                if self._position - mark >= FORGIVING:
                    failures, mark = 0, self._position
                failures += 1
                patience = self._requester.patience
                if failures >= patience.attempts or not is_passing(error):
                    raise
                delay = patience.delay(failures, error.retry_after if isinstance(error, Refused) else 0)
            self._on_retry(delay)
            await asyncio.sleep(delay)

    async def _once(self, endpoint: Endpoint, repository: str) -> AsyncGenerator[bytes, None]:
        """Yield what one connection brings."""
        path, scope = f"{repository}/blobs/{self._descriptor.digest}", f"repository:{repository}:pull"
        headers = {"Accept-Encoding": "identity"}
        if self._position and self._ranges:
            headers["Range"] = f"bytes={self._position}-"
        async with self._requester.send("GET", endpoint, path, self._identity, scope, headers) as response:
            skip = self._position - self._start(response)
            async for chunk in response.content.iter_any():
                fresh = chunk[skip:] if skip else chunk
                skip = max(0, skip - len(chunk))
                if self._position + len(fresh) > self._descriptor.size:
                    raise Internal(
                        f"content of {self._descriptor.digest} is larger than "
                        f"the announced {self._descriptor.size} bytes"
                    )
                if fresh:
                    self._position += len(fresh)
                    yield fresh
            if self._position < self._descriptor.size:
                where = f'Get "{endpoint.api}/{path}"'
                raise RequestFailed(f"{where}: unexpected EOF", connected=True)

    def _start(self, response: aiohttp.ClientResponse) -> int:
        """Return the blob's byte at which the body begins: 0 when the server ignored the range."""
        if response.status != 206:
            return 0
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        start = int(match[1]) if match else -1
        if not 0 <= start <= self._position:
            raise Unavailable(f"registry answered with a wrong range of {self._descriptor.digest}")
        return start
