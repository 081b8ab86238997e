"""The clients of others, unchanged: docker-py, aiodocker and docker's command line, one engine for each module.

Set `PROA_TEST_DAEMON=dockerd` (CONTRIBUTING.md) to hold these tests against the original.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import docker  # type: ignore[import-untyped]
import pytest

from rig.compose import KINDS, Compose
from rig.engine import Engine, running
from rig.registry import Registry

# docker-py leaves sockets of its streams to the garbage collector
LEFT_OPEN = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "sdk" in getattr(item, "fixturenames", ()):
            for warning in LEFT_OPEN:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="module")
def module_engine(registry: Registry) -> Iterator[Engine]:
    """The engine of a module, with busybox."""
    with running(registry.url, pull="busybox") as started:
        yield started


@pytest.fixture
def engine(module_engine: Engine) -> Iterator[Engine]:
    """The module's engine; containers and volumes go after the test."""
    yield module_engine
    module_engine.api.remove_everything()


@pytest.fixture
def sdk(engine: Engine) -> Iterator[docker.DockerClient]:
    """docker-py; `sdk.api` is its lower half, an APIClient."""
    made = docker.DockerClient(base_url=engine.host)
    try:
        yield made
    finally:
        made.close()
        gc.collect()


@pytest.fixture(params=KINDS)
def project(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Callable[..., Compose]]:
    """Makes projects of a file's text; they go after the test."""
    made: list[Compose] = []

    def make(file: str, name: str = "shop") -> Compose:
        made.append(Compose(request.param, engine, file, name))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    """Show what the engine logged beside a failure."""
    report = yield
    engine = getattr(item, "funcargs", {}).get("engine")
    if report.failed and isinstance(engine, Engine):
        report.sections.append(("engine", engine.said()[-3000:]))
    return report
