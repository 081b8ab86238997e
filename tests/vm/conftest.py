"""Starts the virtual machine as soon as it is known that its test runs, so that it works beside all the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.needs import need
from rig.vm import RUNNER, VirtualRun

_RUN = pytest.StashKey[VirtualRun]()


def pytest_collection_finish(session: pytest.Session) -> None:
    wanted = any(item.path.is_relative_to(Path(__file__).parent) for item in session.items)
    if wanted and RUNNER.exists() and not session.config.option.collectonly:
        session.config.stash[_RUN] = VirtualRun().start()


@pytest.fixture
def virtual_run(pytestconfig: pytest.Config) -> VirtualRun:
    need(RUNNER.exists(), f"{RUNNER} to run a virtual machine")
    return pytestconfig.stash[_RUN]


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """The leak check comes later: what the machine leaves is the run's own."""
    if run := session.config.stash.get(_RUN, None):
        run.stop()
    return (yield)
