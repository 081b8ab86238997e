"""Published ports: who reaches a container by them, who does not, and what is left when they are withdrawn."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import BinaryIO

import pytest

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.bridge_network import BridgeNetwork, Range
from proa.network.default_bridge import DefaultBridge
from proa.network.endpoint import Endpoint, Order
from proa.network.firewall import Rules
from proa.network.ports import Ports
from proa.network.published import Mapping, Published
from proa.network.site import Site
from rig.needs import need
from rig.private_network import (
    connect,
    echo,
    echo_datagrams,
    inside,
    neighbour,
    nft,
    other_host,
    ping,
    private_network,
    wait_until,
)

MakeBridge = Callable[..., DefaultBridge]
BRIDGE_NF = Path("/proc/sys/net/bridge")
IPV4 = Path("/proc/sys/net/ipv4/conf")


def mapping(endpoint: Endpoint, host_address: str = "0.0.0.0", protocol: str = "tcp", count: int = 1) -> Mapping:
    """Port 8080 of an address of the host leads to 7000 of an endpoint."""
    return Mapping(Published(protocol, host_address, 8080, 7000, count), endpoint.address)


def own_namespace() -> BinaryIO:
    return Path("/proc/thread-self/ns/net").open("rb")


def bridges_filter(value: bytes) -> None:
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        if (BRIDGE_NF / name).exists():
            (BRIDGE_NF / name).write_bytes(value)


@pytest.fixture
def ports() -> Iterator[Ports]:
    made = Ports("proa")
    yield made
    made.close()


def reaches_bridge(endpoint: Endpoint) -> bool:
    return inside(endpoint.netns_fd, lambda: ping("172.17.0.1", 0.2))


def set_up(make_bridge: MakeBridge) -> tuple[DefaultBridge, Endpoint]:
    bridge = make_bridge()
    bridge.setup()
    endpoint = bridge.acquire()
    wait_until(lambda: reaches_bridge(endpoint))
    return bridge, endpoint


@private_network
def test_the_host_reaches_a_port_by_each_of_its_addresses(make_bridge: MakeBridge, ports: Ports) -> None:
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    ports.lead([mapping(endpoint)], bridge.name).result()
    for address, seen_as in (("127.0.0.1", "172.17.0.1"), ("127.7.7.7", "172.17.0.1"),
                             ("192.0.2.2", "192.0.2.2"), ("172.17.0.1", "172.17.0.1")):  # fmt: skip
        with echo(endpoint.netns_fd) as seen:
            assert connect(address, 8080), address
            assert seen.result() == seen_as
    ports.withdraw([mapping(endpoint)]).result()
    ports.withdraw([mapping(endpoint)]).result()
    assert not connect("127.0.0.1", 8080)
    assert "8080" not in nft("list", "table", "inet", "proa")


@private_network
def test_the_world_reaches_a_port_and_is_known_to_the_container(make_bridge: MakeBridge, ports: Ports) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    ports.lead([mapping(endpoint)], bridge.name).result()
    with echo(endpoint.netns_fd) as seen:
        assert inside(world, lambda: connect("192.0.2.2", 8080))
        assert seen.result() == "192.0.2.1"


@private_network
def test_a_port_of_one_address_is_not_there_at_others(make_bridge: MakeBridge, ports: Ports) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    ports.lead([mapping(endpoint, "127.0.0.1")], bridge.name).result()
    with echo(endpoint.netns_fd):
        assert not connect("192.0.2.2", 8080)
        assert not inside(world, lambda: connect("192.0.2.2", 8080))
        assert connect("127.0.0.1", 8080)


@private_network
def test_containers_reach_ports_by_the_hosts_addresses(make_bridge: MakeBridge, ports: Ports) -> None:
    """Their own, too: the answer takes the way back only if the question seems to come from the bridge."""
    bridges_filter(b"0")
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    other = bridge.acquire()
    wait_until(lambda: reaches_bridge(other))
    ports.lead([mapping(endpoint)], bridge.name).result()
    for address in ("192.0.2.2", "172.17.0.1"):
        for client in (other, endpoint):
            with echo(endpoint.netns_fd) as seen:
                assert inside(client.netns_fd, lambda: connect(address, 8080)), (address, client.address)  # noqa: B023
                assert seen.result() == "172.17.0.1"


@private_network
def test_with_filtering_bridges_containers_come_to_the_relay(make_bridge: MakeBridge, ports: Ports) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    need(BRIDGE_NF.exists(), "br_netfilter")
    bridges_filter(b"1")
    bridge, endpoint = set_up(make_bridge)
    ports.lead([mapping(endpoint)], bridge.name).result()
    with closing(own_namespace()) as host, echo(host.fileno(), 8080) as seen:
        assert inside(endpoint.netns_fd, lambda: connect("192.0.2.2", 8080))
        assert seen.result() == endpoint.address
    with echo(endpoint.netns_fd) as seen:
        assert inside(world, lambda: connect("192.0.2.2", 8080))
        assert seen.result() == "192.0.2.1"


def route_to(namespace: int, network: str, length: int, gateway: str) -> None:
    def add() -> None:
        with Socket() as route:
            link = rtnetlink.link(route, "eth0")
            assert link is not None
            route.execute(
                rtnetlink.add_route(
                    link.index,
                    gateway=socket.inet_aton(gateway),
                    destination=socket.inet_aton(network),
                    prefix_length=length,
                )
            )

    inside(namespace, add)


@private_network
def test_neighbours_reach_nothing_but_published_ports(make_bridge: MakeBridge, ports: Ports) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    route_to(world, "172.17.0.0", 16, "192.0.2.2")
    ports.lead([mapping(endpoint, "127.0.0.1")], bridge.name).result()
    with echo(endpoint.netns_fd):
        assert not inside(world, lambda: connect(endpoint.address))  # by its own address, as Docker 28
        assert connect("127.0.0.1", 8080)


@private_network
def test_nobody_gets_at_the_hosts_loopback(make_bridge: MakeBridge, ports: Ports) -> None:
    """CVE-2020-8558: with route_localnet on the bridge, containers could send packets to 127.0.0.1."""
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    ports.lead([mapping(endpoint, "127.0.0.1")], bridge.name).result()

    def send_to_loopback(gateway: str) -> bool:
        for name in ("all", "eth0"):
            (IPV4 / name / "route_localnet").write_text("1")
        with Socket() as route:
            link = rtnetlink.link(route, "eth0")
            lo = rtnetlink.link(route, "lo")
            assert link is not None and lo is not None
            route.execute(rtnetlink.delete_address(lo.index, socket.inet_aton("127.0.0.1"), 8))
            route.execute(
                rtnetlink.add_route(
                    link.index,
                    gateway=socket.inet_aton(gateway),
                    destination=socket.inet_aton("127.0.0.0"),
                    prefix_length=8,
                )
            )
        return connect("127.0.0.1", 7001, 0.5) or connect("127.0.0.1", 8080, 0.5)

    (IPV4 / "eth0" / "route_localnet").write_text("1")
    other = bridge.acquire()
    with closing(own_namespace()) as host, echo(host.fileno(), 7001), echo(endpoint.netns_fd):
        assert not inside(other.netns_fd, lambda: send_to_loopback("172.17.0.1"))
        assert connect("127.0.0.1", 7001)
        assert connect("127.0.0.1", 8080)
    with echo(endpoint.netns_fd):
        assert not inside(world, lambda: send_to_loopback("192.0.2.2"))
        assert connect("127.0.0.1", 8080)


def ask(client: socket.socket) -> bool:
    client.settimeout(0.3)
    try:
        client.send(b"ahoy")
        return client.recv(100) == b"ahoy"
    except OSError:
        return False


@private_network
def test_datagrams_that_go_on_find_the_next_container(make_bridge: MakeBridge, ports: Ports) -> None:
    """Connection tracking would keep them on the way that the first one went, for as long as they go on."""
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge, endpoint = set_up(make_bridge)
    next_one = bridge.acquire()
    wait_until(lambda: reaches_bridge(next_one))
    client = inside(world, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with closing(client):
        client.connect(("192.0.2.2", 8080))
        with echo_datagrams(endpoint.netns_fd) as one, echo_datagrams(next_one.netns_fd) as two:
            assert not ask(client)
            ports.lead([mapping(endpoint, protocol="udp")], bridge.name).result()
            assert ask(client) and one
            ports.withdraw([mapping(endpoint, protocol="udp")]).result()
            assert not ask(client)
            ports.lead([mapping(next_one, protocol="udp")], bridge.name).result()
            assert ask(client) and two


@private_network
def test_a_thousand_ports_and_what_the_table_says_of_them(make_bridge: MakeBridge, ports: Ports) -> None:
    bridge, endpoint = set_up(make_bridge)
    ports.lead([mapping(endpoint, count=1000)], bridge.name).result()
    listing = nft("list", "map", "inet", "proa", "published4_any")
    assert listing.count(" : ") >= 1000
    assert "tcp . 9079 : 172.17.0.2 . 7999" in listing
    with echo(endpoint.netns_fd, 7999):
        assert connect("127.0.0.1", 9079)
    # Whatever was left of an earlier container gives way.
    other = bridge.acquire()
    ports.lead([mapping(other)], bridge.name).result()
    assert "tcp . 8080 : 172.17.0.3 . 7000" in nft("list", "map", "inet", "proa", "published4_any")


@pytest.fixture
def ipv6_network(root: None, tmp_path: Path) -> Iterator[BridgeNetwork]:
    """A network of both families, to be set up in the network of the test."""
    v4, v6 = Range(IPv4Interface("172.18.0.1/16")), Range(IPv6Interface("fd00:18::1/64"))
    made = BridgeNetwork(Site("proa", tmp_path / "site.json"), Rules("proa6"), v4=v4, v6=v6, mtu=1500, name="six")
    yield made
    made.close()


@private_network
def test_ipv6(ipv6_network: BridgeNetwork, ports: Ports, tmp_path: Path) -> None:
    """The kernel leads IPv6 as well: the container sees who it is. Only ::1 and link-local clients are relayed."""
    bridges_filter(b"0")
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24")
    with other_host("wire6", ["2001:db8::1/64"], ["2001:db8::2/64"]) as world:
        Site("proa", tmp_path / "site.json").setup([])
        ipv6_network.setup()
        with closing(ipv6_network.order(Order()).result()) as endpoint:
            wait_until(lambda: connects(endpoint, "fd00:18::1"))
            two = [
                Mapping(Published("tcp", "::", 8080, 7000), endpoint.address, endpoint.address6),
                Mapping(Published("tcp", "2001:db8::1", 8081, 7000), endpoint.address, endpoint.address6),
                Mapping(Published("tcp", "::1", 8082, 7000), endpoint.address, endpoint.address6),
            ]
            ports.lead(two, "proa6").result()
            assert "8082" not in nft("list", "table", "inet", "proa")
            for port in (8080, 8081):
                with echo(endpoint.netns_fd) as seen:
                    assert inside(world, lambda: connect("2001:db8::1", port))  # noqa: B023
                    assert seen.result() == "2001:db8::2"
                with echo(endpoint.netns_fd) as seen:
                    assert connect("2001:db8::1", port)
                    assert seen.result() == "2001:db8::1"
                with echo(endpoint.netns_fd) as seen:  # its own port, around the host
                    assert inside(endpoint.netns_fd, lambda: connect("2001:db8::1", port))  # noqa: B023
                    assert seen.result() == "fd00:18::1"
            with echo(endpoint.netns_fd):
                assert connect("fd00:18::1", 8080)
                assert not connect("fd00:18::1", 8081)
            # Not by its own address from outside, which Docker 28 forbids as well.
            inside(world, lambda: route6("fd00:18::", "2001:db8::1"))
            with echo(endpoint.netns_fd):
                assert not inside(world, lambda: connect(endpoint.address6, timeout=0.5))
                assert connect("2001:db8::1", 8080)
            ports.withdraw(two).result()
            assert "7000" not in nft("list", "table", "inet", "proa")


def connects(endpoint: Endpoint, address: str) -> bool:
    """Whether the way to a host is open: whoever refuses a connection is there."""

    def attempt() -> bool:
        with socket.socket(socket.AF_INET6) as client:
            client.settimeout(0.2)
            return client.connect_ex((address, 9)) == errno.ECONNREFUSED

    return inside(endpoint.netns_fd, attempt)


def route6(network: str, gateway: str) -> None:
    with Socket() as route:
        link = rtnetlink.link(route, "eth0")
        assert link is not None
        packed = [socket.inet_pton(socket.AF_INET6, each) for each in (gateway, network)]
        route.execute(rtnetlink.add_route(link.index, gateway=packed[0], destination=packed[1], prefix_length=64))
