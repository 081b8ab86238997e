"""The engine keeps its name server: started when needed, found again, replaced, let go."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from proa.dns import protocol
from proa.engine import name_link, name_service
from proa.engine.name_service import Known, NameService
from proa.linux import packets
from proa.network.name_sockets import NameSockets
from rig.name_process import describe, exchange, on
from rig.nameserver import parse, query
from rig.private_network import new_namespace, private_network, wait_until

pytestmark = pytest.mark.root


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test in a private network: an event loop in the thread that is there."""
    asyncio.run(work)


def known(namespace: int, name: str, *, last: int = 1, pid: int = 0) -> Known:
    return Known(describe(on("net", [name], f"10.0.0.{last}")), f"/proc/self/fd/{namespace}", pid)


async def eventually(namespace: int, name: str, addresses: list[str], seconds: float = 5.0) -> None:
    def answered() -> bool:
        try:
            return parse(exchange(namespace, query(name), seconds=0.3)).addresses == addresses
        except TimeoutError:
            return False  # there was nobody to answer

    await asyncio.to_thread(wait_until, answered, seconds)


async def gone(pid: int) -> None:
    """Wait for the end of a server whose engine has closed: nobody else reaps it in this process."""
    await asyncio.to_thread(
        wait_until, lambda: not Path(f"/proc/{pid}").exists() or os.waitpid(pid, os.WNOHANG)[0], 5.0
    )


@private_network
def test_it_is_started_when_it_is_needed(tmp_path: Path) -> None:
    async def body() -> None:
        service = NameService(tmp_path)
        await service.start({})
        assert (service.pid, list(tmp_path.iterdir())) == (0, [])
        web = new_namespace()
        await service.add("web", known(web, "web"))
        await eventually(web, "web", ["10.0.0.1"])
        service.change("web", describe(on("net", ["www"], "10.0.0.2")))
        await eventually(web, "www", ["10.0.0.2"])
        service.drop("web")
        service.drop("web")
        assert not service.knows("web")
        pid = service.pid
        await service.close()  # nobody needs it
        assert not Path(f"/proc/{pid}").exists()
        assert list(tmp_path.iterdir()) == []

    run(body())


@private_network
def test_it_goes_a_while_after_the_last_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_service, "_LINGER", 0.2)

    async def body() -> None:
        service = NameService(tmp_path)
        web = new_namespace()
        for _ in range(2):
            await service.add("web", known(web, "web"))
            await eventually(web, "web", ["10.0.0.1"])
            service.drop("web")
        first = service.pid
        await gone(first)
        await service.add("web", known(web, "web"))
        await eventually(web, "web", ["10.0.0.1"])
        assert service.pid != first
        service.drop("web")
        pid = service.pid
        await service.close()
        assert not Path(f"/proc/{pid}").exists()

    run(body())


@private_network
def test_a_later_engine_finds_it(tmp_path: Path) -> None:
    async def body() -> None:
        first, second = NameService(tmp_path), NameService(tmp_path)
        stays, goes, new = new_namespace(), new_namespace(), new_namespace()
        with subprocess.Popen(["sleep", "100"]) as process:  # noqa: ASYNC220
            await first.add("stays", known(stays, "stays", last=1, pid=process.pid))
            await first.add("goes", known(goes, "goes", last=2))
            await eventually(stays, "goes", ["10.0.0.2"])
            pid = first.pid
            await first.close()
            await second.start({"stays": known(stays, "renamed"), "new": known(new, "new", last=3)})
            await eventually(stays, "new", ["10.0.0.3"])
            await eventually(new, "renamed", ["10.0.0.1"])
            await eventually(new, "goes", [])
            assert second.pid == 0
            for identifier in ("stays", "new"):
                second.drop(identifier)
            await second.close()
            await gone(pid)
            process.kill()

    run(body())


@private_network
def test_one_of_another_version_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        first, second = NameService(tmp_path), NameService(tmp_path)
        web = new_namespace()
        await first.add("web", known(web, "web"))
        await eventually(web, "web", ["10.0.0.1"])
        pid = first.pid
        await first.close()
        monkeypatch.setattr(protocol, "VERSION", "of tomorrow")
        await second.start({"web": known(web, "web", last=7)})
        await eventually(web, "web", ["10.0.0.7"])
        await gone(pid)
        assert second.pid
        second.drop("web")
        await second.close()

    run(body())


@private_network
def test_one_that_does_not_answer_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_link, "_PATIENCE", 0.1)

    async def body() -> None:
        stuck = packets.listen(str(tmp_path), protocol.SOCKET_NAME)
        service = NameService(tmp_path)
        web = new_namespace()
        await service.start({"web": known(web, "web")})
        await eventually(web, "web", ["10.0.0.1"])
        stuck.close()
        service.drop("web")
        pid = service.pid
        await service.close()
        assert not Path(f"/proc/{pid}").exists()

    run(body())


@private_network
def test_a_killed_one_is_replaced_again_and_again(tmp_path: Path) -> None:
    async def body() -> None:
        service = NameService(tmp_path)
        web = new_namespace()
        await service.add("web", known(web, "web"))
        for _ in range(3):
            await eventually(web, "web", ["10.0.0.1"])
            before = service.pid
            os.kill(before, signal.SIGKILL)
            await gone(before)
        await eventually(web, "web", ["10.0.0.1"])
        service.drop("web")
        pid = service.pid
        await service.close()
        assert not Path(f"/proc/{pid}").exists()

    run(body())


def some_sockets() -> NameSockets:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        udp.bind(("127.0.0.1", 0))
        return NameSockets(udp.detach(), tcp.detach())


@private_network
def test_more_than_its_socket_holds_waits_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Messages are sent while the process still loads; one that fits into no packet is told in the log."""
    caplog.set_level(logging.WARNING)

    async def body() -> None:
        service = NameService(tmp_path)
        web = new_namespace()
        await service.add("web", known(web, "web"))
        before = len(os.listdir("/proc/self/fd"))
        for number in range(600):
            await service.add(f"c{number}", known(web, f"c{number}", last=number % 250), some_sockets())
        assert service._link and service._link.waiting > 50
        monster = Known(describe(on("net", [f"alias{number}" for number in range(30_000)])), "/proc/self/ns/net")
        await service.add("monster", monster, some_sockets())
        await service.add("last", known(web, "last", last=251), some_sockets())
        await eventually(web, "last", ["10.0.0.251"])
        assert not service._link.waiting
        assert len(os.listdir("/proc/self/fd")) == before
        await eventually(web, "c599", [f"10.0.0.{599 % 250}"])
        for identifier in list(service._known):
            service.drop(identifier)
        pid = service.pid
        await service.close()
        assert not Path(f"/proc/{pid}").exists()

    run(body())
    assert "monster" in caplog.text


@private_network
def test_a_start_that_is_given_up(tmp_path: Path) -> None:
    """Cancelled while its sockets are opened, a container leaves none."""

    async def body() -> None:
        service = NameService(tmp_path)
        web = new_namespace()
        await service.add("web", known(web, "web"))
        await eventually(web, "web", ["10.0.0.1"])
        before = sorted(os.listdir("/proc/self/fd"))
        for _ in range(20):
            starting = asyncio.ensure_future(service.add("late", known(web, "late")))
            await asyncio.sleep(0)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            service.drop("late")
        await asyncio.to_thread(wait_until, lambda: sorted(os.listdir("/proc/self/fd")) == before)
        service.drop("web")
        await service.close()

    run(body())
