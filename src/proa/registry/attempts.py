"""Asking the servers that stand for a registry, one after the other, and each again while that can help."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from proa.errors import Internal, InvalidArgument, ProaError
from proa.oci.reference import Reference
from proa.registry.endpoint import Endpoint
from proa.registry.failures import RequestFailed
from proa.registry.hosts import Hosts
from proa.registry.requests import Requester

Result = TypeVar("Result")
# Translates a failure for a user who wanted something with a reference.
Told = Callable[[ProaError, Reference], ProaError]


class Attempts:
    """The ways to one repository."""

    def __init__(self, requester: Requester, hosts: Hosts, reference: Reference, told: Told) -> None:
        self._requester = requester
        self._hosts = hosts
        self._reference = reference
        self._told = told
        self._known: list[Endpoint] = []
        self._preferred: Endpoint | None = None

    async def run(self, capability: str, ask: Callable[[Endpoint], Awaitable[Result]]) -> Result:
        """Ask the endpoints in their order until one answers; each again while its trouble may pass."""
        endpoints = await self.endpoints(capability)
        for endpoint in endpoints:
            attempt = 0
            while True:
                attempt += 1
                try:
                    result = await ask(endpoint)
                except ProaError as error:
                    if await self._requester.wait(attempt, error):
                        continue
                    if endpoint is endpoints[-1] or is_final(endpoint, error):
                        raise self._told(error, self._reference) from error
                    break
                self._preferred = endpoint
                self._hosts.remember(endpoint)
                return result
        raise Internal(f"no endpoint for {self._reference.domain}")

    async def endpoints(self, capability: str) -> list[Endpoint]:
        """Return the endpoints for a purpose, first the one that answered last."""
        if not self._known:  # asked once: it may need the resolver
            self._known = await self._hosts.endpoints(self._reference.domain, self._reference)
        able = [endpoint for endpoint in self._known if capability in endpoint.capabilities]
        if not able:
            names = ", ".join(str(endpoint) for endpoint in self._known)
            raise InvalidArgument(
                f"no server of {self._reference.domain} has the capability {capability}: configured are {names}"
            )
        return sorted(able, key=lambda endpoint: endpoint != self._preferred)


def is_final(endpoint: Endpoint, error: ProaError) -> bool:
    """Whether no other endpoint can do better.

    A mirror may just lack the image, and a registry that is not reached by HTTPS may speak HTTP.
    """
    return not endpoint.mirror and not (isinstance(error, RequestFailed) and not error.connected)
