"""Choosing the bridge's subnet, and refusing addresses in Docker's words."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from proa.errors import Conflict, InvalidArgument, ProaError
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.subnets import DEFAULT_POOLS, Neighbourhood, Use, parse_bridge_address
from rig.private_network import neighbour, private_network


@pytest.mark.parametrize(
    ("bip", "error", "message"),
    [
        ("true", InvalidArgument, "invalid CIDR address: true"),
        ("172.18.0.1", InvalidArgument, "invalid CIDR address: 172.18.0.1"),
        ("172.18.0.1/", InvalidArgument, "invalid CIDR address: 172.18.0.1/"),
        ("172.18.0.1/33", InvalidArgument, "invalid CIDR address: 172.18.0.1/33"),
        ("172.18.0.1/255.255.0.0", InvalidArgument, "invalid CIDR address: 172.18.0.1/255.255.0.0"),
        ("172.18.0.256/16", InvalidArgument, "invalid CIDR address: 172.18.0.256/16"),
        ("172.18.0.1/16 ", InvalidArgument, "invalid CIDR address: 172.18.0.1/16 "),
        ("/16", InvalidArgument, "invalid CIDR address: /16"),
        ("fd00::1/64", InvalidArgument, "invalid bip fd00::1/64: not an IPv4 address"),
        ("10.0.0.0/31", InvalidArgument, "invalid bip 10.0.0.0/31: no room for containers"),
        ("172.17.0.0/16", Conflict, "failed to allocate gateway (172.17.0.0): Address already in use"),
        (
            "10.0.0.255/24",
            Conflict,
            "failed to allocate gateway (10.0.0.255): Address already in use",
        ),
    ],
)
def test_bad_addresses(bip: str, error: type[ProaError], message: str) -> None:
    with pytest.raises(error) as caught:
        parse_bridge_address(bip)
    assert caught.value.message == message


def test_a_good_address() -> None:
    assert parse_bridge_address("192.168.5.5/24") == IPv4Interface("192.168.5.5/24")


def used(*networks: str) -> Neighbourhood:
    return Neighbourhood(Use(IPv4Network(network), "eth0") for network in networks)


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ((), "172.17.0.0/16"),
        (("172.17.5.0/24",), "172.18.0.0/16"),
        (("172.16.0.0/15", "172.18.0.0/16"), "172.19.0.0/16"),
        (("172.16.0.0/12",), "192.168.0.0/20"),
        (("172.16.0.0/12", "192.168.0.0/24"), "192.168.16.0/20"),
    ],
)
def test_the_first_free_subnet(taken: tuple[str, ...], free: str) -> None:
    assert used(*taken).free_subnet(DEFAULT_POOLS) == IPv4Network(free)


def test_the_preferred_subnet_if_free() -> None:
    preferred = IPv4Network("10.7.0.0/16")
    assert used("172.17.0.0/16").free_subnet(DEFAULT_POOLS, preferred) == preferred
    assert used("10.0.0.0/8").free_subnet(DEFAULT_POOLS, preferred) == IPv4Network("172.17.0.0/16")


def test_none_free() -> None:
    with pytest.raises(Conflict, match="could not find an available, non-overlapping IPv4 address pool"):
        used("172.16.0.0/12", "192.168.0.0/16").free_subnet(DEFAULT_POOLS)


@pytest.mark.usefixtures("root")
@private_network
def test_the_host_is_read(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 172.18.0.9\nnameserver fd00::1\nnameserver\nsearch example.org\n")
    neighbour("up0", "172.17.3.1/24", "172.17.3.2/24")
    with Socket() as route:
        # One that is down has an address and no route.
        route.execute(rtnetlink.add_bridge("down0", mac=bytes.fromhex("020000000001")))
        down = rtnetlink.link(route, "down0")
        assert down is not None
        route.execute(rtnetlink.add_address(down.index, bytes([172, 19, 0, 1]), 16))
        found = Neighbourhood.read(route, resolv_conf=resolv_conf)
        assert found.clash(IPv4Network("172.17.0.0/16")) == "172.17.3.0/24 (up0)"
        assert found.clash(IPv4Network("172.18.0.0/16")) == "172.18.0.9/32 (name server)"
        assert found.clash(IPv4Network("172.19.0.0/16")) == "172.19.0.0/16 (down0)"
        assert found.free_subnet(DEFAULT_POOLS) == IPv4Network("172.20.0.0/16")
        without = Neighbourhood.read(route, without="down0", resolv_conf=tmp_path / "none")
        assert without.free_subnet(DEFAULT_POOLS) == IPv4Network("172.18.0.0/16")
