"""Questions about other names: relayed as they are, to whom, how long, and what an attacker may send meanwhile."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rig.name_process import NameProcess, ask, describe, dig, exchange, on, stream
from rig.nameserver import NameServer, parse, query, reply
from rig.private_network import inside, neighbour, new_namespace, private_network, wait_until

pytestmark = pytest.mark.root

WEB = on("back", ["web"], "10.0.0.2")
ZONE = {"example.org": ["192.0.2.1"], "www.example.org": ["192.0.2.2"]}


def host(server: NameServer) -> dict[str, object]:
    return {"address": server.address, "port": server.port, "host": True}


@private_network
def test_from_the_hosts_loopback(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.53", zone=ZONE) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)])
        answer = ask(web, "Example.org", number=7)
        assert (answer.number, answer.addresses, answer.questions[0][0]) == (7, ["192.0.2.1"], "Example.org")
        assert ask(web, "nowhere.example").code == 3
        assert ask(web, "web").addresses == ["10.0.0.2"]
        assert dig(web, "+short", "www.example.org", "+tcp") == "192.0.2.2\n"
        assert [over for over, _ in upstream.asked] == ["udp", "udp", "tcp"]
        assert ask(web, "9.0.0.10.in-addr.arpa", "PTR").code == 3  # nobody's address
        assert ask(web, "example.org", "TXT").answers == []  # other types, and other classes
        assert ask(web, "web", "TXT", scope=3).code == 3
        assert len(upstream.asked) == 6


@private_network
def test_over_ipv6(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("::1", zone=ZONE) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)])
        assert ask(web, "example.org").addresses == ["192.0.2.1"]


@private_network
def test_from_the_containers_own_network(tmp_path: Path) -> None:
    """Servers that were given for a container are asked from where it is, an internal network as well."""
    with NameProcess(tmp_path) as names:
        near = {"address": "127.0.0.9", "port": 5300, "host": False}
        web = names.container("web", WEB, servers=[near], forwards=False)
        upstream = inside(web, lambda: NameServer("127.0.0.9", 5300, zone=ZONE))
        with upstream:
            assert ask(web, "example.org").addresses == ["192.0.2.1"]
            assert dig(web, "+tcp", "+short", "example.org") == "192.0.2.1\n"


@private_network
def test_an_internal_network_asks_nobody_from_the_host(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", zone=ZONE) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)], forwards=False)
        assert ask(web, "example.org").code == 2
        assert upstream.asked == []
        names.put("web", describe(WEB, servers=[host(upstream)]))  # connected to another network
        assert ask(web, "example.org").addresses == ["192.0.2.1"]


@private_network
def test_names_without_dots_where_the_search_list_is_to_be_used(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", zone={"intranet": ["192.0.2.9"]}) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)], short=True)
        empty = ask(web, "intranet")
        assert (empty.code, empty.answers, upstream.asked) == (0, [], [])
        assert ask(web, "intranet", "TXT").code == 0
        names.put("web", describe(WEB, servers=[host(upstream)]))
        assert ask(web, "intranet").addresses == ["192.0.2.9"]


def large(asked: bytes, transport: str) -> Sequence[bytes]:
    """The answers of a server with much to say: what fits, and that there is more; all of it over TCP."""
    if transport == "udp" and b"huge" not in asked:
        return [reply(asked, ["192.0.2.1"], flags=0x200)]
    return [reply(asked, [f"192.0.{number >> 8}.{number & 255}" for number in range(4000)], tail=b"")]


@private_network
def test_what_comes_is_relayed_as_it_is(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", answer=large) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)])
        question = query("example.org", number=77, edns=1232)
        answer = exchange(web, question)
        assert upstream.asked[0][1][2:] == question[2:]
        assert answer == b"\0\115" + reply(upstream.asked[0][1], ["192.0.2.1"], flags=0x200)[2:]
        assert len(dig(web, "+short", "example.org").splitlines()) == 4000  # by TCP, as the answer says
        assert len(ask(web, "huge.example").answers) == 4000  # larger than the client said it takes


@private_network
def test_ports_and_numbers_are_not_to_be_guessed(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", zone=ZONE) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)])
        for _ in range(20):
            ask(web, "example.org", number=1)
        assert len({port for _, port in upstream.clients}) > 15
        assert len({parse(data).number for _, data in upstream.asked}) > 15


# --- servers that fail ----------------------------------------------------------------------------------


def silent(_asked: bytes, _transport: str) -> Sequence[bytes]:
    return []


def failing(code: int) -> Callable[[bytes, str], Sequence[bytes]]:
    return lambda asked, _transport: [reply(asked, code=code)]


@pytest.mark.parametrize(
    ("answer", "longest"),
    [(failing(2), 1.0), (failing(5), 1.0), (silent, 3.0)],
    ids=["failure", "refusal", "silence"],
)
@pytest.mark.parametrize("over", ["+notcp", "+tcp"])
@private_network
def test_the_next_server_is_asked(
    tmp_path: Path, answer: Callable[[bytes, str], Sequence[bytes]], longest: float, over: str
) -> None:
    with (
        NameProcess(tmp_path) as names,
        NameServer("127.0.0.1", answer=answer) as first,
        NameServer("127.0.0.2", zone=ZONE) as second,
    ):
        web = names.container("web", WEB, servers=[host(first), host(second)])
        began = time.monotonic()
        assert dig(web, "+short", over, "example.org") == "192.0.2.1\n"
        assert time.monotonic() - began < longest
        assert (len(first.asked), len(second.asked)) == (1, 1)


@pytest.mark.parametrize("over", ["+notcp", "+tcp"])
@private_network
def test_a_server_that_is_not_there_takes_no_time(tmp_path: Path, over: str) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.2", zone=ZONE) as second:
        servers = [{"address": "127.0.0.1", "port": 9, "host": True}, {"address": "203.0.113.1", "host": True}]
        web = names.container("web", WEB, servers=[*servers, host(second)])
        began = time.monotonic()
        assert dig(web, "+short", over, "example.org") == "192.0.2.1\n"
        assert time.monotonic() - began < 1
        names.put("web", describe(WEB, servers=servers))
        assert "status: SERVFAIL" in dig(web, over, "example.org")


@private_network
def test_a_late_answer_counts(tmp_path: Path) -> None:
    def late(asked: bytes, _transport: str) -> Sequence[bytes]:
        time.sleep(2)
        return [reply(asked, ["192.0.2.5"])]

    with (
        NameProcess(tmp_path) as names,
        NameServer("127.0.0.1", answer=late) as first,
        NameServer("127.0.0.2", answer=silent) as second,
    ):
        web = names.container("web", WEB, servers=[host(first), host(second)])
        assert ask(web, "example.org").addresses == ["192.0.2.5"]
        assert len(second.asked) == 1


@private_network
def test_when_none_answers(tmp_path: Path) -> None:
    def explained(asked: bytes, _transport: str) -> Sequence[bytes]:
        return [reply(asked, code=2, tail=b"why")]

    with (
        NameProcess(tmp_path) as names,
        NameServer("127.0.0.1", answer=silent) as quiet,
        NameServer("127.0.0.2", answer=explained) as broken,
    ):
        web = names.container("web", WEB, servers=[host(quiet)])
        began = time.monotonic()
        assert ask(web, "example.org").code == 2
        assert 3.5 < time.monotonic() - began < 6
        names.put("web", describe(WEB, servers=[host(broken)]))
        assert exchange(web, query("example.org")).endswith(b"why")  # a server's own words, if there are any


# --- attackers ------------------------------------------------------------------------------------------


@private_network
def test_forged_answers_are_not_believed(tmp_path: Path) -> None:
    """From the server's own address, but with another number, another question, or no sense: only one is true."""

    def besieged(asked: bytes, _transport: str) -> Sequence[bytes]:
        number = int.from_bytes(asked[:2], "big")
        guesses = [struct.pack(">H", number ^ guess) + reply(asked, ["6.6.6.6"])[2:] for guess in range(1, 60)]
        others = [
            reply(query("example.net", number=number), ["6.6.6.6"]),
            reply(query("example.org", "AAAA", number=number)),
            asked, asked[:2] + b"\x81\x80" + bytes(8), asked[:5], b"", os.urandom(600),
        ]  # fmt: skip
        return [*guesses, *others, reply(asked, ["192.0.2.1"])]

    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", answer=besieged) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)])
        for _ in range(20):
            assert ask(web, "example.org").addresses == ["192.0.2.1"]


