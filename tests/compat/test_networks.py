"""docker-py: networks of one's own, names in them, published ports."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from rig.engine import eventually

BUSYBOX = "busybox"
POOL = IPAMConfig(driver="default", pool_configs=[IPAMPool(subnet="10.76.0.0/24", gateway="10.76.0.1")])
SERVE = ["sh", "-c", "while :; do echo served | nc -l -p 80; done"]


@pytest.fixture
def networks(sdk: docker.DockerClient) -> Iterator[Any]:
    """Makes networks; they go after the test, and before that the containers on them."""
    made: list[Any] = []

    def make(name: str, **options: Any) -> Any:
        made.append(sdk.networks.create(name, **options))
        return made[-1]

    try:
        yield make
    finally:
        for container in sdk.containers.list(all=True):
            container.remove(force=True)
        for network in made:
            with contextlib.suppress(NotFound):
                network.remove()


def test_life(sdk: docker.DockerClient, networks: Any) -> None:
    network = networks("life", driver="bridge", labels={"a": "b"}, ipam=POOL, attachable=True, internal=True)
    assert sdk.networks.get("life") == network and network in sdk.networks.list(names=["life"])
    assert [one.id for one in sdk.networks.list(filters={"label": "a=b", "driver": "bridge"})] == [network.id]
    seen = network.attrs
    assert (seen["Labels"], seen["Internal"], seen["Attachable"]) == ({"a": "b"}, True, True)
    assert seen["IPAM"]["Config"] == [{"Subnet": "10.76.0.0/24", "Gateway": "10.76.0.1"}]
    with pytest.raises(APIError, match="network with name life already exists") as taken:
        sdk.networks.create("life")
    assert taken.value.status_code == 409
    network.remove()
    with pytest.raises(NotFound, match=r"network \w+ not found"):
        network.remove()


def test_connecting(sdk: docker.DockerClient, networks: Any) -> None:
    network = networks("connecting", ipam=POOL)
    container = sdk.containers.run(BUSYBOX, "sleep 1000", detach=True)
    network.connect(container, ipv4_address="10.76.0.9", aliases=["other"])
    network.reload()
    assert network.containers == [container]
    container.reload()
    seen = container.attrs["NetworkSettings"]["Networks"]
    assert set(seen) == {"bridge", "connecting"}
    assert (seen["connecting"]["IPAddress"], seen["connecting"]["Aliases"]) == ("10.76.0.9", ["other"])
    with pytest.raises(APIError, match="has active endpoints"):
        network.remove()
    network.disconnect(container)
    with pytest.raises(APIError, match="is not connected to network"):
        network.disconnect(container)
    container.reload()
    assert set(container.attrs["NetworkSettings"]["Networks"]) == {"bridge"}


def test_names(sdk: docker.DockerClient, networks: Any) -> None:
    networks("names", ipam=POOL)
    config = {"names": EndpointConfig("1.44", aliases=["www"], ipv4_address="10.76.0.50")}
    sdk.containers.run(BUSYBOX, "sleep 1000", detach=True, name="web", network="names", networking_config=config)
    for name in ("web", "www"):
        look = ["nslookup", "-type=a", name, "127.0.0.11"]
        said = sdk.containers.run(BUSYBOX, look, network="names", remove=True)
        assert b"10.76.0.50" in said
    made = sdk.api.create_container(
        BUSYBOX, ["nslookup", "-type=a", "linked", "127.0.0.11"],
        networking_config=sdk.api.create_networking_config(
            {"names": sdk.api.create_endpoint_config(links=[("web", "linked")])}
        ),
        host_config=sdk.api.create_host_config(network_mode="names"),
    )  # fmt: skip
    sdk.api.start(made)
    assert sdk.api.wait(made)["StatusCode"] == 0 and b"10.76.0.50" in sdk.api.logs(made)


def test_links(sdk: docker.DockerClient) -> None:
    """Of containers on the default bridge."""
    sdk.containers.run(BUSYBOX, "sleep 1000", detach=True, name="database", environment={"SECRET": "x"})
    said = sdk.containers.run(BUSYBOX, ["sh", "-c", "env; cat /etc/hosts"], links={"database": "db"}, remove=True)
    assert b"DB_ENV_SECRET=x\n" in said and b"\tdb " in said


def test_prune(sdk: docker.DockerClient, networks: Any) -> None:
    networks("used"), networks("unused")
    sdk.containers.run(BUSYBOX, "sleep 1000", detach=True, network="used")
    assert sdk.networks.prune()["NetworksDeleted"] == ["unused"]
    assert sdk.networks.prune({"label": ["nosuch"]})["NetworksDeleted"] is None


# What docker-py is told -> what the container's port 80 is bound to; None is a port of the engine's choice.
PORTS: dict[str, tuple[Any, list[tuple[str, int | None]]]] = {
    "any": (None, [("0.0.0.0", None), ("::", None)]),
    "address": (("127.0.0.1", None), [("127.0.0.1", None)]),
    "number": (18300, [("0.0.0.0", 18300), ("::", 18300)]),
    "both": (("127.0.0.1", 18301), [("127.0.0.1", 18301)]),
    "several": ([18302, 18303], [("0.0.0.0", 18302), ("0.0.0.0", 18303), ("::", 18302), ("::", 18303)]),
}


@pytest.mark.parametrize("case", PORTS)
def test_ports(sdk: docker.DockerClient, case: str) -> None:
    told, expected = PORTS[case]
    container = sdk.containers.run(BUSYBOX, SERVE, detach=True, ports={"80/tcp": told})
    container.reload()
    bindings = container.ports["80/tcp"]
    assert sdk.api.port(container.id, 80) == bindings
    assert sorted(each["HostIp"] for each in bindings) == sorted(address for address, _ in expected)
    assert {int(each["HostPort"]) for each in bindings} >= {number for _, number in expected if number}

    def asked() -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", int(bindings[0]["HostPort"])), 5) as client:
                return client.recv(100)
        except ConnectionError:
            return b""  # nothing listens in the container yet

    eventually(lambda: asked() == b"served\n")


def test_a_port_that_is_taken(sdk: docker.DockerClient) -> None:
    ports = {"80/tcp": ("127.0.0.1", 18304)}
    sdk.containers.run(BUSYBOX, "sleep 1000", detach=True, ports=ports)
    with pytest.raises(APIError, match=r"Bind for 127\.0\.0\.1:18304 failed: port is already allocated"):
        sdk.containers.run(BUSYBOX, "true", ports=ports)
