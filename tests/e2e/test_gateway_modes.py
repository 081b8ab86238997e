"""How others outside get into a network: Docker's gateway modes, as dockerd 28.5 was seen to have them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.own_host import HERE, HERE6, THERE, engine_here, host_beside
from rig.ports import fetch, free_ports, served
from rig.private_network import echo, inside, nft, ping, private_network

BUSYBOX = "busybox"
MODE4 = "com.docker.network.bridge.gateway_mode_ipv4"
MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"
PORT = 8080
# Port 80, which is published, and 81, which is not.
SERVE = "mkdir /www; echo served >/www/file; httpd -h /www -p 81; exec httpd -f -h /www -p 80"
YES, NO = "served\n", ""


def network(docker: Client, mode4: str, mode6: str = "", *options: str) -> str:
    """A network of both families."""
    name = f"n-{os.urandom(3).hex()}"
    modes = ["-o", f"{MODE4}={mode4}", "-o", f"{MODE6}={mode6 or mode4}"]
    docker.ok("network", "create", "--ipv6", *modes, *options, name)
    return name


def server(engine: Engine, on: str, port: int = PORT) -> tuple[str, list[str]]:
    """A container that publishes its port 80 on a network; its name and addresses."""
    name = engine.docker.detached("--network", on, "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    place = json.loads(engine.docker.inspect(name))["NetworkSettings"]["Networks"][on]
    for port in (80, 81):
        served(place["IPAddress"], port)  # this host is everywhere's neighbour
    return name, [place["IPAddress"], place["GlobalIPv6Address"]]


def seen(namespace: int, addresses: list[str], port: int) -> list[str]:
    return [inside(namespace, lambda: fetch(address, port, 0.7)) for address in addresses]  # noqa: B023


def seen_by(engine: Engine, container: str, addresses: list[str], port: int) -> list[str]:
    pid = engine.docker.inspect(container, "{{.State.Pid}}").strip()
    with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
        return seen(namespace.fileno(), addresses, port)


def published(engine: Engine, name: str) -> list[dict[str, str]]:
    found = json.loads(engine.docker.inspect(name, '{{json (index .NetworkSettings.Ports "80/tcp")}}'))
    return sorted(found, key=lambda each: str(each["HostIp"]))


def source(engine: Engine, container: str, there: int) -> str:
    """The address that the other host sees when a container turns to it."""
    with echo(there) as client:
        eventually(
            lambda: (
                engine.docker("exec", container, "sh", "-c", f"echo ahoy | nc -w 1 {THERE} 7000").out == "ahoy\n"
            )
        )
        return client.result(5)


@private_network
def test_nat() -> None:
    with host_beside() as there, engine_here() as engine:
        name, own = server(engine, network(engine.docker, "nat"))
        assert seen(there, own, 80) == seen(there, own, 81) == [NO, NO]
        assert seen(there, [HERE, HERE6], PORT) == [YES, YES]
        assert published(engine, name)[0] == {"HostIp": "0.0.0.0", "HostPort": str(PORT)}
        assert source(engine, name, there) == HERE


@private_network
def test_nat_unprotected() -> None:
    with host_beside() as there, engine_here() as engine:
        mine = network(engine.docker, "nat-unprotected")
        name, own = server(engine, mine)
        assert seen(there, own, 80) == seen(there, own, 81) == [YES, YES]
        assert seen(there, [HERE, HERE6], PORT) == [YES, YES]
        assert source(engine, name, there) == HERE
        # Others here are no outsiders: networks stay apart.
        for other in (network(engine.docker, "nat"), network(engine.docker, "routed")):
            probe = engine.docker.detached("--network", other, BUSYBOX, "sleep", "1000")
            assert seen_by(engine, probe, own, 80) == [NO, NO]
            assert seen_by(engine, probe, [HERE], PORT) == [YES]


@private_network
def test_routed() -> None:
    with host_beside() as there, engine_here() as engine:
        docker = engine.docker
        mine = network(docker, "routed")
        name, own = server(engine, mine)
        second, also = server(engine, mine)  # nobody has a port of the host
        for each in (own, also):
            assert seen(there, each, 80) == [YES, YES]
            assert seen(there, each, 81) == [NO, NO]
        assert inside(there, lambda: ping(own[0]))
        assert seen(there, [HERE, HERE6], PORT) == [NO, NO]
        assert source(engine, name, there) == own[0]
        probes = [
            docker.detached("--network", on, BUSYBOX, "sleep", "1000") for on in (network(docker, "nat"), mine)
        ]
        assert seen_by(engine, probes[0], own, 80) == [YES, YES]
        assert seen_by(engine, probes[0], own, 81) == [NO, NO]
        assert seen_by(engine, probes[1], own, 81) == [YES, YES]
        closed = docker.detached("--network", network(docker, "nat", "", "--internal"), BUSYBOX, "sleep", "1000")
        assert seen_by(engine, closed, own, 80) == [NO, NO]
        # As Docker shows it.
        assert published(engine, name) == [{"HostIp": host, "HostPort": ""} for host in ("0.0.0.0", "::")]
        assert docker.ok("port", name).splitlines() == ["80/tcp -> 0.0.0.0:", "80/tcp -> [::]:"]
        for client in (docker, engine.proa):
            shown = client.ok("ps", "--filter", f"id={name}", "--format", "{{.Ports}}")
            assert shown == "0.0.0.0:0->80/tcp, [::]:0->80/tcp\n"
        listed = engine.proa.ok("system", "ports", "--no-trunc", "--format", "{{.ID}} {{.HostPort}} {{.OpenTo}}")
        assert f"{name} (routed) everybody, by IPv4, with a route to it" in listed
        # Ports come and go with running containers, engines and networks.
        engine.proa.ok("update", "--publish-add", "9999:81", name)
        assert seen(there, own, 81) == [YES, YES]
        engine.proa.ok("update", "--publish-rm", "9999:81", name)
        assert seen(there, own, 81) == [NO, NO]
        engine.kill()
        assert seen(there, own, 80) == [YES, YES]
        engine.start()
        assert eventually(lambda: seen(there, own, 80) == [YES, YES])
        assert seen(there, own, 81) == [NO, NO]
        docker.ok("rm", "-f", name, second)
        table = json.loads(docker.ok("network", "inspect", "bridge", "-f", "{{json .Options}}"))
        for each in ("routed_ports4", "routed_ports6"):
            assert "elements" not in nft("list", "set", "inet", table["com.docker.network.bridge.name"], each)


@private_network
def test_a_mode_for_each_family() -> None:
    with host_beside() as there, engine_here() as engine:
        name, own = server(engine, network(engine.docker, "nat", "routed"))
        assert seen(there, own, 80) == [NO, YES] and seen(there, own, 81) == [NO, NO]
        assert seen(there, [HERE, HERE6], PORT) == [YES, NO]
        assert published(engine, name) == [
            {"HostIp": "0.0.0.0", "HostPort": str(PORT)}, {"HostIp": "::", "HostPort": ""},
        ]  # fmt: skip
        engine.docker.ok("rm", "-f", name)
        name, own = server(engine, network(engine.docker, "routed", "nat"))
        assert seen(there, own, 80) == [YES, NO]
        assert seen(there, [HERE, HERE6], PORT) == [NO, YES]


@private_network
def test_isolated() -> None:
    with host_beside(), engine_here() as engine:
        docker = engine.docker
        mine = network(docker, "isolated", "", "--internal")
        first, second = (docker.detached("--network", mine, BUSYBOX, "sh", "-c", SERVE) for _ in range(2))
        found = json.loads(docker.ok("network", "inspect", mine))[0]
        assert [set(each) for each in found["IPAM"]["Config"]] == [{"Subnet"}, {"Subnet"}]
        place = json.loads(docker.inspect(first))["NetworkSettings"]["Networks"][mine]
        assert place["IPAddress"].endswith(".1") and place["Gateway"] == place["IPv6Gateway"] == ""
        own = [place["IPAddress"], place["GlobalIPv6Address"]]
        assert eventually(lambda: seen_by(engine, second, own, 80) == [YES, YES])
        assert [fetch(address, 80, 0.5) for address in own] == [NO, NO]  # this host is not on it
        assert "default" not in docker.ok("exec", first, "ip", "route")
        assert (
            docker.ok("exec", second, "wget", "-qO-", f"http://{first[:12]}/file") == YES
        )  # names are known there
        bridge = f"br-{found['Id'][:12]}"
        assert not [line for line in Path("/proc/net/if_inet6").read_text().splitlines() if line.endswith(bridge)]
        gateway = docker.ok(
            "network", "create", "--internal", "-o", f"{MODE4}=isolated", "--subnet", "10.77.0.0/24", "--gateway",
            "10.77.0.1", "given",
        )  # fmt: skip
        config = json.loads(docker.ok("network", "inspect", gateway.strip(), "-f", "{{json .IPAM.Config}}"))
        assert config == [{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.1"}]
        name = docker.detached("--network", "given", BUSYBOX, "sleep", "1000")
        assert docker.inspect(name, "{{.NetworkSettings.Networks.given.IPAddress}}").strip() == "10.77.0.2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", f"{MODE4}=isolated"], "gateway mode 'isolated' can only be used for an internal network"),
        (["-o", f"{MODE6}=isolated"], "gateway mode 'isolated' can only be used for an internal network"),
        (["-o", f"{MODE4}=open"], f"failed to parse {MODE4} value: open \\(unknown gateway mode open\\)"),
        (["-o", f"{MODE4}="], f"failed to parse {MODE4} value:  \\(unknown gateway mode \\)"),
    ],
)
def test_bad_modes(docker: Client, options: list[str], message: str) -> None:
    docker.fails("network", "create", *options, "x", match=message)


def test_modes_here(client: Client, api: Api, request: pytest.FixtureRequest) -> None:
    """A port of 127.0.0.1 is no port of this host there, and everybody's who has a route, as with Docker."""
    port = free_ports()
    name = f"n-{os.urandom(3).hex()}"
    client.ok("network", "create", "-o", f"{MODE4}=routed", name)
    remove: Callable[[], object] = lambda: api.remove_everything()  # noqa: E731
    request.addfinalizer(remove)
    made = client.detached("--network", name, "-p", f"127.0.0.1:{port}:80", BUSYBOX, "sleep", "100")
    shown = api.get(f"/containers/{made}/json").json["NetworkSettings"]["Ports"]
    assert shown == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}
