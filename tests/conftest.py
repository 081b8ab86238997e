"""Fixtures for all tests: the registry. What stands behind them is in tests/rig."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import leaks, standard
from rig.images import Image
from rig.needs import MUST_WORK, MustWork, need, pure_cgroup2
from rig.registry import Registry

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    leaks.install(config)
    if MUST_WORK:
        config.pluginmanager.register(MustWork(), "proa-must-work")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other version of cgroups: on a v1 host, tests/vm runs the rest under v2."""
    other = "v1" if pure_cgroup2() else "v2"
    foreign = [item for item in items if other in getattr(item, "fixturenames", ())]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in foreign]
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """What forks without an exec comes first: a shim is small and has one thread, as pytest does only now.

    What has run beside all others in a virtual machine comes last.
    """
    if item.nodeid.startswith(("tests/unit/shim", "tests/unit/engine/logs")):
        return 0
    return 2 if item.nodeid.startswith("tests/vm") else 1


@pytest.fixture(scope="session")
def root() -> None:
    """For tests that make namespaces, mounts and cgroups."""
    need(os.geteuid() == 0, "root")


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """The registry of the run, with all of `standard.STANDARD`. Tests push under names of their own."""
    started = Registry(Path(tempfile.mkdtemp(prefix="proa-registry-"))).start()
    try:
        for repository, tags in standard.STANDARD.items():
            for tag, make in tags.items():
                started.push(make(), repository, tag)
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def ubuntu_image(registry: Registry) -> Image:
    """Pushes library/ubuntu (latest and 24.04) on first use."""
    image = standard.ubuntu()
    registry.push(image, "library/ubuntu", "latest")
    return registry.push(image, "library/ubuntu", "24.04")


@pytest.fixture(scope="session")
def big_image(registry: Registry) -> Image:
    """Pushes library/big on first use."""
    return registry.push(standard.big(), "library/big", "latest")
