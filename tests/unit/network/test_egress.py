"""Egress rules: what is one, and what their table lets out of a network namespace."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from proa.errors import Conflict, InvalidArgument
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.linux.nftables import NFPROTO_INET, Nftables, Transaction
from proa.network import egress_table
from proa.network.egress import allowed, parse
from proa.network.endpoint import write_sysctl
from rig.private_network import connect, dual_stack, echo, echo_datagrams, inside, neighbour, private_network
from rig.private_network import ping as raw_ping

GOOD = [
    (["deny"], []),
    (["deny", "allow=10.0.0.0/8"], ["10.0.0.0/8"]),
    (["allow=10.0.0.1"], ["10.0.0.1"]),
    (["allow=10.0.0.1/32:80"], ["10.0.0.1:80/tcp"]),
    (["allow=10.0.0.1:80/udp,allow=10.0.0.1:80"], ["10.0.0.1:80/udp", "10.0.0.1:80/tcp"]),
    ([" allow=0.0.0.0/0:443-445/sctp\tdeny "], ["0.0.0.0/0:443-445/sctp"]),
    (["allow=10.0.0.0/8/TCP"], ["10.0.0.0/8/tcp"]),
    (["allow=2001:db8::1", "allow=2001:DB8:0::1"], ["2001:db8::1"]),
    (["allow=[2001:db8::1]:443"], ["[2001:db8::1]:443/tcp"]),
    (["allow=[2001:db8::]/32:53/udp", "allow=[2001:db8::/32]:53/udp"], ["[2001:db8::/32]:53/udp"]),
    (["allow=2001:db8::/32/udp"], ["2001:db8::/32/udp"]),
    (["allow=Example.ORG.:443"], ["example.org:443/tcp"]),
    (["allow=*.example.org", "allow=*:80", "allow=db", "allow=my_shop-web-1:5432"],
     ["*.example.org", "*:80/tcp", "db", "my_shop-web-1:5432/tcp"]),
    (["allow=1.example"], ["1.example"]),
    (["allow=a:1-1"], ["a:1/tcp"]),
]  # fmt: skip
BAD = {
    "": "there is none",
    " , ": "there is none",
    "allow": 'invalid egress rule "allow": use deny or allow=',
    "allow=": 'invalid egress rule "allow=": use deny or allow=',
    "deny=10.0.0.0/8": "use deny or allow=",
    "Deny": "use deny or allow=",
    "10.0.0.0/8": "use deny or allow=",
    "allow=10.0.0.1/8": "10.0.0.1/8 has bits beyond its prefix: write 10.0.0.0/8",
    "allow=2001:db8::1/64": "write 2001:db8::/64",
    "allow=10.0.0.0/33": '"10.0.0.0/33" is no address, no subnet and no name',
    "allow=10.0.0.256": '"10.0.0.256" is no address',
    "allow=10.0.0": '"10.0.0" is no address',
    "allow=10": '"10" is no address',
    "allow=010.0.0.1": "is no address",
    "allow=example.org/8": '"example.org/8" is no address',
    "allow=10.0.0.1:0": '"0" is no port from 1 to 65535',
    "allow=10.0.0.1:65536": '"65536" is no port',
    "allow=10.0.0.1:": '"" is no port',
    "allow=10.0.0.1:http": '"http" is no port',
    "allow=10.0.0.1:80-": '"80-" is no port',
    "allow=10.0.0.1:80-90-100": "is no port",
    "allow=10.0.0.1:90-80": "the range 90-80 ends before it begins",
    "allow=10.0.0.1:+80": '"+80" is no port',
    "allow=10.0.0.1:٨٠": "is no port",
    "allow=10.0.0.1:80/icmp": 'the protocol "icmp" is none of tcp, udp, sctp',
    "allow=10.0.0.1/": 'the protocol "" is none of',
    "allow=[2001:db8::1": "brackets are for an IPv6 address",
    "allow=[10.0.0.1]:80": "brackets are for an IPv6 address",
    "allow=[2001:db8::1]80": "brackets are for an IPv6 address",
    "allow=[2001:db8::1]:": '"" is no port',
    "allow=2001:db8::1:99999": "is no address",
    "allow=fe80::1%eth0": "an address with a zone is not supported",
    "allow=https://example.org": "the protocol",
    "allow=example..org": '"example..org" is no address, no subnet and no name',
    "allow=.example.org": "no name",
    "allow=-example.org": "no name",
    "allow=exa*mple.org": "no name; * stands alone or before the first dot",
    "allow=**.example.org": "* stands alone",
    "allow=*.*.example.org": "* stands alone",
    "allow=*.": "no name",
    "allow=bücher.example": "is not ASCII: write the name as it is in the DNS, xn--",
    "allow=" + "a" * 64 + ".example": "no name",
    "allow=" + "a." * 130 + "example": "no name",
    "allow=example.org;allow=b": "no name",
    "allow=exam\0ple.org": "no name",
    "allow=host@example.org": "no name",
    "allow=!10.0.0.1": "no address|is no address",
}


@pytest.mark.parametrize(("words", "expected"), GOOD, ids=lambda value: " ".join(value))
def test_good_rules(words: list[str], expected: list[str]) -> None:
    rules = parse(words)
    assert [str(rule) for rule in rules] == expected
    assert [allowed(str(rule)) for rule in rules] == rules


@pytest.mark.parametrize("text", BAD, ids=[repr(text)[:40] for text in BAD])
def test_bad_rules(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse([text])
    assert any(part in caught.value.message for part in BAD[text].split("|"))
    assert caught.value.message.startswith("invalid egress rule") and len(caught.value.message) < 700


def test_the_tables_are_whole() -> None:
    assert (len(GOOD), len(BAD)) == (15, 47)


def test_too_many_rules() -> None:
    with pytest.raises(InvalidArgument, match="there are 257, 256 are the most"):
        parse([f"allow=10.0.0.1:{number + 1}" for number in range(257)])


# --- packets --------------------------------------------------------------------------------------------

CLOSED = "ConnectionRefusedError"
HERE4, THERE4, HERE6, THERE6 = "10.0.0.1", "10.0.0.2", "fd01::1", "fd01::2"


def other_host() -> int:
    """Another host, reached over IPv4 and IPv6."""
    other = neighbour("v0", f"{HERE4}/24", f"{THERE4}/24")
    second = neighbour("v1", f"{HERE6}/64", f"{THERE6}/64")
    _others[other] = second
    return other


_others: dict[int, int] = {}


@contextmanager
def serving(other: int, *ports: int) -> Iterator[None]:
    """TCP servers on both hosts' ports."""
    servers = [
        inside(each, lambda port=port: dual_stack(port)) for port in ports for each in (other, _others[other])
    ]  # type: ignore[misc]
    try:
        yield
    finally:
        for server in servers:
            server.close()


