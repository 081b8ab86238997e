"""Addresses: lowest first, each once; and the MAC addresses that go with them."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.errors import InvalidArgument
from proa.network.addresses import Addresses, format_mac, mac_of, parse_mac, random_mac
from proa.network.leases import Leases, Pair

GATEWAY = IPv4Interface("10.0.0.1/28")
HOSTS = [IPv4Address(f"10.0.0.{last}") for last in range(2, 15)]


def test_lowest_first_until_none_is_left() -> None:
    addresses = Addresses(GATEWAY)
    assert [addresses.allocate() for _ in HOSTS] == HOSTS
    assert addresses.allocate() is None
    addresses.free(HOSTS[7])
    addresses.free(HOSTS[3])
    addresses.free(HOSTS[3])
    assert [addresses.allocate(), addresses.allocate(), addresses.allocate()] == [HOSTS[3], HOSTS[7], None]


def test_a_gateway_in_the_middle_is_never_given_out() -> None:
    addresses = Addresses(IPv4Interface("10.0.0.3/29"))
    assert [str(addresses.allocate()) for _ in range(6)] == [
        "10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6", "None"
    ]  # fmt: skip


def test_reserved_addresses_are_passed_over() -> None:
    addresses = Addresses(GATEWAY)
    assert addresses.reserve(HOSTS[0])
    assert not addresses.reserve(HOSTS[0])
    assert addresses.allocate() == HOSTS[1]
    addresses.free(HOSTS[0])
    assert addresses.allocate() == HOSTS[0]


@given(st.lists(st.tuples(st.sampled_from(["allocate", "reserve", "free"]), st.sampled_from(HOSTS))))
def test_against_a_plain_set(steps: list[tuple[str, IPv4Address]]) -> None:
    addresses, used = Addresses(GATEWAY), set()
    for step, address in steps:
        if step == "allocate":
            expected = min((host for host in HOSTS if host not in used), default=None)
            assert addresses.allocate() == expected
            used.add(expected)
        elif step == "reserve":
            assert addresses.reserve(address) == (address not in used)
            used.add(address)
        else:
            addresses.free(address)
            used.discard(address)


def test_a_lease_ends_when_its_interface_is_gone() -> None:
    leases = Leases(Addresses(IPv4Interface("10.0.0.1/30")))
    pair = leases.choose()
    assert pair is not None and leases.choose() is None
    leases.hand_out(pair, 5, format_mac(pair.mac))
    leases.release(pair)
    leases.release(pair)
    leases.reap(lambda index: index == 5)
    assert (leases.choose(), leases.leaving) == (None, 1)
    leases.reap(lambda index: False)
    assert leases.choose() == pair
    assert not leases.take_misleading(pair)


def test_a_foreign_mac_address_misleads_the_neighbours_once() -> None:
    leases = Leases(Addresses(GATEWAY))
    pair = Pair(HOSTS[0])
    leases.reserve(pair, 0, "02:00:00:00:00:07")
    leases.release(pair)
    assert leases.take_misleading(pair)
    assert not leases.take_misleading(pair)


def test_pairs_of_both_families() -> None:
    leases = Leases(Addresses(IPv4Interface("10.0.0.1/30")), Addresses(IPv6Interface("fd00::1/64")))
    first = leases.choose()
    assert first == Pair.parse("10.0.0.2", "fd00::2") and first.mac == bytes.fromhex("02420a000002")
    assert leases.choose() is None
    leases.put_back(first)
    wish = Pair.parse("", "fd00::ffff:1")
    assert leases.choose(wish) == Pair.parse("10.0.0.2", "fd00::ffff:1")
    assert leases.choose(wish) is None  # neither address was taken by the attempt
    leases.put_back(Pair.parse("10.0.0.2", "fd00::ffff:1"))
    assert leases.choose(wish) is not None
    assert Pair.parse("", "fd00::1:2").mac == bytes.fromhex("024200010002")


def test_an_address_wished_for_may_be_leaving() -> None:
    leases = Leases(Addresses(GATEWAY))
    wish = Pair(HOSTS[3])
    assert leases.choose(wish) == wish and not leases.is_leaving(wish)
    leases.hand_out(wish, 9, format_mac(wish.mac))
    leases.release(wish)
    assert leases.is_leaving(wish) and leases.is_leaving(Pair()) and not leases.is_leaving(Pair(HOSTS[4]))


@pytest.mark.parametrize(
    ("gateway", "within", "taken", "first"),
    [
        ("10.0.0.1/24", "10.0.0.128/25", [], "10.0.0.128"),
        ("10.0.0.1/24", "10.0.0.248/29", ["10.0.0.248", "10.0.0.249"], "10.0.0.250"),
        ("10.0.0.1/31", None, [], "10.0.0.0"),
        ("fd00::1/64", None, ["fd00::2"], "fd00::3"),
        ("fd00::1/64", "fd00::1:0/112", [], "fd00::1:0"),
    ],
)
def test_ranges(gateway: str, within: str | None, taken: list[str], first: str) -> None:
    addresses = Addresses(
        ip_interface(gateway),
        within=ip_network(within) if within else None,
        taken=[ip_address(each) for each in taken],
    )
    assert str(addresses.allocate()) == first


def test_a_wish_outside_the_range_does_not_come_back_into_it() -> None:
    addresses = Addresses(IPv4Interface("10.0.0.1/24"), within=IPv4Network("10.0.0.128/31"))
    assert addresses.reserve(IPv4Address("10.0.0.9"))
    addresses.free(IPv4Address("10.0.0.9"))
    assert [str(addresses.allocate()) for _ in range(3)] == ["10.0.0.128", "10.0.0.129", "None"]


def test_mac_addresses() -> None:
    assert format_mac(mac_of(IPv4Address("172.17.0.2"))) == "02:42:ac:11:00:02"
    for _ in range(50):
        assert random_mac()[0] & 3 == 2  # local, unicast
    assert parse_mac("92:d0:c6:0a:29:33") == parse_mac("92-D0-C6-0A-29-33") == bytes.fromhex("92d0c60a2933")


@pytest.mark.parametrize(
    "text", ["", "x", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "02:42:ac:11:00:0g", "2:42:ac:11:0:2",
             "02:42:ac:11:00:+2", "01:00:5e:00:00:01", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"],
)  # fmt: skip
def test_bad_mac_addresses(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_mac(text)
    assert caught.value.message == f"address {text}: invalid MAC address"
