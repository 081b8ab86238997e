"""Clients of a session that come and go at the wrong moment: none may stay in its list, which a shim waits for."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from proa.linux.loop import Loop
from proa.shim.client import Client
from proa.shim.session import Session

WANTS = {"stdin": True, "stdout": True, "multiplexed": True}


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop._epoll.close()


@pytest.fixture
def session(loop: Loop) -> Session:
    session = Session(loop, "", {"stdin": True})
    session.pid = 1
    return session


def connected(loop: Loop, **request: object) -> tuple[Client, socket.socket]:
    ours, theirs = socket.socketpair()
    return Client(loop, ours.detach(), {**WANTS, **request}), theirs


def test_one_that_left_while_it_was_sent_the_log(loop: Loop, session: Session) -> None:
    client, theirs = connected(loop)
    theirs.close()
    client.send("stdout", b"from the log")
    session.attach(client)
    assert client.closed and session.clients == []


def test_one_that_left_before_the_start(loop: Loop, session: Session) -> None:
    session.pid = 0
    (first, _theirs), (second, others) = connected(loop), connected(loop)
    with _theirs, others:
        session.attach(first)
        session.attach(second)
        first.close()
        assert session.clients == [second]
        second.close()


@pytest.mark.parametrize(("lossy", "kept"), [(0, 8), (4096, 1), (5 << 20, 5)], ids=["waits", "least", "more"])
def test_one_that_does_not_read(loop: Loop, session: Session, lossy: int, kept: int) -> None:
    """In the mode non-blocking it misses what is beyond the buffer asked for, where that is more than usual."""
    client, theirs = connected(loop)
    session.lossy = lossy
    with theirs:
        session.attach(client)
        for _ in range(8):
            session._deliver("stdout", bytes(1 << 20))
        # the socket has taken a part, and the last frame may go over
        assert kept - 0.5 <= client.queued / (1 << 20) < kept + 1.5
        client.close()


def test_one_whose_first_input_detaches_it(loop: Loop, session: Session) -> None:
    keys = [16, 17]
    client, theirs = connected(loop, detach_keys=keys, buffered=bytes(keys).decode())
    with theirs:
        session.attach(client)
        assert client.closed and session.clients == []
        assert theirs.recv(1) == b""
