"""Links, addresses and routes, on the kernel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from proa.linux import netlink, rtnetlink
from proa.linux.netlink import Socket
from rig.private_network import inside, new_namespace, private_network

MAC, PEER_MAC = bytes.fromhex("02aabbccdd01"), bytes.fromhex("02aabbccdd02")
pytestmark = pytest.mark.usefixtures("root")


@private_network
def test_a_bridge_has_what_was_asked() -> None:
    with Socket() as route:
        route.execute(rtnetlink.add_bridge("b0", mac=MAC, mtu=1400), rtnetlink.set_link(0, "b0", alias="x y"))
        link = rtnetlink.link(route, "b0")
        assert link is not None
        assert (link.name, link.kind, link.mac, link.mtu, link.up) == ("b0", "bridge", MAC, 1400, False)
        assert (link.alias, link.master) == ("x y", 0)
        assert [found.name for found in rtnetlink.links(route)] == ["lo", "b0"]
        by_index = rtnetlink.link(route, index=link.index)
        assert by_index is not None and by_index.name == "b0"


@private_network
def test_a_veth_reaches_into_another_namespace() -> None:
    namespace = new_namespace()
    with Socket() as route:
        route.execute(rtnetlink.add_bridge("b0", mac=MAC))
        bridge = rtnetlink.link(route, "b0")
        assert bridge is not None
        route.execute(
            rtnetlink.add_veth(
                "v0", "eth0", mac=MAC, peer_mac=PEER_MAC, mtu=1300, master=bridge.index, peer_netns=namespace
            ),
            rtnetlink.set_link(0, "v0", up=True, link_local=not rtnetlink.has_ipv6()),
        )  # fmt: skip
        port = rtnetlink.link(route, "v0")
        assert port is not None
        assert (port.kind, port.master, port.up, port.mtu) == ("veth", bridge.index, True, 1300)

    def peer() -> rtnetlink.Link | None:
        with Socket() as there:
            there.execute(rtnetlink.set_link(2, "eth0", rename="net0", mtu=1200))
            return rtnetlink.link(there, "net0")

    found = inside(namespace, peer)
    assert found is not None
    assert (found.index, found.mac, found.mtu) == (2, PEER_MAC, 1200)


@private_network
def test_addresses_and_routes() -> None:
    with Socket() as route:
        route.execute(rtnetlink.add_bridge("b0", mac=MAC))
        link = rtnetlink.link(route, "b0")
        assert link is not None
        route.execute(
            rtnetlink.add_address(link.index, bytes([10, 1, 2, 3]), 24),
            rtnetlink.set_link(link.index, "b0", up=True),
            rtnetlink.add_route(link.index, gateway=bytes([10, 1, 2, 1])),
            rtnetlink.add_route(link.index, destination=bytes([192, 168, 7, 0]), prefix_length=24),
        )
        addresses = [(a.address, a.prefix_length) for a in rtnetlink.addresses(route) if a.index == link.index]
        assert addresses == [(bytes([10, 1, 2, 3]), 24)]
        main = {
            (found.destination, found.prefix_length, found.gateway)
            for found in rtnetlink.routes(route)
            if found.table == rtnetlink.RT_TABLE_MAIN and found.index == link.index
        }
        assert main == {
            (b"", 0, bytes([10, 1, 2, 1])),
            (bytes([10, 1, 2, 0]), 24, b""),
            (bytes([192, 168, 7, 0]), 24, b""),
        }
        route.execute(rtnetlink.delete_address(link.index, bytes([10, 1, 2, 3]), 24))
        assert not [a for a in rtnetlink.addresses(route) if a.index == link.index]


@private_network
def test_an_ipv6_address() -> None:
    with Socket() as route:
        address = socket.inet_pton(socket.AF_INET6, "fd00::5")
        route.execute(rtnetlink.add_address(1, address, 64))
        found = [(a.address, a.prefix_length) for a in rtnetlink.addresses(route, socket.AF_INET6)]
        assert (address, 64) in found


@private_network
def test_failures_name_operation_and_the_rest_is_done() -> None:
    with Socket() as route:
        with pytest.raises(FileExistsError) as caught:
            route.execute(
                rtnetlink.add_bridge("b0", mac=MAC),
                rtnetlink.add_bridge("b0", mac=MAC),
                rtnetlink.add_bridge("b1", mac=PEER_MAC),
            )
        assert caught.value.filename == "add bridge b0"
        assert [link.name for link in rtnetlink.links(route)] == ["lo", "b0", "b1"]
        with pytest.raises(OSError, match=r"add address 10\.0\.0\.1/8"):
            route.execute(rtnetlink.add_address(4711, bytes([10, 0, 0, 1]), 8))
        assert rtnetlink.link(route, "nothing") is None


@private_network
def test_the_kernel_explains_errors() -> None:
    with Socket() as route, pytest.raises(OSError, match="policy validation"):
        route.execute(rtnetlink.add_bridge("b" * 40, mac=MAC))


@private_network
def test_a_dump_of_many_links_is_whole() -> None:
    with Socket() as route:
        for first in range(0, 200, 50):
            route.execute(
                *(rtnetlink.add_bridge(f"b{n}", mac=bytes([2, 0, 0, 0, 0, n])) for n in range(first, first + 50))
            )
        assert {link.name for link in rtnetlink.links(route)} == {"lo", *(f"b{n}" for n in range(200))}


@private_network
def test_deleting() -> None:
    with Socket() as route:
        route.execute(rtnetlink.add_bridge("b0", mac=MAC), rtnetlink.delete_link(0, "b0"))
        assert [link.name for link in rtnetlink.links(route)] == ["lo"]


def test_attributes_survive_nesting_and_padding() -> None:
    data = netlink.nested(5, netlink.text(1, "abc"), netlink.u32(2, 7)) + netlink.attribute(6, b"12345")
    outer = netlink.attributes(data)
    assert outer[6] == b"12345"
    inner = netlink.attributes(outer[5])
    assert netlink.decode_text(inner[1]) == "abc"
    assert int.from_bytes(inner[2], sys.byteorder) == 7


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x00\x00\x00\x00", b"\x03\x00\x01\x00", b"\xff\xff\x01\x00a"])
def test_malformed_attributes_end_the_list(data: bytes) -> None:
    assert len(netlink.attributes(data)) <= 1


def test_it_is_lean() -> None:
    """Containers' first processes import it: nothing heavy may come with it."""
    script = (
        "import sys; before = set(sys.modules); import proa.linux.rtnetlink;"
        "print(*sorted(m for m in set(sys.modules) - before if m.split('.')[0] in "
        "('typing', 're', 'json', 'dataclasses', 'asyncio', 'subprocess', 'pathlib', 'ctypes', 'logging')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert found.stdout.strip() == ""
