"""A server of the API on a unix socket, around an engine in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proa.api import listeners
from proa.api.server import Server
from rig.fake_engine import FakeEngine
from rig.raw_client import Client


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.close()


@pytest.fixture
async def server(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(engine)
    await server.serve(listeners.listen(f"unix://{tmp_path}/proa.sock"))
    yield server
    await server.close(patience=1)


@pytest.fixture
async def client(server: Server, tmp_path: Path) -> AsyncIterator[Client]:
    client = Client(tmp_path / "proa.sock")
    yield client
    await client.close()


class Served:
    """An engine served by a thread, for clients that block."""

    def __init__(self, socket: Path) -> None:
        self.engine: FakeEngine
        self.socket = socket
        self.url = f"unix://{socket}"
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.engine = FakeEngine()
        server = Server(self.engine)
        await server.serve(listeners.listen(self.url))
        self._ready.set()
        await self._stop.wait()
        await server.close(patience=1)
        self.engine.close()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path / "served.sock") as served:
        yield served
