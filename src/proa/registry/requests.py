"""One request to one registry: authorized, retried while that can help, judged by its status."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from proa.errors import ProaError
from proa.registry import challenge as challenges
from proa.registry.credentials import Credentials
from proa.registry.endpoint import Endpoint
from proa.registry.failures import RETRIED, Refused, RequestFailed
from proa.registry.tokens import Authorizer
from proa.registry.transport import Body, Transport, refused

if TYPE_CHECKING:
    import aiohttp


LONGEST_ASKED = 60.0  # seconds: a registry that wants more of a pause than this gets none


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how slowly something is tried again. Times in seconds."""

    attempts: int = 5
    first_delay: float = 0.5
    longest_delay: float = 15.0

    def delay(self, attempt: int, asked_for: float = 0) -> float:
        """Return how long to wait before `attempt` (1 is the second one): doubling, with some chance."""
        grown = min(self.first_delay * 2.0 ** (attempt - 1), self.longest_delay)
        return max(grown * random.uniform(0.75, 1.25), min(asked_for, LONGEST_ASKED))


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait before another attempt; `reason` is "" for what every network has."""

    seconds: float
    reason: str = ""

    @classmethod
    def because(cls, error: Exception, seconds: float) -> Wait:
        """Make one of a failure."""
        if isinstance(error, Refused) and error.status == 429:
            return cls(seconds, f"{urlsplit(error.url).netloc} limits requests")
        return cls(seconds)

    def __str__(self) -> str:
        count = max(1, round(self.seconds))
        time = f"{count} second{'s' if count > 1 else ''}"
        return f"Waiting {time}: {self.reason}" if self.reason else f"Retrying in {time}"


@dataclass(frozen=True, slots=True)
class Identity:
    """On whose behalf requests are made: his proof, and headers of his own (`X-Meta-…`)."""

    credentials: Credentials
    headers: Mapping[str, str] = field(default_factory=dict)


class Requester:
    """Sends requests for paths below an endpoint's /v2/."""

    def __init__(self, transport: Transport, authorizer: Authorizer, patience: Patience) -> None:
        self._transport = transport
        self._authorizer = authorizer
        self.patience = patience

    @asynccontextmanager
    async def send(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        identity: Identity,
        scope: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send once, and again with the proof that a 401 asks for. Raises `Refused`, `RequestFailed`.

        `path` may also be a whole URL, where a registry has said to go on.
        """
        url = path if "://" in path else _url(endpoint, path)
        own = url.startswith((f"{endpoint.origin}/", f"{endpoint.origin}?"))
        encrypted = endpoint.scheme == "https" and endpoint.verify
        if encrypted and not url.startswith("https://"):
            raise RequestFailed(f"registry {endpoint.host} wants data sent unencrypted to {url}", connected=False)
        given = dict(endpoint.headers) if own else {}
        sent = {**(identity.headers if own else {}), **given, **(headers or {})}
        # Secrets are the registry's alone: where it has another server store the data, the URL is the proof.
        configured = any(name.lower() == "authorization" for name in given)
        asked_first = own and not configured
        proof = await self._authorizer.header(endpoint, identity.credentials, scope) if asked_first else ""
        for last in (False, True):
            if proof:
                sent["Authorization"] = proof
            async with self._transport.send(
                method, url, sent, verify=endpoint.verify, tls=endpoint.tls,
                connect_timeout=endpoint.connect_timeout, body=body,
            ) as response:  # fmt: skip
                if response.status < 400:
                    yield response
                    return
                error = await refused(response, method, url)
                asked = challenges.parse(response.headers.getall("WWW-Authenticate", []))
            if response.status != 401 or last or not asked_first:
                raise error
            better = await self._authorizer.challenged(endpoint, asked, identity.credentials, scope, proof)
            if not better:
                raise error
            proof = better

    @property
    def stall_timeout(self) -> float:
        """Seconds without a byte after which a connection is given up."""
        return self._transport.stall_timeout

    def delay(self, attempt: int, error: ProaError) -> float | None:
        """Return how long to wait before repeating what failed; None when repeating is pointless, or was done
        often enough."""
        if attempt >= self.patience.attempts or not is_passing(error):
            return None
        return self.patience.delay(attempt, error.retry_after if isinstance(error, Refused) else 0.0)


def _url(endpoint: Endpoint, path: str) -> str:
    url = f"{endpoint.api}/{path}"
    if not endpoint.namespace:
        return url
    return f"{url}{'&' if '?' in url else '?'}ns={quote(endpoint.namespace, safe='')}"


def is_passing(error: Exception) -> bool:
    """Whether the same request may well succeed a little later."""
    if isinstance(error, Refused):
        return error.status in RETRIED and error.retry_after <= LONGEST_ASKED
    return isinstance(error, RequestFailed) and error.connected