def attempt(address: str, port: int, kind: int = socket.SOCK_STREAM, seconds: float = 1) -> str:
    """ "" if something can be sent there, else the error, which has to come at once."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    began = time.monotonic()
    with socket.socket(family, kind) as client:
        client.settimeout(5)
        try:
            client.connect((address, port))
            client.send(b"x")
        except OSError as error:
            assert time.monotonic() - began < seconds, error
            return type(error).__name__
        return ""


def refused() -> dict[tuple[int, str, int], int]:
    """{(protocol, address, port): packets}."""
    found = {}
    with Nftables() as nftables:
        for version, name in egress_table.REFUSED.items():
            size, family = (4, socket.AF_INET) if version == 4 else (16, socket.AF_INET6)
            for each in nftables.listed(NFPROTO_INET, egress_table.TABLE, name):
                port = int.from_bytes(each.key[size + 4 : size + 6], "big")
                found[each.key[size], socket.inet_ntop(family, each.key[:size]), port] = each.packets
    return found


def install(*words: str) -> None:
    egress_table.install(parse(words))


@pytest.mark.usefixtures("root")
@private_network
def test_what_is_not_allowed_is_refused_at_once() -> None:
    other = other_host()
    with serving(other, 80, 81, 82):
        install(f"allow={THERE4}:80-81", f"allow=[{THERE6}]:80", f"allow={THERE4}:53/udp")
        assert [attempt(THERE4, port) for port in (80, 81)] == ["", ""]
        assert attempt(THERE6, 80) == ""
        assert attempt(THERE4, 82) == attempt(THERE6, 81) == "ConnectionRefusedError"
        assert attempt(THERE4, 53, socket.SOCK_DGRAM) == ""
        assert (
            attempt(THERE4, 54, socket.SOCK_DGRAM) == attempt(THERE6, 53, socket.SOCK_DGRAM) == "PermissionError"
        )
        assert attempt("127.0.0.1", 9, socket.SOCK_DGRAM) == ""  # what does not leave
        assert not raw_ping(THERE4)
        assert refused() == {
            (6, THERE4, 82): 1, (6, THERE6, 81): 1, (17, THERE4, 54): 1, (17, THERE6, 53): 1, (1, THERE4, 0): 1,
        }  # fmt: skip


@pytest.mark.usefixtures("root")
@private_network
def test_a_destination_without_ports_is_allowed_whole() -> None:
    other = other_host()
    with serving(other, 80):
        install("allow=10.0.0.0/8", "allow=fd01::/16/tcp")
        assert (attempt(THERE4, 80), attempt(THERE6, 80)) == ("", "")
        assert attempt(THERE4, 9, socket.SOCK_DGRAM) == ""
        assert attempt(THERE6, 9, socket.SOCK_DGRAM) == "PermissionError"
        assert raw_ping(THERE4) and ping(THERE4)
        assert not ping(THERE6)


def ping(address: str) -> bool:
    """Ping without CAP_NET_RAW (icmp(7))."""
    family, protocol, kind = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128)
        if ":" in address
        else (socket.AF_INET, socket.IPPROTO_ICMP, 8)
    )
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as client:
        client.settimeout(2)
        try:
            client.sendto(bytes((kind, 0, 0, 0, 0, 1, 0, 1)), (address, 0))
            return bool(client.recv(100))
        except OSError:
            return False


@pytest.mark.usefixtures("root")
@private_network
def test_a_source_route_is_no_way_round() -> None:
    """Any program may ask for one (ip(7), IP_OPTIONS); the address in front is an allowed one."""
    other = other_host()
    with serving(other, 80):
        install(f"allow={THERE4}")
        route = bytes((131, 7, 4)) + socket.inet_aton(THERE4) + b"\0"  # LSRR (RFC 791)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, route)
            with pytest.raises(ConnectionRefusedError):
                client.connect((THERE4, 80))
        with socket.create_connection((THERE4, 80), 5) as client:  # nor on a connection that is there
            client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, route)
            client.send(b"x")
            deadline = time.monotonic() + 5
            while (6, THERE4, 80) not in refused() or refused()[6, THERE4, 80] < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)


@pytest.mark.usefixtures("root")
@private_network
def test_who_comes_is_answered() -> None:
    other = other_host()
    install("deny")
    with socket.create_server(("0.0.0.0", 7000)) as server:
        client = inside(other, lambda: socket.create_connection((HERE4, 7000), 5))
        accepted, _ = server.accept()
        client.sendall(b"ahoy")
        assert accepted.recv(10) == b"ahoy"
        accepted.sendall(b"there")
        assert client.recv(10) == b"there"
        client.close()
        accepted.close()
    assert inside(other, lambda: raw_ping(HERE4))
    assert inside(_others[other], lambda: attempt(HERE6, 7000, seconds=5)) == CLOSED  # neighbours are found


@pytest.mark.usefixtures("root")
@private_network
def test_what_is_forwarded_is_judged_as_well() -> None:
    """A container with two networks is no way from the one to the other."""
    first = neighbour("v0", "10.0.0.1/24", "10.0.0.2/24")
    second = neighbour("v1", "10.1.0.1/24", "10.1.0.2/24")

    def lead(gateway: str) -> None:
        with Socket() as route:
            link = rtnetlink.link(route, "eth0")
            assert link
            route.execute(rtnetlink.add_route(link.index, gateway=socket.inet_aton(gateway)))

    inside(first, lambda: lead("10.0.0.1"))
    inside(second, lambda: lead("10.1.0.1"))
    write_sysctl("/proc/sys/net/ipv4/ip_forward", b"1")
    with echo(second) as _:
        assert inside(first, lambda: connect("10.1.0.2"))
    install("allow=10.1.0.2:7001")
    with echo(second, 7001) as _:
        assert inside(first, lambda: connect("10.1.0.2", 7001))
    with echo(second) as _:
        assert not inside(first, lambda: connect("10.1.0.2", timeout=0.5))


def open_address(sets: Sequence[str], address: str, seconds: int, name: str = "") -> None:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    transaction = Transaction()
    version = "4" if len(packed) == 4 else "6"
    for each in sets:
        transaction.timed_elements(egress_table.TABLE, each + version, {packed: seconds}, name)
    with Nftables() as nftables:
        nftables.commit(transaction)


@pytest.mark.usefixtures("root")
@private_network
def test_names_are_sets_that_somebody_fills() -> None:
    other = other_host()
    rules = parse(["allow=example.org:80", "allow=example.org:82", "allow=*.example:80", "allow=db"])
    egress_table.install(rules)
    sets = egress_table.names(rules)
    assert sets.keys() == {"example.org", "*.example", "db"}
    assert sets["*.example"] == sets["example.org"][:1]
    with serving(other, 80, 81, 82):
        assert attempt(THERE4, 80) == "ConnectionRefusedError"
        open_address(sets["example.org"], THERE4, 1)
        open_address(sets["example.org"], THERE6, 60)
        with socket.create_connection((THERE4, 80), 5) as connection:
            assert [attempt(THERE4, port) for port in (80, 81, 82)] == ["", "ConnectionRefusedError", ""]
            assert [attempt(THERE6, port) for port in (80, 81, 82)] == ["", "ConnectionRefusedError", ""]
            time.sleep(1.2)
            assert attempt(THERE4, 80) == "ConnectionRefusedError"
            connection.sendall(b"what has begun goes on")
        open_address(sets["db"], THERE4, 60)
        assert [attempt(THERE4, port) for port in (80, 81)] == ["", ""]


@pytest.mark.usefixtures("root")
@private_network
def test_rules_change() -> None:
    other = other_host()
    old = parse(["allow=example.org:80", "allow=gone.test:80", f"allow={THERE4}:81"])
    new = parse(["allow=*.org:80", "allow=example.org:82", f"allow={THERE4}:83"])
    egress_table.change(old)  # there is no table
    egress_table.install(old)
    egress_table.install(new)  # they are there
    open_address(egress_table.names(old)["example.org"], THERE4, 60, "example.org")
    open_address(egress_table.names(old)["gone.test"], THERE6, 60, "gone.test")
    with serving(other, 80, 81, 82, 83):
        assert [attempt(THERE4, port) for port in (80, 81, 82, 83)] == ["", "", CLOSED, CLOSED]
        assert attempt(THERE6, 80) == ""
        egress_table.change(new)
        assert [attempt(THERE4, port) for port in (80, 81, 82, 83)] == ["", CLOSED, "", ""]
        assert attempt(THERE6, 80) == CLOSED
        egress_table.change(new)
        egress_table.change([])
        assert [attempt(THERE4, port) for port in (80, 82, 83)] == 3 * [CLOSED]


@pytest.mark.usefixtures("root")
@private_network
def test_a_change_ends_connections_that_are_not_allowed_any_more() -> None:
    """Not those that are, nor those of others that came in."""
    other = other_host()
    install(f"allow={THERE4}:80", f"allow={THERE4}:81")
    with serving(other, 80, 81), socket.create_server(("0.0.0.0", 7000)) as server:
        stays, ends = (socket.create_connection((THERE4, port), 5) for port in (80, 81))
        client = inside(other, lambda: socket.create_connection((HERE4, 7000), 5))
        came, _ = server.accept()
        for connection in (stays, ends):
            connection.sendall(b"x")
        egress_table.change(parse([f"allow={THERE4}:80"]))
        came.sendall(b"still here")
        assert client.recv(100) == b"still here"
        stays.sendall(b"x")
        ends.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            ends.recv(1)
        time.sleep(0.1)
        stays.sendall(b"x")
        assert (6, THERE4, 80) not in refused()
        for each in (stays, ends, client, came):
            each.close()


@pytest.mark.usefixtures("root")
@private_network
def test_rules_that_are_not_there() -> None:
    with pytest.raises(Conflict, match="restart it"):
        egress_table.require()
    install("deny")
    egress_table.require()


@pytest.mark.usefixtures("root")
@private_network
def test_a_large_datagram_is_one_packet_to_the_rules() -> None:
    other = other_host()
    install(f"allow={THERE4}:7000/udp")
    with echo_datagrams(other) as clients, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"x" * 20_000, (THERE4, 7000))
        assert client.recv(100)
        assert clients == [HERE4]
        with pytest.raises(PermissionError):
            client.sendto(b"x" * 20_000, (THERE4, 7001))