@private_network
def test_strangers_can_not_answer(tmp_path: Path) -> None:
    """From another address than the server's, everything else right."""
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.66", 0))

    def race(asked: bytes, _transport: str) -> Sequence[bytes]:
        stranger.sendto(reply(asked, ["6.6.6.6"]), upstream.clients[-1])
        return [reply(asked, ["192.0.2.1"])]

    with stranger, NameProcess(tmp_path) as names, NameServer("127.0.0.1", answer=race) as upstream:
        # The address is noted before the answer is made up.
        web = names.container("web", WEB, servers=[host(upstream)])
        for _ in range(20):
            assert ask(web, "example.org").addresses == ["192.0.2.1"]


@private_network
def test_no_more_than_so_many_questions_wait(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", answer=silent) as upstream:
        web = names.container("web", WEB, servers=[host(upstream)])
        other = names.container("other", on("back", ["other"], "10.0.0.3"), servers=[host(upstream)])
        before = len(os.listdir(f"/proc/{names.process.pid}/fd"))

        def crowd() -> list[int]:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                client.settimeout(8)
                client.connect(("127.0.0.11", 53))
                for number in range(1100):
                    client.send(query(f"n{number}.example", number=number))
                    if number % 50 == 49:
                        time.sleep(0.02)  # its socket holds some hundreds
                return [parse(client.recv(1 << 16)).code for _ in range(1100)]

        with ThreadPoolExecutor(1) as executor:
            waiting = executor.submit(inside, web, crowd)
            wait_until(lambda: len(upstream.asked) >= 1024)
            assert len(os.listdir(f"/proc/{names.process.pid}/fd")) <= before + 1030
            upstream.answer = upstream._from_zone
            assert ask(other, "web").addresses == ["10.0.0.2"]
            assert ask(other, "example.org").code == 3  # another's questions have room
            codes = waiting.result()
        assert codes.count(5) == 1100 - 1024
        assert codes.count(2) == 1024
        wait_until(lambda: len(os.listdir(f"/proc/{names.process.pid}/fd")) == before)


@private_network
def test_questions_of_a_container_that_goes(tmp_path: Path) -> None:
    with NameProcess(tmp_path) as names, NameServer("127.0.0.1", answer=silent) as upstream:
        names.container("other", on("back", ["other"], "10.0.0.3"))
        before = len(os.listdir(f"/proc/{names.process.pid}/fd"))
        web = names.container("web", WEB, servers=[host(upstream)])
        connection = stream(web)
        connection.sendall(b"\0\x1d" + query("example.org"))
        with pytest.raises(TimeoutError):
            exchange(web, query("example.org"), seconds=0.2)
        names.tell("drop", id="web")
        names.hello()
        assert len(os.listdir(f"/proc/{names.process.pid}/fd")) == before
        with connection, connection.makefile("rb") as reader:
            reader.read()  # comes to an end


@private_network
def test_where_there_is_no_way(tmp_path: Path) -> None:
    """A server in a network that the container is not connected to, and one behind a router that drops."""
    with NameProcess(tmp_path) as names:
        web = names.container("web", WEB, servers=[{"address": "203.0.113.1", "host": False}])
        began = time.monotonic()
        assert ask(web, "example.org").code == 2
        assert time.monotonic() - began < 1
        assert new_namespace() and neighbour("eth9", "192.0.2.1/24", "192.0.2.2/24")
        names.put("web", describe(WEB, servers=[{"address": "192.0.2.2", "port": 9, "host": True}]))
        assert ask(web, "example.org").code == 2  # refused by the other host
