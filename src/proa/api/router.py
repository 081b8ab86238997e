"""From method and path to the handler. The table of endpoints is in `endpoints.py`.

Names in paths are greedy, as in Docker: the name of an image contains slashes. A handler's module is
imported when the first request for it comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import NamedTuple

from proa.api.request import Request, Response

Handler = Callable[[Request], Awaitable[Response | None]]


class Endpoint:
    """One line of the table.

    `handler` is "module:function" below `proa.api.routes`. An `abandonable` request is cancelled when its
    client hangs up: it waits or streams. All others run to their end.
    """

    __slots__ = ("_handler", "abandonable", "handler", "method", "pattern", "prefix", "suffix")

    def __init__(self, method: str, pattern: str, handler: str, *, abandonable: bool = False) -> None:
        self.method = method
        self.pattern = pattern
        self.handler = handler
        self.abandonable = abandonable
        self._handler: Handler | None = None
        self.prefix, _, self.suffix = pattern.partition("{name}")

    def resolve(self) -> Handler:
        """Return the handler, importing its module the first time."""
        if self._handler is None:
            module, _, function = self.handler.partition(":")
            self._handler = getattr(import_module(f"proa.api.routes.{module}"), function)
        return self._handler


class Match(NamedTuple):
    endpoint: Endpoint
    parameters: dict[str, str]


class Router:
    """Finds endpoints: paths without a name in a dictionary, the others by what stands around the name."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._exact: dict[tuple[str, str], Match] = {}
        self._named: dict[tuple[str, str], list[Endpoint]] = {}
        for endpoint in endpoints:
            if "{name}" in endpoint.pattern:
                key = (endpoint.method, _first_segment(endpoint.pattern))
                self._named.setdefault(key, []).append(endpoint)
            else:
                self._exact[endpoint.method, endpoint.pattern] = Match(endpoint, {})

    def find(self, method: str, path: str) -> Match | None:
        """Return the endpoint for a path without version; None for unknown paths and methods."""
        if match := self._exact.get((method, path)):
            return match
        for endpoint in self._named.get((method, _first_segment(path)), ()):
            prefix, suffix = endpoint.prefix, endpoint.suffix
            if len(path) > len(prefix) + len(suffix) and path.startswith(prefix) and path.endswith(suffix):
                return Match(endpoint, {"name": path[len(prefix) : len(path) - len(suffix)]})
        return None


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]
