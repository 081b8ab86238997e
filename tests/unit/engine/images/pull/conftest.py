"""A registry of these tests' own, a proxy that fails on demand, and something that pulls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rig.faults import FaultyProxy
from rig.pulling import Stage
from rig.registry import Registry as RealRegistry


@pytest.fixture(scope="package")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    started = RealRegistry(tmp_path_factory.mktemp("origin") / "registry").start()
    yield started
    started.stop()


@pytest.fixture
async def proxy(origin: RealRegistry) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(origin.url) as started:
        yield started


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    assert made.unfinished() == []
    await made.close()
