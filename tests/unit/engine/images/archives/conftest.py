"""A registry of these tests' own, and two engines' stores: one that saves, one that loads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rig.pulling import Stage
from rig.registry import Registry as RealRegistry


@pytest.fixture(scope="package")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    started = RealRegistry(tmp_path_factory.mktemp("origin") / "registry").start()
    yield started
    started.stop()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    (tmp_path / "first").mkdir()
    made = Stage(tmp_path / "first")
    yield made
    assert made.unfinished() == []
    await made.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Stage]:
    (tmp_path / "second").mkdir()
    made = Stage(tmp_path / "second")
    yield made
    assert made.unfinished() == []
    await made.close()
