"""Questions taken apart, answers put together: held against a second reader of messages, that of the tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.dns import message
from proa.dns.message import Malformed, Question, Reply, address_record
from rig.nameserver import KINDS, encode_name, parse, query, reply

labels = st.binary(min_size=1, max_size=63).filter(lambda label: b"." not in label)


def test_a_question() -> None:
    asked = Question(query("Db.Example", "AAAA", number=7))
    assert (asked.name, asked.kind, asked.scope) == (b"db.example", message.TYPE_AAAA, message.CLASS_IN)
    assert asked.limit == 512
    assert asked.identifier == b"\0\7"


@pytest.mark.parametrize(("edns", "limit"), [(1232, 1232), (100, 512), (65535, 65535)])
def test_how_much_a_client_takes(edns: int, limit: int) -> None:
    assert Question(query("db", edns=edns)).limit == limit


def test_an_answer() -> None:
    asked = Question(query("Db", number=99))
    said = parse(asked.answer([address_record(bytes([10, 0, 0, 1])), address_record(bytes([10, 0, 0, 2]))]))
    assert said.number == 99
    assert said.flags == 0x8180  # response, recursion desired and available; no authority
    assert said.questions == [("Db", 1, 1)]  # as it was asked
    assert said.addresses == ["10.0.0.1", "10.0.0.2"]
    assert {(each.name, each.ttl) for each in said.answers} == {("Db", 600)}
    assert said.additional == []


def test_an_answer_to_a_client_with_edns() -> None:
    (opt,) = parse(Question(query("db", edns=1232)).answer()).additional
    assert (opt.name, opt.kind, opt.ttl) == ("", 41, 0x8000)  # no error, version 0, DNSSEC as asked


def test_a_version_of_edns_that_is_still_to_come() -> None:
    asked = bytearray(query("db", edns=1232))
    asked[-5] = 1
    said = parse(Question(bytes(asked)).answer([address_record(bytes(4))]))
    assert said.answers == []
    assert said.code | said.additional[0].ttl >> 24 << 4 == message.BADVERS
    assert said.additional[0].ttl >> 16 & 255 == 0


@pytest.mark.parametrize("edns", [0, 1232])
def test_what_there_is_no_room_for_is_left_out_and_said_so(edns: int) -> None:
    asked = Question(query("db", edns=edns))
    records = [address_record(bytes([10, 0, number >> 8, number & 255])) for number in range(100)]
    answer = asked.answer(records)
    said = parse(answer)
    assert (edns or 512) - 16 < len(answer) <= (edns or 512)
    assert said.truncated
    assert said.addresses == [f"10.0.0.{number}" for number in range(len(said.answers))]
    whole = parse(asked.answer(records, limit=message.LARGEST))
    assert len(whole.answers) == 100 and not whole.truncated


@given(st.lists(labels, min_size=1, max_size=8).filter(lambda parts: sum(map(len, parts)) + len(parts) < 254))
def test_names(parts: list[bytes]) -> None:
    written = message.write_name(b".".join(parts))
    assert written is not None
    head = b"\0\1\1\0\0\1\0\0\0\0\0\0"
    assert Question(head + written + b"\0\1\0\1").name == b".".join(parts).lower()


def test_a_label_with_a_dot_is_no_name_of_ours() -> None:
    data = query("x").replace(b"\1x", b"\3a.b")
    assert Question(data).name is None


@pytest.mark.parametrize("name", [b"", b"a..b", b".a", b"a" * 64, b".".join([b"a" * 63] * 4)])
def test_names_that_can_not_be(name: bytes) -> None:
    assert message.write_name(name) is None


@given(st.binary(max_size=600))
def test_any_bytes_are_a_question_or_none(data: bytes) -> None:
    try:
        answer = Question(data).answer()
    except Malformed as problem:
        answer = problem.answer
    if answer:
        parse(answer)
        assert answer[:2] == data[:2] and answer[2] & 0x80


@given(st.sampled_from(["192.0.2.7", "2001:db8::7", "fe80::1", "255.255.255.255"]))
def test_addresses_backwards(address: str) -> None:
    import ipaddress

    backwards = ipaddress.ip_address(address).reverse_pointer.encode()
    assert message.reverse_address(backwards) == ipaddress.ip_address(address).packed


@pytest.mark.parametrize(
    "name",
    [
        b"in-addr.arpa", b"2.1.in-addr.arpa", b"5.4.3.2.1.in-addr.arpa", b"256.0.0.1.in-addr.arpa",
        b"-1.0.0.1.in-addr.arpa", b"a.0.0.1.in-addr.arpa", b"1..0.1.in-addr.arpa", b"0.1.ip6.arpa",
        b".".join([b"g"] * 32) + b".ip6.arpa", b".".join([b"\xff"] * 32) + b".ip6.arpa",
        b".".join([b"12"] * 16) + b".ip6.arpa", b"db.example",
    ],
)  # fmt: skip
def test_what_is_no_address_backwards(name: bytes) -> None:
    assert message.reverse_address(name) is None


ASKED = Question(query("Db.example", number=0xABCD))
NUMBER = b"\xab\xcd"
GOOD = reply(query("Db.example", number=0xABCD), ["192.0.2.1"])


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        (GOOD, True),
        (GOOD.replace(b"Db", b"dB"), True),  # servers may fold the case
        (GOOD + b"what the answer goes on with", True),
        (b"\0\0" + GOOD[2:], False),  # another number
        (GOOD.replace(b"example", b"elpmaxe"), False),
        (query("Db.example", number=0xABCD), False),  # no response
        (reply(query("Db.example", "AAAA", number=0xABCD)), False),
        (NUMBER + b"\x81\x85" + bytes(8), True),  # a bare refusal
        (NUMBER + b"\x81\x80" + bytes(8), False),  # a bare success says nothing
        (NUMBER + b"\x81\x85\0\0\0\1\0\0\0\0", False),
        (NUMBER + b"\xa9\x80" + GOOD[4:], False),  # an answer to an update
        (GOOD[:14], False),
        (GOOD[:3], False),
        (b"", False),
    ],
)
def test_what_may_be_an_answer(data: bytes, fits: bool) -> None:
    assert Reply(data).fits(NUMBER, ASKED) is fits


def test_the_kinds_of_the_tests_are_those_of_the_server() -> None:
    assert (KINDS["A"], KINDS["AAAA"], KINDS["PTR"], KINDS["MX"]) == (
        message.TYPE_A, message.TYPE_AAAA, message.TYPE_PTR, message.TYPE_MX,
    )  # fmt: skip
    assert encode_name("db.example") == message.write_name(b"db.example")
