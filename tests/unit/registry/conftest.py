"""A registry with images to pull, behind proxies that fail on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proa.registry import Registry
from proa.registry.requests import Patience
from rig import images
from rig.faults import FaultyProxy
from rig.images import Image
from rig.registry import Registry as RealRegistry
from rig.trees import Tree

QUICK = Patience(attempts=4, first_delay=0.01, longest_delay=0.05)


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    """A docker-registry of these tests' own: the shared one has images that others count."""
    started = RealRegistry(tmp_path_factory.mktemp("origin") / "registry").start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory, image: Image) -> Iterator[RealRegistry]:
    """A docker-registry that wants user and password, holding team/app."""
    started = RealRegistry(tmp_path_factory.mktemp("locked") / "registry", password=True)
    started.headers = {"Authorization": "Basic cHJvYTpzZWNyZXQ="}  # proa:secret
    started.start().push(image, "team/app", "latest")
    yield started
    started.stop()


@pytest.fixture(scope="session")
def image(origin: RealRegistry) -> Image:
    """team/app:latest, one layer of about 400 KB that does not compress, one small."""
    noise = images.digest(b"seed")
    data = b"".join(bytes.fromhex(images.digest(f"{noise}{n}".encode())[7:]) for n in range(12_000))
    made = images.build([Tree().file("noise", data), Tree().file("small", "x")])
    return origin.push(made, "team/app", "latest")


@pytest.fixture
async def proxy(origin: RealRegistry, image: Image) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(origin.url) as started:
        yield started


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Registry]:
    made = Registry(patience=QUICK, stall_timeout=0.5, certificates=tmp_path / "certs.d")
    yield made
    await made.close()
