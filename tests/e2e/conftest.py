"""Engines and clients for end-to-end tests. See tests/rig."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, running
from rig.registry import Registry


@pytest.fixture(scope="session")
def shared_engine(registry: Registry) -> Iterator[Engine]:
    """The engine of the run. Tests use `engine`, which is this one, tidied up after each test."""
    with running(registry.url) as started:
        yield started


@pytest.fixture
def engine(shared_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The shared engine with busybox pulled; containers and volumes go after the test."""
    if shared_engine.api.get("/images/busybox:latest/json").status != 200:
        shared_engine.pull("busybox")
    yield shared_engine
    shared_engine.api.remove_everything()


@pytest.fixture
def fresh_engine(registry: Registry) -> Iterator[Engine]:
    """An engine of the test's own, without images: it may be killed, started again, filled and broken."""
    with running(registry.url) as started:
        yield started


@pytest.fixture(scope="session")
def shared_image_engine(registry: Registry) -> Iterator[Engine]:
    with running(registry.url) as started:
        yield started


@pytest.fixture
def image_engine(shared_image_engine: Engine) -> Iterator[Engine]:
    """One engine for all tests about images: each begins without any, and what it gets goes with it."""
    yield shared_image_engine
    shared_image_engine.api.remove_everything()
    shared_image_engine.api.remove_images()


@pytest.fixture(params=["docker", "proa"])
def image_client(image_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Both clients in turn, of an engine without images. Nobody is logged in."""
    made = image_engine.client(request.param)
    yield made
    (made.home / "docker/config.json").unlink(missing_ok=True)


@pytest.fixture
def engine_with(registry: Registry) -> Iterator[Callable[..., Engine]]:
    """Makes engines with arguments of the test's choice: `engine_with("--bip", "10.9.0.1/24")`."""
    made: list[Engine] = []

    def make(*arguments: str, mirror: str | None = None) -> Engine:
        made.append(Engine(registry.url if mirror is None else mirror, arguments))
        return made[-1].start()

    try:
        yield make
    finally:
        for one in made:
            one.stop()


@pytest.fixture(params=["docker", "proa"])
def client(engine: Engine, request: pytest.FixtureRequest) -> Client:
    """Each test runs once with the docker CLI, once with proa."""
    return engine.client(request.param)


@pytest.fixture
def docker(engine: Engine) -> Client:
    return engine.docker


@pytest.fixture
def proa(engine: Engine) -> Client:
    return engine.proa


@pytest.fixture
def api(engine: Engine) -> Api:
    return engine.api


@pytest.fixture
def sdk(engine: Engine) -> Iterator[docker_sdk.DockerClient]:
    """docker-py."""
    made = docker_sdk.DockerClient(base_url=engine.host)
    try:
        yield made
    finally:
        made.close()
        gc.collect()  # docker-py leaves sockets of streams to it: let them go where their warnings are expected


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    """Show what proad logged beside a failure."""
    report = yield
    if report.failed and "engine" in getattr(item, "fixturenames", ()):
        shared = item.funcargs.get("engine")  # type: ignore[attr-defined]
        if shared is not None:
            report.sections.append(("proad", shared.said()[-3000:]))
    return report
