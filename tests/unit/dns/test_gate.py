"""Egress rules at the name server: which names may be asked for, what they open, and what is told of the rest."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proa.dns.gate import Gate
from proa.dns.message import Malformed, addresses
from proa.linux import packets
from proa.linux.nftables import NFPROTO_INET, Nftables
from proa.network import egress_table
from proa.network.egress import parse
from proa.network.name_sockets import open_in
from rig.name_process import NameProcess, ask, describe, dig, on
from rig.nameserver import KINDS, NXDOMAIN, NameServer, encode_name, query, reply
from rig.nameserver import parse as take_apart
from rig.private_network import inside, neighbour, new_namespace, private_network

pytestmark = pytest.mark.usefixtures("root")

SERVFAIL = 2
HOST = "127.0.0.1"


class Guarded:
    """A container with egress rules, known to a name server whose only upstream is on the host."""

    def __init__(
        self, server: NameProcess, upstream: NameServer, *words: str, own: Sequence[str] = (), name: str = "web",
        endpoints: Sequence[dict[str, Any]] = (), **changes: Any,
    ) -> None:  # fmt: skip
        self.server, self.name = server, name
        self.rules = parse(words)
        self.namespace = new_namespace()
        inside(self.namespace, lambda: egress_table.install(self.rules))
        self.own, self.endpoints = own, endpoints
        self.upstream = {"address": upstream.address, "port": upstream.port, "host": True} | changes
        self.put(open_in(self.namespace))

    def put(self, sockets: Any = None) -> None:
        described = describe(*self.endpoints, servers=[self.upstream])
        described["egress"] = {
            "table": egress_table.TABLE, "group": egress_table.GROUP, "mark": egress_table.MARK,
            "refused": {4: "refused4", 16: "refused6"}, "remembered": egress_table.REMEMBERED,
            "names": egress_table.names(self.rules), "own": list(self.own),
        }  # fmt: skip
        descriptors = (sockets.udp, sockets.tcp) if sockets else ()
        self.server.tell("put", *descriptors, self.namespace, id=self.name, container=described)
        if sockets:
            sockets.close()
        hello(self.server)

    def open(self, name: str) -> dict[str, float]:
        """The addresses in the sets of a rule's name, with the seconds that they have."""
        found = {}

        def look() -> None:
            with Nftables() as nftables:
                for stem in egress_table.names(self.rules)[name]:
                    for version, family in (("4", socket.AF_INET), ("6", socket.AF_INET6)):
                        for each in nftables.listed(NFPROTO_INET, egress_table.TABLE, stem + version):
                            found[socket.inet_ntop(family, each.key)] = each.expires / 1000

        inside(self.namespace, look)
        return found

    def send(self, *destinations: tuple[str, int]) -> None:
        def body() -> None:
            for address, port in destinations:
                with (
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
                    pytest.raises(PermissionError),
                ):
                    client.sendto(b"x", (address, port))

        inside(self.namespace, body)


told: list[dict[str, Any]] = []


def hello(server: NameProcess) -> None:
    """Have the server take all that it was told; keep what it tells."""
    server.tell("hello")
    while True:
        message, _ = packets.receive(server.engine)
        assert message is not None
        if "version" in message:
            return
        told.append(message)


def report(server: NameProcess, *, final: bool = False, least: int = 0) -> dict[tuple[str, str, int], int]:
    """The next report that has so many refusals: counts by protocol, address or name, and port."""
    server.engine.settimeout(10)
    while True:
        message = told.pop(0) if told else packets.receive(server.engine)[0]
        assert message is not None
        if message["op"] == "refused" and message["final"] is final and len(message["refused"]) >= least:
            return {(e["protocol"], e["address"] or e["name"], e["port"]): e["count"] for e in message["refused"]}


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    told.clear()


ZONE = {
    "example.org": ["192.0.2.1", "192.0.2.2"], "a.example.net": ["192.0.2.3"], "example.net": ["192.0.2.4"],
    "evil.test": ["192.0.2.9"], "loop.net": ["127.0.0.1"], "meta.net": ["169.254.169.254"],
    "none.net": ["0.0.0.0"], "many.net": ["224.0.0.1"], "mixed.net": ["10.8.0.1", "192.0.2.5"],
}  # fmt: skip


