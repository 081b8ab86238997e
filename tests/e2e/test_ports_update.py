"""Ports that are published, and no more, while a container runs: `update --publish-add`, `--publish-rm`."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine
from rig.ports import SERVE, fetch, free_ports, is_free, led, served

BUSYBOX = "busybox"


@pytest.fixture
def server(proa: Client) -> tuple[str, int]:
    """A container that serves at port 80, published at the first of six ports, and that port."""
    port = free_ports(6)
    name = proa.detached("-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    served("127.0.0.1", port)
    return name, port


def inspect(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json").json
    return found


def pid(api: Api, name: str) -> int:
    return int(inspect(api, name)["State"]["Pid"])


def test_more_and_fewer(proa: Client, api: Api, engine: Engine, server: tuple[str, int]) -> None:
    name, port = server
    before = pid(api, name)
    proa.ok("update", "--publish-add", f"{port + 1}:80", "--publish-add", f"127.0.0.1:{port + 2}:80", name)
    for each in (port, port + 1, port + 2):
        assert fetch("127.0.0.1", each) == "served\n"
    assert fetch("::1", port + 1) == "served\n" and not fetch("::1", port + 2)
    proa.ok("update", "--publish-rm", f"{port}:80", name)
    assert not fetch("127.0.0.1", port) and not fetch("::1", port) and is_free(port)
    assert fetch("::1", port + 1) == "served\n"
    assert set(led(engine)) == {("tcp", port + 1), ("tcp", port + 2)}
    assert pid(api, name) == before
    expected = [{"HostIp": "", "HostPort": str(port + 1)}, {"HostIp": "127.0.0.1", "HostPort": str(port + 2)}]
    assert inspect(api, name)["HostConfig"]["PortBindings"] == {"80/tcp": expected}
    # The next start has the same.
    proa.ok("restart", "-t", "0", name)
    served("127.0.0.1", port + 1)
    assert not fetch("127.0.0.1", port)
    proa.ok("update", "--publish-rm", "80", name)
    assert not led(engine) and is_free(port + 1) and is_free(port + 2)


def test_all_or_nothing(proa: Client, api: Api, engine: Engine, server: tuple[str, int]) -> None:
    name, port = server
    seen = inspect(api, name)
    with socket.create_server(("127.0.0.1", port + 3)):
        proa.fails(
            "update", "--publish-add", f"{port + 2}-{port + 3}:80-81", "--publish-rm", "80", name, code=1,
            match=f"failed to bind host port for 0.0.0.0:{port + 3}:.*: address already in use",
        )  # fmt: skip
    assert inspect(api, name)["NetworkSettings"]["Ports"] == seen["NetworkSettings"]["Ports"]
    assert inspect(api, name)["HostConfig"] == seen["HostConfig"]
    assert fetch("::1", port) == "served\n" and is_free(port + 2)
    assert set(led(engine)) == {("tcp", port)}
    proa.fails("update", "--publish-rm", "81", name, match="No public port '81/tcp' published for")
    proa.fails("update", "--publish-add", "x", name, match="invalid containerPort: x")
    proa.fails("update", name, match="you must provide one or more flags")


def test_ranges_and_any_port(proa: Client, api: Api, server: tuple[str, int]) -> None:
    name, port = server
    proa.ok("update", "--publish-add", f"{port + 1}-{port + 4}:1001-1004/udp", "--publish-add", "90", name)
    proa.ok("update", "--publish-rm", "1002-1003/udp", "--publish-rm", "90", name)
    found = inspect(api, name)["NetworkSettings"]["Ports"]
    assert set(found) == {"80/tcp", "1001/udp", "1004/udp"}
    assert found["1004/udp"][0]["HostPort"] == str(port + 4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", port + 2))


def test_who_does_not_run_gets_them_at_the_start(proa: Client, server: tuple[str, int]) -> None:
    name, port = server
    proa.ok("stop", "-t", "0", name)
    proa.ok("update", "--publish-add", f"{port + 1}:80", "--publish-rm", f"{port}:80", name)
    assert is_free(port + 1)
    proa.ok("start", name)
    served("127.0.0.1", port + 1)
    assert is_free(port)


def test_connections_go_on(proa: Client, server: tuple[str, int]) -> None:
    """What is under way is not cut, whether the kernel leads it or the relay."""
    name, port = server
    kept = []
    for host in ("127.0.0.1", "::1"):
        kept.append(socket.create_connection((host, port), 5))
        kept[-1].sendall(b"GET /file HTTP/1.0\r\n")
    proa.ok("update", "--publish-rm", "80", name)
    for connection in kept:
        with connection:
            connection.sendall(b"\r\n")
            assert b"served" in b"".join(iter(lambda: connection.recv(1000), b""))  # noqa: B023


def test_without_a_network(proa: Client) -> None:
    name = proa.detached("--network", "none", BUSYBOX, "sleep", "100")
    proa.fails(
        "update",
        "--publish-add",
        "80",
        name,
        match="conflicting options: port publishing and the network mode none",
    )


def test_it_outlives_the_engine(fresh_engine: Engine) -> None:
    proa, port = fresh_engine.proa, free_ports(2)
    proa.ok("pull", "-q", BUSYBOX)
    name = proa.detached("-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    proa.ok("update", "--publish-add", f"{port + 1}:80", "--publish-rm", f"{port}:80", name)
    fresh_engine.kill()
    fresh_engine.start()
    for host in ("127.0.0.1", "::1"):
        served(host, port + 1)
    assert set(led(fresh_engine)) == {("tcp", port + 1)} and is_free(port)
