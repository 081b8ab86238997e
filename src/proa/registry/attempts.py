"""Asking the servers that stand for a registry: mirrors side by side, then the registry itself, again while that
can help. The first good answer counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from proa.errors import Internal, InvalidArgument, ProaError, Unavailable
from proa.oci.reference import Reference
from proa.registry.endpoint import Endpoint
from proa.registry.failures import Mismatch, RequestFailed
from proa.registry.hosts import Hosts
from proa.registry.requests import Requester, Wait

STAGGER = 0.25  # seconds that a mirror has to answer before the next is asked as well
OWN_STAGGER = 2.0  # seconds before the registry itself is asked: it may count requests

Result = TypeVar("Result")
Ask = Callable[[Endpoint], Awaitable[Result]]
# Translates a failure for a user who wanted something with a reference.
Told = Callable[[ProaError, Reference], ProaError]
_log = logging.getLogger(__name__)


class Attempts:
    """The ways to one repository. `notice` hears of waits and of mirrors that are given up, a line each."""

    def __init__(
        self,
        requester: Requester,
        hosts: Hosts,
        reference: Reference,
        told: Told,
        notice: Callable[[str], object] = lambda text: None,
        insecure: bool = False,
    ) -> None:
        self._insecure = insecure
        self.notice = notice
        self._requester = requester
        self._hosts = hosts
        self._reference = reference
        self._told = told
        self._known: list[Endpoint] = []
        self._preferred: Endpoint | None = None

    async def run(self, capability: str, ask: Ask[Result]) -> Result:
        """Ask all that can do something until one answers. Raises what the last of them said, translated."""
        endpoints = await self.endpoints(capability)
        mirrors = [endpoint for endpoint in endpoints if endpoint.mirror]
        own = [endpoint for endpoint in endpoints if not endpoint.mirror] or [mirrors.pop()]
        try:
            if not mirrors:
                return await self._in_turn(own, ask)
            return await self._race(mirrors, own, ask)
        except ProaError as error:
            raise self._told(error, self._reference) from error

    async def _race(self, mirrors: Iterable[Endpoint], own: list[Endpoint], ask: Ask[Result]) -> Result:
        """Ask mirrors, each a moment after the one before or when that has failed, and at last `own`."""
        waiting: deque[tuple[float, Awaitable[Result]]] = deque()
        waiting += [(STAGGER, self._once(mirror, ask)) for mirror in mirrors]
        waiting.append((OWN_STAGGER, self._in_turn(own, ask)))
        running: set[asyncio.Task[Result]] = set()
        try:
            while True:
                if waiting:
                    last = asyncio.ensure_future(waiting.popleft()[1])
                    running.add(last)
                done, running = await asyncio.wait(
                    running, timeout=waiting[0][0] if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, ProaError):
                        raise error
                if not waiting and not running:
                    return last.result()  # raises
        finally:
            for _, coroutine in waiting:
                coroutine.close()  # type: ignore[attr-defined]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _once(self, mirror: Endpoint, ask: Ask[Result]) -> Result:
        """Ask a mirror once: there are others."""
        try:
            result = await ask(mirror)
        except Mismatch as error:
            self.drop(mirror, error.message)
            raise
        except ProaError as error:
            self._hosts.speeds.failed(mirror)
            _log.info("mirror %s: %s", mirror, error.message)
            raise
        self._answered(mirror)
        return result

    async def _in_turn(self, endpoints: list[Endpoint], ask: Ask[Result]) -> Result:
        """Ask one after the other, each again while its trouble may pass."""
        for endpoint in endpoints:
            attempt = 0
            while True:
                attempt += 1
                try:
                    result = await ask(endpoint)
                except ProaError as error:
                    delay = self._requester.delay(attempt, error)
                    if delay is not None:
                        wait = Wait.because(error, delay)
                        if wait.reason:
                            self.notice(str(wait))
                        await asyncio.sleep(delay)
                        continue
                    if endpoint is endpoints[-1] or is_final(endpoint, error):
                        raise
                    break
                self._answered(endpoint)
                return result
        raise Internal(f"no endpoint for {self._reference.domain}")

    def _answered(self, endpoint: Endpoint) -> None:
        self._preferred = endpoint
        self._hosts.remember(endpoint)

    def drop(self, mirror: Endpoint, reason: str) -> None:
        """Give up a mirror that sent something else than it was asked for."""
        self._hosts.speeds.drop(mirror)
        text = f"mirror {mirror} is not asked any more: {reason}"
        _log.warning(text)
        self.notice(text)

    async def endpoints(self, capability: str) -> list[Endpoint]:
        """Return the endpoints for a purpose, first the one that answered last."""
        if not self._known:  # asked once: it may need the resolver
            domain = self._reference.domain
            self._known = await self._hosts.endpoints(domain, self._reference, self._insecure)
        able = [endpoint for endpoint in self._known if capability in endpoint.capabilities]
        if not able:
            names = ", ".join(map(str, self._known))
            raise InvalidArgument(
                f"no server of {self._reference.domain} has the capability {capability}: configured are {names}"
            )
        speeds = self._hosts.speeds
        honest = [endpoint for endpoint in able if not speeds.is_dropped(endpoint)]
        if not honest:
            names = ", ".join(map(str, able))
            raise Unavailable(f"no server of {self._reference.domain} is left: {names} sent wrong content")
        return sorted(honest, key=lambda endpoint: (endpoint != self._preferred, speeds.of(endpoint) == 0))


def is_final(endpoint: Endpoint, error: ProaError) -> bool:
    """Whether no other endpoint can do better.

    A mirror may just lack the image, and a registry that is not reached by HTTPS may speak HTTP.
    """
    return not endpoint.mirror and not (isinstance(error, RequestFailed) and not error.connected)