@private_network
def test_an_allowed_name_opens_before_it_is_answered(tmp_path: Path) -> None:
    with NameServer(HOST, zone=ZONE) as upstream, NameProcess(tmp_path) as server:
        web = Guarded(server, upstream, "allow=example.org:443", "allow=*.example.net:80")
        assert web.open("example.org") == {}
        assert ask(web.namespace, "EXAMPLE.org").addresses == ["192.0.2.1", "192.0.2.2"]
        opened = web.open("example.org")
        assert opened.keys() == {"192.0.2.1", "192.0.2.2"}
        assert all(80 < seconds <= 90 for seconds in opened.values())  # TTL 60, and some grace
        assert web.open("*.example.net") == {}
        assert ask(web.namespace, "a.example.net").addresses == ["192.0.2.3"]
        assert web.open("*.example.net").keys() == {"192.0.2.3"}
        assert ask(web.namespace, "example.net").code == NXDOMAIN  # not below itself
        assert ask(web.namespace, "org").code == ask(web.namespace, "xexample.org").code == NXDOMAIN
        assert upstream.names() == ["EXAMPLE.org", "a.example.net"]  # others never leave
        assert "192.0.2.3" in dig(web.namespace, "+tcp", "a.example.net")


@private_network
def test_a_name_that_is_not_allowed_is_blocked_and_told(tmp_path: Path) -> None:
    with NameServer(HOST, zone=ZONE) as upstream, NameProcess(tmp_path) as server:
        web = Guarded(server, upstream, "deny")
        for kind in ("A", "AAAA", "TXT"):
            assert ask(web.namespace, "secret.evil.test", kind).code == NXDOMAIN
        assert ask(web.namespace, "1.2.0.192.in-addr.arpa", "PTR").code == NXDOMAIN
        text = dig(web.namespace, "evil.test")
        assert "status: NXDOMAIN" in text and "EDE: 15 (Blocked)" in text
        assert "not allowed by the egress rules of this container" in text
        assert upstream.asked == []
        assert report(server, least=3) == {
            ("dns", "secret.evil.test", 53): 3, ("dns", "1.2.0.192.in-addr.arpa", 53): 1,
            ("dns", "evil.test", 53): 1,
        }  # fmt: skip


@private_network
def test_addresses_that_no_foreign_name_opens(tmp_path: Path) -> None:
    """This host, its neighbours, and where clouds keep what is secret; the answer itself is passed on."""
    neighbour("v0", "203.0.113.1/24", "203.0.113.2/24")
    zone = ZONE | {"host.net": ["203.0.113.1"], "there.net": ["203.0.113.2"]}
    with NameServer(HOST, zone=zone) as upstream, NameProcess(tmp_path) as server:
        web = Guarded(server, upstream, "allow=*", own=["10.8.0.0/16", "fd00:8::/64"])
        for name in ("loop.net", "meta.net", "none.net", "many.net", "host.net"):
            assert ask(web.namespace, name).addresses == zone[name]
            assert web.open("*") == {}
        assert ask(web.namespace, "mixed.net").addresses == zone["mixed.net"]
        assert ask(web.namespace, "there.net").addresses == zone["there.net"]
        assert web.open("*").keys() == {"192.0.2.5", "203.0.113.2"}


def aaaa(asked: bytes, *records: tuple[int, int, bytes], count: int = -1, name: bytes = b"\xc0\x0c") -> bytes:
    """An answer with records of any kind: kind, TTL, content."""
    data = bytearray(reply(asked))
    data[6:8] = (len(records) if count < 0 else count).to_bytes(2, "big")
    for kind, ttl, content in records:
        data += name + struct.pack(">HHIH", kind, 1, ttl, len(content)) + content
    return bytes(data)


