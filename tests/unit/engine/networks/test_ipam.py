"""Addresses of new networks: refused in Docker's words, or chosen where nobody else is."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from proa.engine.networks import ipam, routes
from proa.engine.networks.records import Network, Subnet
from proa.engine.options import EndpointOptions
from proa.engine.records import EndpointRecord
from proa.engine.settings import AddressPool
from proa.errors import Conflict, Forbidden, Internal, InvalidArgument, ProaError
from proa.network.subnets import USER_POOLS, Neighbourhood, Pool, Use


def network(name: str = "mine", *subnets: Subnet, **options: Any) -> Network:
    options.setdefault("driver", "bridge")
    return Network(id=name * 4, name=name, created=1, subnets=list(subnets), **options)


def chosen(
    made: Network, *others: Network, uses: tuple[Use, ...] = (), pools: Any = USER_POOLS
) -> list[tuple[str, str]]:
    ipam.complete(made, others, Neighbourhood(uses), pools, "engine")
    return [(each.subnet, each.gateway) for each in made.subnets]


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        (Subnet(subnet="x"), "invalid subnet x: invalid CIDR block notation"),
        (Subnet(subnet="10.0.0.0"), "invalid subnet 10.0.0.0: invalid CIDR block notation"),
        (Subnet(subnet="10.0.0.1/8"), "invalid subnet 10.0.0.1/8: it should be 10.0.0.0/8"),
        (
            Subnet(subnet="10.0.0.0/8", range="fd00::/8"),
            "invalid ip-range fd00::/8: parent subnet is an IPv4 block",
        ),
        (
            Subnet(subnet="10.0.0.0/8", range="11.0.0.0/9", gateway="x"),
            "* invalid ip-range 11.0.0.0/9: parent subnet 10.0.0.0/8 doesn't contain ip-range\n"
            "* invalid gateway x: invalid address",
        ),
        (
            Subnet(subnet="10.0.0.0/8", gateway="fd00::1"),
            "invalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
    ],
)
def test_bad_subnets(subnet: Subnet, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ipam.check([subnet], ipv6=True)
    assert caught.value.message == f"invalid network config:\n{message}"


def test_other_spellings_are_fine() -> None:
    ipam.check([Subnet(subnet="2001:389::0/64", range="2001:389::0/96")], ipv6=True)
    ipam.check([Subnet(subnet="fd00::1/64")], ipv6=False)  # not used


@pytest.mark.parametrize(
    ("subnet", "gateway"),
    [
        (Subnet(subnet="10.0.0.0/24"), "10.0.0.1"),
        (Subnet(subnet="10.0.0.0/24", range="10.0.0.128/25"), "10.0.0.128"),
        (Subnet(subnet="10.0.0.0/24", gateway="10.0.0.254"), "10.0.0.254"),
        (Subnet(subnet="10.0.0.0/31"), "10.0.0.0"),
        (Subnet(subnet="10.0.0.0/32"), "10.0.0.0"),
    ],
)
def test_gateways(subnet: Subnet, gateway: str) -> None:
    assert chosen(network("mine", subnet)) == [(subnet.subnet, gateway)]


def test_pools_go_round_what_is_used() -> None:
    first = network("first")
    assert chosen(first) == [("172.18.0.0/20", "172.18.0.1")]
    lan = Use(ip_network("172.18.17.0/24"), "eth0", connected=True)
    assert chosen(network("second"), first, uses=(lan,)) == [("172.18.32.0/20", "172.18.32.1")]
    pools = [Pool(ip_network("10.7.0.0/23"), 24)]
    others = [network("a", Subnet(subnet="10.7.0.0/24")), network("b", Subnet(subnet="10.7.1.0/24"))]
    assert chosen(network("c"), others[0], pools=pools) == [("10.7.1.0/24", "10.7.1.1")]
    with pytest.raises(Conflict, match="could not find an available, non-overlapping"):
        chosen(network("c"), *others, pools=pools)


def test_ipv6_subnets_are_the_engines_own() -> None:
    (v4, _), (v6, gateway) = chosen(network(enable_ipv6=True))
    assert v4 == "172.18.0.0/20" and ip_network(v6).prefixlen == 64 and gateway.endswith("::1")
    assert ip_network(v6).subnet_of(ipam.local_pool("engine").base)  # type: ignore[arg-type]
    assert ipam.local_pool("engine") != ipam.local_pool("another")
    assert len(chosen(network("six", enable_ipv6=True, enable_ipv4=False))) == 1


def test_overlaps_are_named() -> None:
    lan = Use(ip_network("192.168.1.0/24"), "eth0", connected=True)
    far = Use(ip_network("10.0.0.0/8"), "vpn0")
    wide = network("mine", Subnet(subnet="192.168.0.0/16"))
    with pytest.raises(Forbidden, match=r"Pool overlaps .* 192.168.0.0/16 and 192.168.1.0/24 \(eth0\)"):
        chosen(wide, uses=(lan, far))
    # What is reached through a gateway may be nearer here; on a parent the host's own subnet is meant.
    assert chosen(network("mine", Subnet(subnet="10.1.0.0/16")), uses=(lan, far))
    assert chosen(network("lan", Subnet(subnet="192.168.1.0/24"), driver="macvlan"), uses=(lan, far))
    with pytest.raises(Forbidden, match="network other"):
        chosen(
            network("lan", Subnet(subnet="10.1.0.0/24"), driver="macvlan"),
            network("other", Subnet(subnet="10.0.0.0/8")),
        )


@pytest.mark.parametrize(
    ("subnets", "error", "message"),
    [
        (
            [Subnet(subnet="10.0.0.0/24"), Subnet(subnet="10.0.1.0/24")],
            Forbidden,
            "doesn't support multiple subnets",
        ),
        (
            [Subnet(subnet="10.0.0.0/24", gateway="10.0.0.0")],
            Internal,
            r"gateway \(10.0.0.0\): Address already in use",
        ),
        (
            [Subnet(subnet="10.0.0.0/24", auxiliary={"a": "10.0.0.1"})],
            Forbidden,
            r"\(a:10.0.0.1\): Address already in",
        ),
    ],
)
def test_what_can_not_be(subnets: list[Subnet], error: type[ProaError], message: str) -> None:
    with pytest.raises(error, match=message):
        chosen(network("mine", *subnets))


@pytest.mark.parametrize("size", [7, 33])
def test_bad_pools(size: int) -> None:
    with pytest.raises(ValueError, match="invalid CIDR prefix"):
        AddressPool(base="10.0.0.0/8", size=size)


def place(name: str, priority: int = 0, **options: Any) -> tuple[EndpointRecord, Network]:
    wishes = EndpointOptions(gateway_priority=priority)
    return EndpointRecord(network=name, wishes=wishes), network(name, **options)


def test_where_default_routes_lead() -> None:
    assert routes.choose([]) == ("", "")
    assert routes.choose([place("b"), place("a")]) == ("a", "")
    assert routes.choose([place("b", 1), place("a")]) == ("b", "")
    assert routes.choose([place("a", internal=True), place("b")]) == ("b", "")
    assert routes.choose([place("a"), place("b", enable_ipv6=True)]) == ("b", "b")
    assert routes.choose([place("a", 1), place("b", enable_ipv6=True)]) == ("a", "b")
    assert routes.choose([place("host", driver="host")]) == ("", "")
