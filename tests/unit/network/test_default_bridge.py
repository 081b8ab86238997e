"""The default bridge on the kernel: set up, given out, taken back, adopted, torn down."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from proa.errors import Conflict, Forbidden, InvalidArgument, ProaError, Unavailable
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.linux.nftables import Nftables
from proa.network import forwarding
from proa.network.default_bridge import DefaultBridge, names
from rig.needs import need
from rig.private_network import inside, neighbour, nft, private_network, wait_until

MakeBridge = Callable[..., DefaultBridge]
MAC = "02:11:22:33:44:55"


@dataclass
class Record:
    address: str
    interface: str
    mac_address: str
    address6: str = ""


def links() -> dict[str, rtnetlink.Link]:
    with Socket() as route:
        return {link.name: link for link in rtnetlink.links(route)}


def eth0() -> rtnetlink.Link:
    return links()["eth0"]


def tables() -> list[str]:
    with Nftables() as nftables:
        return nftables.tables()


def nothing_left() -> bool:
    return set(links()) == {"lo"} and not tables() and not forwarding.is_enabled()


@private_network
def test_setup_and_teardown(make_bridge: MakeBridge, tmp_path: Path) -> None:
    bridge = make_bridge()
    bridge.setup()
    assert str(bridge.gateway) == "172.17.0.1/16"
    link = links()["proa0"]
    assert (link.kind, link.up, link.mtu) == ("bridge", True, 1500)
    assert forwarding.is_enabled()
    assert tables() == ["proa"]
    wait_until(lambda: bridge.ready == 12)
    assert links()["proa0"].mac == link.mac  # ports do not change it
    bridge.teardown()
    assert nothing_left()
    assert list(tmp_path.iterdir()) == []


@private_network
def test_an_endpoint_has_what_it_says(make_bridge: MakeBridge) -> None:
    bridge = make_bridge(mtu=1400)
    bridge.setup()
    endpoint = bridge.acquire()
    assert (endpoint.address, endpoint.prefix_length, endpoint.gateway) == ("172.17.0.2", 16, "172.17.0.1")
    host = links()[endpoint.interface]
    assert (host.index, host.master, host.mtu) == (endpoint.index, links()["proa0"].index, 1400)

    def look() -> tuple[str, int, bool, list[bytes], list[bytes]]:
        with Socket() as route:
            link = eth0()
            return (
                link.mac.hex(":"),
                link.mtu,
                links()["lo"].up,
                [found.address for found in rtnetlink.addresses(route)],
                [found.gateway for found in rtnetlink.routes(route) if not found.prefix_length],
            )

    mac, mtu, loopback, addresses, gateways = inside(endpoint.netns_fd, look)
    assert mac == endpoint.mac_address == "02:42:ac:11:00:02"
    assert (mtu, loopback) == (1400, True)
    assert addresses == [bytes([127, 0, 0, 1]), bytes([172, 17, 0, 2])]
    assert gateways == [bytes([172, 17, 0, 1])]
    disabled = inside(
        endpoint.netns_fd, lambda: Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").read_text().strip()
    )
    assert disabled == "1"
    bridge.release(endpoint)


@private_network
def test_addresses_come_back_when_the_container_is_gone(make_bridge: MakeBridge) -> None:
    bridge = make_bridge()
    bridge.setup()
    wait_until(lambda: bridge.ready == 12)
    first, second = bridge.acquire(), bridge.acquire()
    assert [first.address, second.address] == ["172.17.0.2", "172.17.0.3"]
    # Something still lives in its namespace: the address is not free whatever the engine says.
    process = os.dup(first.netns_fd)
    bridge.release(first)
    bridge.release(first)
    bridge.release(second.address)
    second.close()
    wait_until(lambda: second.interface not in links())
    others = [bridge.acquire().address for _ in range(12)]
    wait_until(lambda: bridge.ready == 12)
    others += [bridge.acquire().address for _ in range(12)]
    assert second.address in others and first.address not in others
    assert len(set(others)) == 24
    os.close(process)
    wait_until(lambda: first.interface not in links())
    others = [bridge.acquire().address for _ in range(12)]
    wait_until(lambda: bridge.ready == 12)
    others += [bridge.acquire().address for _ in range(12)]
    assert first.address in others


@private_network
def test_two_hundred_at_once(make_bridge: MakeBridge) -> None:
    bridge = make_bridge()
    bridge.setup()
    endpoints = [bridge.acquire() for _ in range(200)]
    assert len({endpoint.address for endpoint in endpoints}) == 200
    assert len({endpoint.mac_address for endpoint in endpoints}) == 200
    assert all(endpoint.interface in links() for endpoint in endpoints[::20])
    for endpoint in endpoints:
        bridge.release(endpoint)
    bridge.teardown()
    assert nothing_left()


@private_network
def test_a_requested_mac_address(make_bridge: MakeBridge) -> None:
    bridge = make_bridge()
    bridge.setup()
    wait_until(lambda: bridge.ready == 12)
    for endpoint in (bridge.acquire(MAC), bridge.request(MAC).result()):
        assert endpoint.mac_address == MAC
        assert inside(endpoint.netns_fd, eth0).mac == bytes.fromhex("021122334455")
        bridge.release(endpoint)
    with pytest.raises(InvalidArgument, match="address x: invalid MAC address"):
        bridge.acquire("x")


@private_network
def test_a_small_subnet_runs_dry_and_recovers(make_bridge: MakeBridge) -> None:
    bridge = make_bridge(bip="10.1.1.1/29", network_id="f00d")
    bridge.setup()
    endpoints = [bridge.acquire() for _ in range(5)]
    with pytest.raises(Conflict) as caught:
        bridge.acquire()
    assert caught.value.message == "no available IPv4 addresses on this network's address pools: bridge (f00d)"
    bridge.release(endpoints[2])
    # It waits for the kernel to be done with the old one.
    assert bridge.acquire().address == endpoints[2].address


@private_network
def test_the_next_engine_adopts_what_runs(make_bridge: MakeBridge) -> None:
    first = make_bridge()
    first.setup()
    running, orphan = first.acquire(), first.acquire()
    first.close()
    wait_until(lambda: len(links()) == 4)  # lo, the bridge and these two
    before = links()["proa0"]
    record = Record(running.address, running.interface, running.mac_address)
    gone = Record("172.17.0.4", "vethp00000000", "02:42:ac:11:00:04")
    second = make_bridge()
    second.setup([record, gone])
    after = links()
    assert (after["proa0"].index, after["proa0"].mac) == (before.index, before.mac)
    assert running.interface in after and orphan.interface not in after
    wait_until(lambda: second.ready == 12)
    taken = [second.acquire().address for _ in range(12)]
    assert taken[:3] == ["172.17.0.3", "172.17.0.5", "172.17.0.6"]
    second.release(gone.address)
    running.close()
    second.release(running.address)
    wait_until(lambda: running.interface not in links())
    wait_until(lambda: second.ready == 12)
    assert {"172.17.0.2", "172.17.0.4"} <= {second.acquire().address for _ in range(12)}
    orphan.close()


@private_network
def test_engines_side_by_side(make_bridge: MakeBridge) -> None:
    first, second = make_bridge(), make_bridge("proa-1a2b3c4d", table="proa-1a2b3c4d")
    first.setup()
    second.setup()
    assert [str(first.gateway), str(second.gateway)] == ["172.17.0.1/16", "172.18.0.1/16"]
    assert sorted(tables()) == ["proa", "proa-1a2b3c4d"]
    first.teardown()
    # The second still needs forwarding, which the first had switched on.
    assert (tables(), forwarding.is_enabled()) == (["proa-1a2b3c4d"], True)
    second.teardown()
    assert set(links()) == {"lo"} and not tables()


def test_names_differ_by_data_root() -> None:
    assert names(Path("/var/lib/proa")) == ("proa0", "proa")
    one, two = names(Path("/tmp/a")), names(Path("/tmp/b"))
    assert one != two and one == names(Path("/tmp/a"))
    assert all(len(name) <= 15 for name in (*one, *two))  # IFNAMSIZ


@private_network
def test_the_host_s_forwarding_is_left_as_it_was(make_bridge: MakeBridge) -> None:
    forwarding.enable()
    bridge = make_bridge()
    bridge.setup()
    bridge.teardown()
    assert forwarding.is_enabled()


@private_network
def test_a_bridge_of_others_is_used_and_kept(make_bridge: MakeBridge) -> None:
    with Socket() as route:
        route.execute(rtnetlink.add_bridge("br0", mac=bytes.fromhex("020000000001")))
        link = rtnetlink.link(route, "br0")
        assert link is not None
        route.execute(
            rtnetlink.add_address(link.index, bytes([10, 2, 0, 1]), 24),
            rtnetlink.add_address(link.index, bytes([10, 3, 0, 1]), 24),
            rtnetlink.set_link(link.index, "br0", mtu=1450),
        )
        bridge = make_bridge("br0")
        bridge.setup()
        assert str(bridge.gateway) == "10.2.0.1/24"
        endpoint = bridge.acquire()
        assert (endpoint.address, inside(endpoint.netns_fd, eth0).mtu) == ("10.2.0.2", 1450)
        bridge.teardown()
        kept = rtnetlink.link(route, "br0")
        assert kept is not None and kept.mtu == 1450
        assert len(rtnetlink.addresses(route)) == 3  # with the loopback's


@private_network
def test_the_subnet_is_remembered_when_the_bridge_is_gone(make_bridge: MakeBridge) -> None:
    neighbour("eth0", "172.17.0.9/24", "172.17.0.8/24")
    bridge = make_bridge()
    bridge.setup()
    assert bridge.gateway.network == IPv4Network("172.18.0.0/16")
    bridge.close()
    with Socket() as route:
        route.execute(rtnetlink.delete_link(0, "proa0"), rtnetlink.delete_link(0, "eth0"))
    again = make_bridge()
    again.setup()
    assert again.gateway.network == IPv4Network("172.18.0.0/16")


@private_network
def test_the_mtu_is_the_uplinks(make_bridge: MakeBridge) -> None:
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24", mtu=1380, default=True)
    bridge = make_bridge()
    bridge.setup()
    endpoint = bridge.acquire()
    assert (bridge.mtu, links()["proa0"].mtu, inside(endpoint.netns_fd, eth0).mtu) == (1380, 1380, 1380)


@private_network
def test_what_can_not_be_set_up(make_bridge: MakeBridge) -> None:
    neighbour("eth0", "192.0.2.2/24", "192.0.2.1/24")
    with pytest.raises(Forbidden) as caught:
        make_bridge(bip="192.0.2.9/16").setup()
    assert caught.value.message == (
        "invalid pool request: Pool overlaps with other one on this address space: "
        "192.0.0.0/16 and 192.0.2.0/24 (eth0)"
    )
    with pytest.raises(Conflict, match="interface eth0 exists and is not a bridge"):
        make_bridge("eth0").setup()
    with pytest.raises(ProaError, match="look up link a-name-that-is-too-long"):
        make_bridge("a-name-that-is-too-long").setup()
    with pytest.raises(Unavailable, match="network bridge is not set up"):
        make_bridge().acquire()
    assert tables() == []


@private_network
def test_a_damaged_state_file_is_named(make_bridge: MakeBridge, tmp_path: Path) -> None:
    (tmp_path / "proa0.json").write_text("{")
    with pytest.raises(ProaError, match=r"proa0\.json is damaged"):
        make_bridge().setup()


@private_network
def test_no_endpoint_without_the_bridge(make_bridge: MakeBridge) -> None:
    bridge = make_bridge(pool_size=0)
    bridge.setup()
    with Socket() as route:
        route.execute(rtnetlink.delete_link(0, "proa0"))
    with pytest.raises(ProaError, match="add veth"):
        bridge.acquire()
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(ProaError):
            bridge.acquire()
    assert len(os.listdir("/proc/self/fd")) == open_before


@private_network
def test_others_who_drop_forwarded_packets_are_named(make_bridge: MakeBridge) -> None:
    need(shutil.which("nft"), "nft")
    for table, chain in (("ip filter", "FORWARD"), ("inet fw", "through")):
        base = "{ type filter hook forward priority 0; policy drop; }"
        nft(f"add table {table}; add chain {table} {chain} {base}")
    bridge = make_bridge()
    bridge.setup()
    iptables, other = sorted(bridge.warnings, key=len, reverse=True)
    assert "chain ip filter FORWARD" in iptables and "iptables -I FORWARD -i proa0 -j ACCEPT" in iptables
    assert "chain inet fw through" in other
    nft("add chain ip filter DOCKER-USER")
    assert any("iptables -I DOCKER-USER -i proa0" in line for line in forwarding.obstacles("proa0"))


@private_network
def test_taking_is_instant(make_bridge: MakeBridge) -> None:
    bridge = make_bridge()
    bridge.setup()
    times = []
    for _ in range(10):
        wait_until(lambda: bridge.ready == 12)
        start = time.perf_counter()
        endpoint = bridge.take()
        times.append(time.perf_counter() - start)
        assert endpoint is not None
        bridge.release(endpoint)
    assert sorted(times)[5] < 0.001  # a tenth of that on a quiet machine