def v6(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


@private_network
def test_answers_of_all_kinds(tmp_path: Path) -> None:
    """Aliases, IPv6, lives short and long; the name that was asked for decides, whatever it is an alias of."""
    alias = KINDS["CNAME"], 9, encode_name("edge.cdn.test")
    answers = {
        "alias.org": lambda asked: aaaa(asked, alias, (28, 600, v6("2001:db8::1")), (1, 0, bytes((192, 0, 2, 1)))),
        "long.org": lambda asked: aaaa(asked, (1, 1 << 30, bytes((192, 0, 2, 2)))),
        "never.org": lambda asked: aaaa(asked, (1, 1 << 31, bytes((192, 0, 2, 3)))),
        "closed.org": lambda asked: aaaa(asked, *((28, 60, v6(each)) for each in (
            "::1", "::", "fe80::1", "ff02::1", "::ffff:192.0.2.1", "fd00:ec2::254", "fd00:8::7"))),
        "strange.org": lambda asked: aaaa(asked, (1, 60, bytes(16)), (28, 60, bytes(4)), (16, 60, b"\x03txt")),
        "short.org": lambda asked: aaaa(asked, (1, 60, bytes(4)), count=2),
        "turning.org": lambda asked: aaaa(asked, (1, 60, bytes((192, 0, 2, 4))), name=b"\xc0\xff"),
    }  # fmt: skip

    def answer(asked: bytes, _transport: str) -> Sequence[bytes]:
        return [answers[take_apart(asked).questions[0][0]](asked)]

    with NameServer(HOST, answer=answer) as upstream, NameProcess(tmp_path) as server:
        web = Guarded(server, upstream, "allow=*.org:443", own=["fd00:8::/64"])

        def asked(name: str) -> tuple[int, dict[str, float]]:
            from rig.name_process import exchange

            before = web.open("*.org")
            code = exchange(web.namespace, query(name, "AAAA"))[3] & 15
            return code, {address: each for address, each in web.open("*.org").items() if address not in before}

        code, opened = asked("alias.org")
        assert code == 0 and opened.keys() == {"2001:db8::1", "192.0.2.1"}
        assert 620 < opened["2001:db8::1"] <= 630 and 50 < opened["192.0.2.1"] <= 60
        assert 86000 < asked("long.org")[1]["192.0.2.2"] <= 86400
        assert 50 < asked("never.org")[1]["192.0.2.3"] <= 60  # RFC 2181
        assert asked("closed.org") == (0, {})
        assert asked("strange.org") == (0, {})
        assert asked("short.org") == (SERVFAIL, {})
        assert asked("turning.org")[1].keys() == {"192.0.2.4"}  # names of records are of no interest


@pytest.mark.parametrize("cut", range(12, 60))
def test_parts_of_answers(cut: int) -> None:
    whole = aaaa(query("example.org"), (1, 60, bytes((192, 0, 2, 1))), (28, 60, v6("2001:db8::1")))
    assert addresses(whole) == [(bytes((192, 0, 2, 1)), 60), (v6("2001:db8::1"), 60)]
    assert len(whole) == 29 + 16 + 28
    with pytest.raises(Malformed):
        addresses(whole[:cut])


@private_network
def test_names_of_containers(tmp_path: Path) -> None:
    """They are answered to anybody on the network; what they stand for is open to who may reach it."""
    with NameServer(HOST, zone=ZONE) as upstream, NameProcess(tmp_path) as server:
        server.container("db", on("back", ["db"], "10.8.0.2", "fd00:8::2"))
        web = Guarded(
            server, upstream, "allow=db:5432", own=["10.8.0.0/16"], endpoints=[on("back", ["web"], "10.8.0.3")]
        )
        server.put("cache", describe(on("back", ["cache"], "10.8.0.4")))
        assert ask(web.namespace, "cache").addresses == ["10.8.0.4"]
        assert web.open("db") == {}
        assert ask(web.namespace, "db").addresses == ["10.8.0.2"]
        assert ask(web.namespace, "db", "AAAA").addresses == ["fd00:8::2"]
        assert web.open("db").keys() == {"10.8.0.2", "fd00:8::2"}


@private_network
def test_servers_in_the_containers_network_are_reached(tmp_path: Path) -> None:
    """By a mark that the container's own programs can not set."""
    with NameProcess(tmp_path) as server:
        other = new_namespace()
        with inside(other, lambda: NameServer("127.0.0.1", zone=ZONE)) as unused:
            web = Guarded(server, unused, "allow=example.org", address="10.0.0.2", port=53, host=False)

            def plug() -> int:
                return neighbour("v0", "10.0.0.1/24", "10.0.0.2/24")

            beside = inside(web.namespace, plug)
            with inside(beside, lambda: NameServer("10.0.0.2", 53, zone=ZONE)) as upstream:
                assert ask(web.namespace, "example.org").addresses == ZONE["example.org"]
                assert "192.0.2.1" in dig(web.namespace, "+tcp", "example.org")
                assert upstream.clients[0][0] == "10.0.0.1"
                web.send(("10.0.0.2", 53))


@private_network
def test_what_is_refused_is_told(tmp_path: Path) -> None:
    with NameServer(HOST, zone=ZONE) as upstream, NameProcess(tmp_path) as server:
        web = Guarded(server, upstream, "allow=example.org:443")
        inside(web.namespace, lambda: neighbour("v0", "192.0.2.100/24", "192.0.2.1/24"))
        assert report(server) == {}
        began = time.monotonic()
        web.send(("192.0.2.7", 9))
        assert report(server) == {("udp", "192.0.2.7", 9): 1}
        assert time.monotonic() - began < 2
        ask(web.namespace, "example.org")
        web.send(("192.0.2.1", 444), *50 * [("192.0.2.7", 9)])
        expected = {("udp", "192.0.2.7", 9): 51, ("udp", "192.0.2.1", 444): 1}
        while (found := report(server)) != expected:  # more than the log lets through: the counters are right
            assert time.monotonic() - began < 10, found
        web.put()  # another engine, say
        assert report(server) == expected
        web.send(("192.0.2.7", 9))
        server.tell("drop", id="web")
        expected["udp", "192.0.2.7", 9] += 1
        assert report(server, final=True) == expected


@private_network
def test_a_server_that_is_replaced_goes_on_counting(tmp_path: Path) -> None:
    with NameServer(HOST, zone=ZONE) as upstream:
        with NameProcess(tmp_path) as server:
            web = Guarded(server, upstream, "allow=example.org:443")
            inside(web.namespace, lambda: neighbour("v0", "192.0.2.100/24", "192.0.2.1/24"))
            web.send(("192.0.2.7", 9))
            assert report(server, least=1) == {("udp", "192.0.2.7", 9): 1}
            server.process.kill()
            server.process.wait()
        web.send(("192.0.2.7", 9))
        with NameProcess(tmp_path) as web.server:
            web.put(open_in(web.namespace))
            assert report(web.server, least=1) == {("udp", "192.0.2.7", 9): 2}
            assert ask(web.namespace, "example.org").addresses == ZONE["example.org"]
            assert len(web.open("example.org")) == 2


@private_network
def test_other_rules_open_and_close_names(tmp_path: Path) -> None:
    with NameServer(HOST, zone=ZONE) as upstream, NameProcess(tmp_path) as server:
        web = Guarded(server, upstream, "allow=example.org:443", "allow=a.example.net:80")
        ask(web.namespace, "example.org")
        ask(web.namespace, "a.example.net")
        web.rules = parse(["allow=example.org:444", "allow=*.test:80"])
        inside(web.namespace, lambda: egress_table.change(web.rules))
        assert web.open("example.org").keys() == {"192.0.2.1", "192.0.2.2"}
        web.put()
        assert web.open("example.org").keys() == {"192.0.2.1", "192.0.2.2"}  # not asked for again
        assert web.open("*.test") == {}
        assert ask(web.namespace, "a.example.net").code == NXDOMAIN
        assert ask(web.namespace, "evil.test").addresses == ["192.0.2.9"]
        assert web.open("*.test").keys() == {"192.0.2.9"}


@private_network
def test_more_addresses_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proa.dns import gate
    from proa.dns.message import Question
    from proa.linux.loop import Loop

    monkeypatch.setattr(gate, "_MOST", 3)
    loop, home, namespace = Loop(), new_namespace(), new_namespace()
    rules = parse(["allow=*:443"])
    inside(namespace, lambda: egress_table.install(rules))

    def body() -> None:
        made = Gate(loop, home, namespace, lambda _message: True)
        made.update({
            "table": egress_table.TABLE, "group": egress_table.GROUP, "refused": {}, "remembered": 1,
            "names": egress_table.names(rules), "own": [],
        })  # fmt: skip

        def passed(*numbers: int) -> int:
            asked = query("example.org")
            records = ((1, 60, bytes((192, 0, 2, number))) for number in numbers)
            return made.passed(Question(asked), aaaa(asked, *records))[3] & 15

        assert [passed(1, 2), passed(1, 2), passed(3), passed(4), passed(1)] == [0, 0, 0, SERVFAIL, 0]
        made.close()

    inside(home, body)
    loop.close()
