"""Networks beside the default one: isolation, both families, orders, pools on demand, macvlan."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from proa.errors import Forbidden, ProaError, Unsupported
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network import bridge as kernel
from proa.network import forwarding
from proa.network import pool as pool_module
from proa.network.addresses import parse_mac
from proa.network.bridge_network import BridgeNetwork, Range
from proa.network.default_route import Way, lead, mend
from proa.network.endpoint import Endpoint, Order
from proa.network.firewall import Rules
from proa.network.leases import Pair
from proa.network.parent_network import Kind, ParentNetwork
from proa.network.site import Site
from proa.network.visit import visit
from rig.private_network import connect, echo, inside, neighbour, new_namespace, ping, private_network, wait_until

Make = Callable[..., BridgeNetwork]


def links() -> dict[str, rtnetlink.Link]:
    with Socket() as route:
        return {link.name: link for link in rtnetlink.links(route)}


def defaults(family: int = socket.AF_INET) -> list[bytes]:
    with Socket() as route:
        return [
            found.gateway
            for found in rtnetlink.routes(route, family)
            if not found.prefix_length and found.table == rtnetlink.RT_TABLE_MAIN and found.index
        ]


@pytest.fixture
def site(root: None, tmp_path: Path) -> Site:
    return Site("proa", tmp_path / "site.json")


@pytest.fixture
def make(site: Site) -> Iterator[Make]:
    """Make and set up networks "br0", "br1"…; what they gave out ends with the test."""
    made: list[BridgeNetwork] = []

    def build(
        v4: str = "", v6: str = "", *, internal: bool = False, isolated: bool = False, **options: Any
    ) -> BridgeNetwork:
        rules = Rules(f"br{len(made)}", internal=internal, isolated=isolated)
        if not made:
            site.setup([])
        network = BridgeNetwork(
            site,
            rules,
            v4=Range(ip_interface(v4), within=options.pop("within", None)) if v4 else None,
            v6=Range(ip_interface(v6)) if v6 else None,
            mtu=1500,
            name=rules.bridge,
            identifier="f00d",
            owner="test",
            on_demand=True,
            pool_size=3,
            **options,
        )
        network.setup()
        made.append(network)
        return network

    yield build
    for network in made:
        network.close()


def order(network: BridgeNetwork | ParentNetwork, wish: Order | None = None) -> Endpoint:
    """An endpoint whose namespace the test closes, at the latest when it ends."""
    return network.order(wish or Order()).result(5)


@private_network
def test_networks_are_apart(make: Make) -> None:
    one, two = make("10.1.0.1/24"), make("10.2.0.1/24")
    first, second, stranger = order(one), order(one), order(two)
    wait_until(lambda: inside(first.netns_fd, lambda: ping(second.address, 0.2)))
    assert not inside(stranger.netns_fd, lambda: ping(first.address, 0.3))
    assert not inside(first.netns_fd, lambda: ping(stranger.address, 0.3))
    assert inside(stranger.netns_fd, lambda: ping("10.2.0.1"))
    for endpoint in (first, second, stranger):
        endpoint.close()


@private_network
def test_internal_and_isolated(make: Make) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", default=True)
    internal, isolated = make("10.1.0.1/24", internal=True), make("10.2.0.1/24", isolated=True)
    first, second = order(internal), order(internal)
    wait_until(lambda: inside(first.netns_fd, lambda: ping(second.address, 0.2)))
    assert inside(first.netns_fd, defaults) == [] and first.gateway == ""
    third, fourth = order(isolated), order(isolated)
    wait_until(lambda: inside(third.netns_fd, lambda: ping("10.2.0.1", 0.2)))
    assert not inside(third.netns_fd, lambda: ping(fourth.address, 0.3))
    with echo(world) as seen:
        assert inside(third.netns_fd, lambda: connect("192.0.2.1"))
        assert seen.result() == "192.0.2.2"
    for endpoint in (first, second, third, fourth):
        endpoint.close()


@private_network
def test_both_families(make: Make) -> None:
    assert not forwarding.is_enabled_ipv6()
    network = make("10.1.0.1/24", "fd00:1::1/64")
    assert forwarding.is_enabled_ipv6()
    first, second = order(network), order(network)
    assert (first.address6, first.prefix_length6, first.gateway6) == ("fd00:1::2", 64, "fd00:1::1")
    gateway = socket.inet_pton(socket.AF_INET6, "fd00:1::1")
    assert inside(first.netns_fd, lambda: defaults(socket.AF_INET6)) == [gateway]

    def reach() -> bool:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as client:
            client.settimeout(1)
            return client.connect_ex((second.address6, 7)) == 111  # refused: so the host answers

    wait_until(lambda: inside(first.netns_fd, reach))
    six = make("", "fd00:2::1/64")
    only = order(six)
    assert (only.address, only.address6, only.mac_address) == ("", "fd00:2::2", "02:42:00:00:00:02")
    for endpoint in (first, second, only):
        endpoint.close()


@private_network
def test_orders(make: Make) -> None:
    network = make("10.1.0.1/24", within=IPv4Network("10.1.0.128/25"))
    fixed = order(network, Order(addresses=Pair.parse("10.1.0.9"), mac=parse_mac("02:00:00:00:00:09")))
    assert (fixed.address, fixed.mac_address) == ("10.1.0.9", "02:00:00:00:00:09")
    with pytest.raises(Forbidden, match="Address already in use"):
        order(network, Order(addresses=Pair.parse("10.1.0.9")))
    network.release(fixed.pair)
    fixed.close()
    again = order(network, Order(addresses=Pair.parse("10.1.0.9")))  # as soon as the kernel is done with the other
    assert again.address == "10.1.0.9"
    namespace = new_namespace()
    there = order(
        network,
        Order(namespace=namespace, device="foo0", sysctls=(("net/ipv4/conf/foo0/log_martians", "1"),)),
    )
    assert (there.netns_fd, there.device) == (-1, "foo0")
    assert ip_address(there.address) in IPv4Network("10.1.0.128/25")
    assert "foo0" in inside(namespace, links)
    path = Path("/proc/sys/net/ipv4/conf/foo0/log_martians")
    assert inside(namespace, path.read_text) == "1\n"
    network.unplug(there.interface, there.device, namespace, there.pair).result(5)
    assert "foo0" not in inside(namespace, links) and there.interface not in links()
    with pytest.raises(ProaError):
        order(network, Order(namespace=namespace, device="a/b"))
    network.close()
    wait_until(lambda: [name for name in links() if name.startswith("vethp")] == [again.interface])
    again.close()


@private_network
def test_a_pool_on_demand_begins_and_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_LINGER", 2.0)
    network = make("10.1.0.1/24")
    assert network.take() is None and network.ready == 0
    first = order(network)
    wait_until(lambda: network.ready == 3)
    second = network.take()
    assert second is not None
    wait_until(lambda: network.ready == 0)
    wait_until(lambda: len([name for name in links() if name.startswith("vethp")]) == 2)
    third = order(network)
    assert len({first.address, second.address, third.address}) == 3
    for endpoint in (first, second, third):
        endpoint.close()


@private_network
def test_ready_endpoints_make_room(make: Make) -> None:
    """In a small subnet those nobody has taken do not keep addresses from those who want them."""
    network = make("10.1.0.1/29")
    first = order(network)
    wait_until(lambda: network.ready == 3)
    others = [order(network, Order(device=f"other{number}")) for number in range(4)]
    fixed = {endpoint.address for endpoint in (first, *others)}
    assert fixed == {f"10.1.0.{last}" for last in range(2, 7)}
    for endpoint in (first, *others):
        endpoint.close()


@private_network
def test_strangers_are_swept(make: Make) -> None:
    make("10.1.0.1/24")
    with Socket() as route:
        gone = kernel.Bridge(route, "br-gone", "test")
        gone.ensure([ip_interface("10.9.0.1/24")], 1500)
        others = kernel.Bridge(route, "br-others", "another")
        others.ensure([ip_interface("10.8.0.1/24")], 1500)
    for parent in ("eth0.10", "eth0.20"):
        made_parent(parent)
    kernel.sweep("test", ["br0", "eth0.20"])
    assert {"br0", "br-others", "eth0.20"} <= set(links()) and not {"br-gone", "eth0.10"} & set(links())


def made_parent(name: str) -> None:
    """An interface as an engine makes it for networks of macvlan and ipvlan; of a kind that every kernel has."""
    mac, peer_mac = (bytes([2, *os.urandom(5)]) for _ in range(2))
    with Socket() as route:
        route.execute(
            rtnetlink.add_veth(name, "eth0", mac=mac, peer_mac=peer_mac, mtu=1500, peer_netns=new_namespace()),
            rtnetlink.set_link(0, name, up=True, alias=kernel.mark("test")),
        )


@private_network
def test_a_parent_goes_with_the_last_network_on_it(root: None) -> None:
    made_parent("eth0.10")
    users = [0, 1]

    def network(number: int) -> ParentNetwork:
        kind = Kind("macvlan", rtnetlink.macvlan_data("bridge"))
        shared = lambda: any(other != number for other in users)  # noqa: E731
        return ParentNetwork(kind, "eth0.10", spare=False, v4=None, mtu=0, name="lan", owner="test", shared=shared)

    first, second = network(0), network(1)
    first.setup(), second.setup()
    first.teardown()
    assert "eth0.10" in links()
    users.remove(0)
    second.teardown()
    assert "eth0.10" not in links()


@private_network
def test_default_routes_are_led(make: Make) -> None:
    one, two = make("10.1.0.1/24"), make("10.2.0.1/24")
    first = order(one)
    namespace = first.netns_fd
    order(two, Order(namespace=namespace, device="eth1", routed=False))
    assert inside(namespace, defaults) == [bytes([10, 1, 0, 1])]
    visit(namespace, lambda: lead(Way("eth1", "10.2.0.1"), None)).result(5)
    assert inside(namespace, defaults) == [bytes([10, 2, 0, 1])]
    visit(namespace, lambda: mend(Way("eth0", "10.1.0.1"), Way())).result(5)
    assert inside(namespace, defaults) == [bytes([10, 2, 0, 1])]  # there is one
    visit(namespace, lambda: lead(Way(), Way())).result(5)
    assert inside(namespace, defaults) == []
    visit(namespace, lambda: mend(Way("eth0", "10.1.0.1"), Way())).result(5)
    assert inside(namespace, defaults) == [bytes([10, 1, 0, 1])]
    first.close()


@private_network
def test_teardown_leaves_nothing(make: Make, site: Site) -> None:
    network = make("10.1.0.1/24", "fd00:1::1/64")
    endpoint = order(network)
    endpoint.close()
    network.teardown()
    site.teardown()
    assert set(links()) == {"lo"}
    assert not forwarding.is_enabled() and not forwarding.is_enabled_ipv6()


@private_network
def test_macvlan(root: None) -> None:
    world = neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24")
    network = ParentNetwork(
        Kind("macvlan", rtnetlink.macvlan_data("bridge")),
        "eth0",
        spare=False,
        v4=Range(ip_interface("192.0.2.1/24"), within=IPv4Network("192.0.2.128/25")),
        mtu=0,
        name="lan",
    )
    network.setup()
    first, second = order(network), order(network)
    assert (first.address, first.interface, first.index) == ("192.0.2.128", "", 0)
    wait_until(lambda: inside(first.netns_fd, lambda: ping(second.address, 0.2)))
    assert inside(first.netns_fd, lambda: ping("192.0.2.1"))  # a neighbour of the host's
    assert inside(world, lambda: ping(first.address))
    namespace = new_namespace()
    third = order(network, Order(namespace=namespace, device="eth7"))
    network.unplug("", "eth7", namespace, third.pair).result(5)
    assert "eth7" not in inside(namespace, links)
    network.teardown()
    assert "eth0" in links()
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("parent", "match"), [("nosuch", "example formatting is eth0.10"), ("x9.5", "find master interface x9")]
)
@private_network
def test_parents_that_are_not_there(root: None, parent: str, match: str) -> None:
    data = rtnetlink.macvlan_data("bridge")
    network = ParentNetwork(Kind("macvlan", data), parent, spare=False, v4=None, mtu=0, name="lan")
    with pytest.raises(ProaError, match=match):
        network.setup()


@private_network
def test_a_kernel_without_a_kind_says_so(root: None) -> None:
    """Where ipvlan is there, an interface is made."""
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24")
    kind = Kind("ipvlan", rtnetlink.ipvlan_data("l2", "bridge"), has_mac=False)
    v4 = Range(ip_interface("192.0.2.1/24"))
    network = ParentNetwork(kind, "eth0", spare=False, v4=v4, mtu=0, name="lan")
    with Socket() as route:
        assert rtnetlink.has_kind(route, "macvlan")
        assert not rtnetlink.has_kind(route, "nothing")
        assert not [link.name for link in rtnetlink.links(route) if "probe" in link.name]
        known = rtnetlink.has_kind(route, "ipvlan")
    if not known:
        with pytest.raises(Unsupported, match="this kernel has no ipvlan interfaces"):
            network.setup()
        return
    network.setup()
    endpoint = order(network)
    assert endpoint.mac_address == ""
    endpoint.close()
    network.close()


@private_network
def test_macvlan_waits_for_an_address_to_be_free(root: None) -> None:
    """A container that starts again has the MAC address of its last run, whose interface may still be there."""
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24")
    network = ParentNetwork(
        Kind("macvlan", rtnetlink.macvlan_data("bridge")),
        "eth0",
        spare=False,
        v4=Range(ip_interface("192.0.2.1/24")),
        mtu=0,
        name="lan",
    )
    network.setup()
    first = order(network)
    network.release(first.pair)
    threading.Timer(0.3, first.close).start()
    again = network.order(Order(addresses=first.pair)).result(10)
    assert again.mac_address == first.mac_address
    network.teardown()
    again.close()
