"""Ports claimed by sockets: what can be had, what can not, and that a claim is one."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from proa.network.claims import BindFailure, Claim, Ephemeral, Wish, claim
from proa.network.published import Published, runs
from rig.private_network import private_network

pytestmark = pytest.mark.usefixtures("root")
BOTH = ("0.0.0.0", "::")


@contextmanager
def claimed(wish: Wish, ephemeral: Ephemeral | None = None) -> Iterator[list[Claim]]:
    made: list[Claim] = []
    try:
        made += claim(wish, ephemeral or Ephemeral())
        yield made
    finally:
        for each in made:
            each.close()


def refused(wish: Wish) -> BindFailure:
    with pytest.raises(BindFailure) as failure, claimed(wish):
        pass
    return failure.value


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@private_network
def test_one_socket_keeps_both_families(protocol: str) -> None:
    with claimed(Wish(protocol, 80, BOTH, 8080, 8080)) as (made,):
        assert len(made.sockets) == 1
        assert made.published == [Published(protocol, address, 8080, 80) for address in BOTH]
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with closing(socket.socket(family, kind)) as other, pytest.raises(OSError, match="in use"):
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind((address, 8080))
        assert refused(Wish(protocol, 80, ("127.0.0.1",), 8080, 8080)).errno == errno.EADDRINUSE
    with claimed(Wish(protocol, 80, BOTH, 8080, 8080)):
        pass


@private_network
def test_protocols_and_addresses_do_not_meet() -> None:
    with (
        claimed(Wish("tcp", 80, ("127.0.0.1",), 8080, 8080)),
        claimed(Wish("tcp", 80, ("127.0.0.2",), 8080, 8080)),
        claimed(Wish("tcp", 80, ("::1",), 8080, 8080)),
        claimed(Wish("udp", 80, BOTH, 8080, 8080)),
        claimed(Wish("tcp", 80, ("::",), 8081, 8081)),
        claimed(Wish("tcp", 80, ("0.0.0.0",), 8081, 8081)),
    ):
        pass


@private_network
def test_the_failure_says_which_address() -> None:
    with closing(socket.create_server(("::1", 8080), family=socket.AF_INET6)):
        failure = refused(Wish("tcp", 80, BOTH, 8080, 8080))
        assert (failure.address, failure.port, failure.reason) == ("::", 8080, "address already in use")
    with closing(socket.create_server(("127.0.0.1", 8080))):
        assert refused(Wish("tcp", 80, BOTH, 8080, 8080)).address == "0.0.0.0"
    assert refused(Wish("tcp", 80, ("192.0.2.1",), 8080, 8080)).reason == "cannot assign requested address"


@private_network
def test_connections_of_an_earlier_program_are_no_obstacle() -> None:
    listener = socket.create_server(("127.0.0.1", 8080))
    client = socket.create_connection(("127.0.0.1", 8080))
    accepted = listener.accept()[0]
    for each in (accepted, listener, client):  # who closes first has the port in TIME_WAIT
        each.close()
    with claimed(Wish("tcp", 80, BOTH, 8080, 8080)):
        pass


@private_network
def test_a_range_is_all_or_nothing() -> None:
    with claimed(Wish("udp", 1000, BOTH, 5000, 5099, 100)) as made:
        published = [run for each in made for run in each.published]
        assert sorted(runs(published), key=lambda run: run.host_address) == [
            Published("udp", address, 5000, 1000, 100) for address in BOTH
        ]
    with closing(socket.create_server(("127.0.0.1", 5050))):
        assert refused(Wish("tcp", 1000, BOTH, 5000, 5099, 100)).port == 5050
    with claimed(Wish("tcp", 1000, BOTH, 5000, 5099, 100)):  # nothing was kept
        pass


@private_network
def test_the_first_free_one() -> None:
    choice = Wish("tcp", 80, BOTH, 8000, 8002)
    with closing(socket.create_server(("127.0.0.1", 8000))), claimed(choice) as (one,), claimed(choice) as (two,):
        assert [each.published[0].host_port for each in (one, two)] == [8001, 8002]
        assert refused(choice).port == 8002


@private_network
def test_any_port_is_the_next_one() -> None:
    ephemeral = Ephemeral()
    seen = []
    for _ in range(3):
        with claimed(Wish("tcp", 80, BOTH), ephemeral) as (made,):
            seen.append(made.published[0].host_port)
    assert seen == [seen[0], seen[0] + 1, seen[0] + 2]
    with claimed(Wish("udp", 80, BOTH), ephemeral) as (made,):
        assert made.published[0].host_port == seen[0]  # protocols are counted for themselves
    with (
        closing(socket.create_server(("127.0.0.1", seen[-1] + 1))),
        claimed(Wish("tcp", 80, BOTH), ephemeral) as (made,),
    ):
        assert made.published[0].host_port == seen[-1] + 2


def test_joining_runs() -> None:
    single = [Published("tcp", "::", 8080 + step, 80 + step) for step in (0, 1, 2, 4)]
    assert runs(single) == [Published("tcp", "::", 8080, 80, 3), Published("tcp", "::", 8084, 84)]
    crossed = [Published("tcp", "::", 8080, 81), Published("tcp", "::", 8081, 80)]
    assert runs(crossed) == crossed


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("::", "::1", True),
        ("::", "127.0.0.1", False),
        ("0.0.0.0", "::", False),
    ],
)
def test_overlaps(held: str, asked: str, expected: bool) -> None:
    run = Published("tcp", held, 8080, 80, 10)
    assert run.overlaps("tcp", asked, 8089) is expected
    assert not run.overlaps("tcp", asked, 8090)
    assert not run.overlaps("udp", asked, 8080)
