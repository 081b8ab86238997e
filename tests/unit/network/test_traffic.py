"""Packets between containers, the host and the world, and those the firewall stops."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable

import pytest

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.default_bridge import DefaultBridge
from proa.network.firewall import Firewall, Rules
from rig.needs import need
from rig.private_network import connect, echo, inside, neighbour, nft, ping, private_network, wait_until

MakeBridge = Callable[..., DefaultBridge]
BRIDGE_NF = "/proc/sys/net/bridge/bridge-nf-call-iptables"


def bridge_nf(value: bytes) -> None:
    need(os.path.exists(BRIDGE_NF), "br_netfilter")
    descriptor = os.open(BRIDGE_NF, os.O_WRONLY)
    os.write(descriptor, value)
    os.close(descriptor)


@pytest.mark.parametrize("filtered", [b"0", b"1"], ids=["switched", "switched and filtered"])
@private_network
def test_containers_reach_each_other_and_the_host(make_bridge: MakeBridge, filtered: bytes) -> None:
    bridge_nf(filtered)
    bridge = make_bridge()
    bridge.setup()
    one, two = bridge.acquire(), bridge.acquire()
    wait_until(lambda: inside(one.netns_fd, lambda: ping(two.address, 0.2)))
    with echo(two.netns_fd) as seen:
        assert inside(one.netns_fd, lambda: connect(two.address))
        assert seen.result() == one.address  # not masqueraded
    assert inside(one.netns_fd, lambda: ping("172.17.0.1"))
    assert ping(one.address)
    assert inside(one.netns_fd, lambda: ping("127.0.0.1"))


@private_network
def test_containers_reach_the_world_as_the_host(make_bridge: MakeBridge) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge = make_bridge()
    bridge.setup()
    endpoint = bridge.acquire()
    wait_until(lambda: inside(endpoint.netns_fd, lambda: ping("192.0.2.1", 0.2)))
    with echo(world) as seen:
        assert inside(endpoint.netns_fd, lambda: connect("192.0.2.1"))
        assert seen.result() == "192.0.2.2"


@private_network
def test_the_world_does_not_reach_containers(make_bridge: MakeBridge) -> None:
    """Who shares a wire with the host can route to a container's address; nothing was published there."""
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge = make_bridge()
    bridge.setup()
    endpoint = bridge.acquire()

    def route_to_containers() -> None:
        with Socket() as route:
            link = rtnetlink.link(route, "eth0")
            assert link is not None
            route.execute(
                rtnetlink.add_route(
                    link.index,
                    gateway=socket.inet_aton("192.0.2.2"),
                    destination=socket.inet_aton("172.17.0.0"),
                    prefix_length=16,
                )
            )

    inside(world, route_to_containers)
    wait_until(lambda: inside(endpoint.netns_fd, lambda: ping("192.0.2.1", 0.2)))
    assert not inside(world, lambda: ping(endpoint.address, 0.3))
    with echo(endpoint.netns_fd):
        assert not inside(world, lambda: connect(endpoint.address, timeout=0.3))
        assert connect(endpoint.address)  # the host itself does


@private_network
def test_traffic_of_others_passes_untouched(make_bridge: MakeBridge) -> None:
    left = neighbour("left", "10.1.0.1/24", "10.1.0.2/24")
    right = neighbour("right", "10.2.0.1/24", "10.2.0.2/24", default=True)
    bridge = make_bridge()
    bridge.setup()

    def default_route() -> None:
        with Socket() as route:
            link = rtnetlink.link(route, "eth0")
            assert link is not None
            route.execute(rtnetlink.add_route(link.index, gateway=socket.inet_aton("10.1.0.1")))

    def way_back() -> None:
        with Socket() as route:
            link = rtnetlink.link(route, "eth0")
            assert link is not None
            route.execute(rtnetlink.add_route(link.index, gateway=socket.inet_aton("10.2.0.1")))

    inside(left, default_route)
    inside(right, way_back)
    with echo(right) as seen:
        assert inside(left, lambda: connect("10.2.0.2"))
        assert seen.result() == "10.1.0.2"


