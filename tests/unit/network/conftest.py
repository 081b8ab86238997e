"""Default bridges for tests in private networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from proa.network.default_bridge import DefaultBridge
from proa.network.endpoint import Endpoint


class TidyBridge(DefaultBridge):
    """Remembers what it gave out, so that no failed test leaves a namespace behind."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.given: list[Endpoint] = []

    def take(self) -> Endpoint | None:
        endpoint = super().take()
        if endpoint is not None:
            self.given.append(endpoint)
        return endpoint

    def acquire(self, mac_address: str = "") -> Endpoint:
        self.given.append(super().acquire(mac_address))
        return self.given[-1]

    def request(self, mac_address: str = "") -> Future[Endpoint]:
        future = super().request(mac_address)
        future.add_done_callback(self._note)
        return future

    def _note(self, done: Future[Endpoint]) -> None:
        if done.exception() is None:
            self.given.append(done.result())


@pytest.fixture
def make_bridge(root: None, tmp_path: Path) -> Iterator[Callable[..., DefaultBridge]]:
    """Make bridges whose threads and endpoints end with the test; the rest goes with its network."""
    made: list[TidyBridge] = []

    def make(name: str = "proa0", *, table: str = "proa", **options: Any) -> DefaultBridge:
        made.append(TidyBridge(name=name, table=table, state_file=tmp_path / f"{name}.json", **options))
        return made[-1]

    yield make
    for bridge in made:
        bridge.close()
        for endpoint in bridge.given:
            endpoint.close()
