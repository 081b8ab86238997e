"""Published ports of containers on networks of users: the one that the default route leads to has them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.ports import SERVE, fetch, free_ports, led, served

BUSYBOX = "busybox"


@pytest.fixture
def network(docker: Client) -> Iterator[Callable[..., str]]:
    """Make networks of the test's own: `network("--internal")`; returns the name."""
    made: list[str] = []

    def make(*options: str) -> str:
        made.append(f"net-{os.urandom(4).hex()}")
        docker.ok("network", "create", *options, made[-1])
        return made[-1]

    yield make
    for name in made:
        for container in docker.ok("ps", "-aq", "--filter", f"network={name}").split():
            docker.ok("rm", "-f", container)
        docker.ok("network", "rm", name)


def address(api: Api, container: str, network: str, field: str = "IPAddress") -> str:
    return str(api.get(f"/containers/{container}/json").json["NetworkSettings"]["Networks"][network][field])


def host_address(api: Api) -> str:
    return str(api.get("/networks/bridge").json["IPAM"]["Config"][0]["Gateway"])


def published(api: Api, name: str) -> bool:
    return bool(api.get(f"/containers/{name}/json").json["NetworkSettings"]["Ports"].get("80/tcp"))


def test_a_network_of_users(client: Client, api: Api, network: Callable[..., str]) -> None:
    mine, other, port = network(), network(), free_ports()
    name = client.detached("--network", mine, "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    for host in ("127.0.0.1", "::1", host_address(api)):
        served(host, port)
    # From another network by the host's address alone: their own ways are closed.
    for on in (["--network", other], ["--network", mine], []):
        assert client.ok(
            "run", "--rm", *on, BUSYBOX, "wget", "-qO-", f"http://{host_address(api)}:{port}/file"
        ) == "served\n", on  # fmt: skip
    inside = f"wget -T 1 -qO- http://{address(api, name, mine)}/file"
    assert client("run", "--rm", "--network", other, BUSYBOX, "sh", "-c", inside).code != 0


def test_ipv6(client: Client, api: Api, network: Callable[..., str]) -> None:
    """To a container that has it, IPv6 is led by the kernel: it sees who asks."""
    mine = network("--ipv6", "--subnet", f"fd{random.randrange(1 << 8):02x}:{random.randrange(1 << 16):x}::/64")
    port = free_ports()
    name = client.detached("--network", mine, "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    gateway = address(api, name, mine, "IPv6Gateway")
    for host in ("127.0.0.1", "::1", gateway):
        served(host, port)
    assert client.ok("exec", name, "wget", "-qO-", f"http://[{gateway}]:{port}/file") == "served\n"


def test_an_internal_network_has_no_ports(client: Client, api: Api, network: Callable[..., str]) -> None:
    port = free_ports()
    name = client.detached("--network", network("--internal"), "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    assert not published(api, name)
    assert not fetch("127.0.0.1", port)


def test_ports_are_where_the_default_route_leads(
    engine: Engine, client: Client, api: Api, network: Callable[..., str]
) -> None:
    first, second, port = network(), network(), free_ports()
    name = client.detached(
        "--network",
        f"name={first},gw-priority=1",
        "--network",
        second,
        "-p",
        f"{port}:80",
        BUSYBOX,
        "sh",
        "-c",
        SERVE,
    )
    assert led(engine)["tcp", port] == address(api, name, first)
    served("127.0.0.1", port)


def test_ports_move_with_the_default_route(docker: Client, api: Api, network: Callable[..., str]) -> None:
    first, second, port = network(), network("--internal"), free_ports()
    name = docker.detached("--network", second, "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    assert not published(api, name)
    docker.ok("network", "connect", first, name)
    for host in ("127.0.0.1", "::1"):
        served(host, port)
    docker.ok("network", "disconnect", first, name)
    assert not published(api, name)
    assert not fetch("127.0.0.1", port)
    docker.ok("network", "connect", "bridge", name)
    docker.ok("network", "connect", first, name)
    served("127.0.0.1", port)
    docker.ok("network", "disconnect", "bridge", name)  # which had them: the name sorts first
    for host in ("127.0.0.1", "::1"):
        assert eventually(lambda: fetch(host, port)) == "served\n"  # noqa: B023
    docker.ok("rm", "-f", name)
    assert not fetch("127.0.0.1", port)


def test_another_network_that_goes_takes_no_port(docker: Client, api: Api, network: Callable[..., str]) -> None:
    first, second, port = network(), network(), free_ports()
    both = ["--network", f"name={first},gw-priority=1", "--network", second]
    name = docker.detached(*both, "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    served("127.0.0.1", port)
    docker.ok("network", "disconnect", second, name)
    assert published(api, name)
    for host in ("127.0.0.1", "::1"):
        assert fetch(host, port) == "served\n"