@private_network
def test_engines_do_not_reach_each_others_containers(make_bridge: MakeBridge) -> None:
    first, second = make_bridge(), make_bridge("proa-2", table="proa-2")
    first.setup()
    second.setup()
    one, two = first.acquire(), second.acquire()
    wait_until(lambda: ping(one.address, 0.2) and ping(two.address, 0.2))
    assert not inside(one.netns_fd, lambda: ping(two.address, 0.3))


@private_network
def test_connections_survive_the_next_engine(make_bridge: MakeBridge) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    first = make_bridge()
    first.setup()
    endpoint = first.acquire()
    server = inside(world, lambda: socket.create_server(("0.0.0.0", 7000)))
    with server:
        client = inside(endpoint.netns_fd, lambda: socket.create_connection(("192.0.2.1", 7000), 3))
        peer, _ = server.accept()
        with client, peer:
            first.close()
            second = make_bridge()
            second.setup([endpoint])
            client.sendall(b"still there?")
            peer.settimeout(3)
            assert peer.recv(100) == b"still there?"


@private_network
def test_a_requested_mac_address_is_announced(make_bridge: MakeBridge) -> None:
    """Who knew the address by another MAC address reaches it before its cache doubts (5 s), also the next time."""
    bridge = make_bridge(bip="10.5.0.1/30", pool_size=1)
    bridge.setup()
    for mac in ("", "02:00:00:00:00:07", ""):
        endpoint = bridge.acquire(mac)
        assert endpoint.address == "10.5.0.2"
        wait_until(lambda: ping("10.5.0.2", 0.2), seconds=3)
        bridge.release(endpoint)


@private_network
def test_networks_come_and_go_as_elements(make_bridge: MakeBridge) -> None:
    """What user-defined networks are made of: isolated and internal ones beside the default bridge."""
    need(shutil.which("nft"), "nft")
    bridge_nf(b"1")
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge = make_bridge()
    bridge.setup()
    one, two = bridge.acquire(), bridge.acquire()
    wait_until(lambda: inside(one.netns_fd, lambda: ping(two.address, 0.2)))
    firewall = Firewall("proa")
    try:
        firewall.reset([Rules("proa0", isolated=True)])
        assert not inside(one.netns_fd, lambda: ping(two.address, 0.3))
        assert inside(one.netns_fd, lambda: ping("192.0.2.1"))
        firewall.reset([Rules("proa0", internal=True)])
        assert inside(one.netns_fd, lambda: ping(two.address))
        assert not inside(one.netns_fd, lambda: ping("192.0.2.1", 0.3))
        firewall.add(Rules("other0"))
        listing = " ".join(nft("list", "table", "inet", "proa").split())
        assert '"other0" . "other0"' in listing
        firewall.remove(Rules("other0"))
        assert "other0" not in nft("list", "table", "inet", "proa")
        assert firewall.exists()
    finally:
        firewall.close()


@private_network
def test_the_advice_against_a_drop_policy_helps(make_bridge: MakeBridge) -> None:
    """As beside Docker or ufw: nothing of ours can overrule another table, but its owner can follow our words."""
    need(shutil.which("iptables"), "iptables")
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    bridge_nf(b"1")
    subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
    bridge = make_bridge()
    bridge.setup()
    one, two = bridge.acquire(), bridge.acquire()
    wait_until(lambda: ping(one.address, 0.2) and ping(two.address, 0.2))
    assert not inside(one.netns_fd, lambda: ping("192.0.2.1", 0.3))
    (warning,) = bridge.warnings
    for command in warning.partition("to let them pass: ")[2].split("; "):
        subprocess.run(command.split(), check=True)
    assert inside(one.netns_fd, lambda: ping("192.0.2.1"))
    assert inside(one.netns_fd, lambda: ping(two.address))
