"""Who is called what, by whom: names, networks, links, addresses backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.dns.directory import Directory, Endpoint
from proa.dns.message import address_record, reverse_address, write_name
from rig.nameserver import encode_name


def endpoint(network: str, names: Sequence[str], *addresses: str, links: dict[str, str] | None = None) -> Endpoint:
    description: dict[str, Any] = {
        "network": f"id of {network}", "name": network, "names": names, "addresses": addresses,
        "links": links or {},
    }  # fmt: skip
    return Endpoint(description)


def record(last: int) -> bytes:
    return address_record(bytes([10, 0, 0, last]))


class Town:
    """Three containers: db and web on "back", web also on "front", where a cache is."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.db = [endpoint("back", ["db", "Store", "0123456789ab"], "10.0.0.1", "fd00::1")]
        self.web = [endpoint("back", ["web"], "10.0.0.2"), endpoint("front", ["web", "www"], "10.0.0.3")]
        self.cache = [endpoint("front", ["cache", "store"], "10.0.0.4")]
        for each in (self.db, self.web, self.cache):
            self.directory.replace((), each)


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.mark.parametrize("name", [b"db", b"store", b"0123456789ab", b"db.back", b"store.back"])
def test_all_names_lead_to_an_address(town: Town, name: bytes) -> None:
    assert town.directory.addresses(town.web, name, 4) == [record(1)]


@pytest.mark.parametrize("name", [b"db.front", b"db.back.front", b"nobody", b"front", b"back", b"d", b"db.back.x"])
def test_names_that_nobody_has(town: Town, name: bytes) -> None:
    assert town.directory.addresses(town.web, name, 4) is None


def test_names_of_networks_that_a_container_is_not_on(town: Town) -> None:
    assert town.directory.addresses(town.cache, b"db", 4) is None
    assert town.directory.addresses(town.cache, b"db.back", 4) is None
    assert town.directory.addresses(town.db, b"www", 4) is None


def test_the_first_network_wins_and_the_others_have_a_name(town: Town) -> None:
    assert town.directory.addresses(town.web, b"store", 4) == [record(1)]
    assert town.directory.addresses(town.web, b"store.front", 4) == [record(4)]
    assert town.directory.addresses(town.web[::-1], b"store", 4) == [record(4)]


def test_a_name_without_addresses_of_a_family_exists(town: Town) -> None:
    assert town.directory.addresses(town.web, b"db", 16) == [address_record(bytes([0xFD, *[0] * 14, 1]))]
    assert town.directory.addresses(town.db, b"web", 16) == []


def test_several_containers_take_turns(town: Town) -> None:
    for last in (5, 6, 7):
        town.directory.replace((), [endpoint("front", ["api"], f"10.0.0.{last}")])
    seen = [town.directory.addresses(town.web, b"api", 4) for _ in range(3)]
    assert all(each is not None and sorted(each) == [record(5), record(6), record(7)] for each in seen)
    assert {each[0] for each in seen if each} == {record(5), record(6), record(7)}
    assert town.directory.addresses(town.web, b"api", 16) == []


def test_dots_in_names() -> None:
    directory = Directory()
    dotted = [endpoint("my.net", ["a.b", "a"], "10.0.0.1")]
    directory.replace((), dotted)
    for name in (b"a.b", b"a.b.my.net", b"a.my.net"):
        assert directory.addresses(dotted, name, 4) == [record(1)]
    assert directory.addresses(dotted, b"a.b.my", 4) is None


def test_links_are_one_containers_own(town: Town) -> None:
    linked = [endpoint("back", ["app"], "10.0.0.9", links={"Database": "db", "gone": "nobody", "web": "db"})]
    town.directory.replace((), linked)
    assert town.directory.addresses(linked, b"database", 4) == [record(1)]
    assert town.directory.addresses(linked, b"database.back", 4) == [record(1)]
    assert town.directory.addresses(town.web, b"database", 4) is None
    assert town.directory.addresses(linked, b"gone", 4) is None
    assert town.directory.addresses(linked, b"web", 4) == [record(1)]  # hides the container of that name


def test_addresses_backwards(town: Town) -> None:
    packed = reverse_address(b"1.0.0.10.in-addr.arpa")
    assert packed is not None
    said = town.directory.host(town.web, packed)
    assert said is not None and said.endswith(encode_name("db.back"))
    assert town.directory.host(town.cache, packed) is None
    shown = town.directory.host(town.db, bytes([10, 0, 0, 2]))
    assert shown is not None and shown.endswith(write_name(b"web.back") or b"-")


def test_what_has_no_name_that_can_be_written_has_none_backwards() -> None:
    directory = Directory()
    own = [endpoint("net", names, f"10.0.0.{last}") for last, names in enumerate((["a..b"], ["x" * 64], []), 1)]
    directory.replace((), own)
    assert [directory.host(own, bytes([10, 0, 0, last])) for last in (1, 2, 3, 4)] == [None] * 4


def test_changes(town: Town) -> None:
    renamed = [endpoint("back", ["sql"], "10.0.0.1")]
    town.directory.replace(town.db, renamed)
    assert town.directory.addresses(town.web, b"db", 4) is None
    assert town.directory.addresses(town.web, b"sql", 4) == [record(1)]
    town.directory.replace(renamed, ())
    assert town.directory.addresses(town.web, b"sql", 4) is None


names = st.lists(st.sampled_from(["a", "b", "c.d", "E"]), max_size=3)
endpoints = st.builds(
    lambda network, names, last: endpoint(network, names, f"10.0.0.{last}"),
    st.sampled_from(["x", "y", "c.d"]), names, st.integers(1, 4),
)  # fmt: skip


@given(st.lists(st.lists(endpoints, max_size=3), max_size=6))
def test_nothing_is_left_of_what_is_gone(containers: list[list[Endpoint]]) -> None:
    directory = Directory()
    for each in containers:
        directory.replace((), each)
    for each in containers:
        assert all(directory.addresses(each, name, 4) for one in each for name in one.names)
    for each in containers:
        directory.replace(each, ())
    assert not directory._networks
