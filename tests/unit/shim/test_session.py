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


def test_one_whose_first_input_detaches_it(loop: Loop, session: Session) -> None:
    keys = [16, 17]
    client, theirs = connected(loop, detach_keys=keys, buffered=bytes(keys).decode())
    with theirs:
        session.attach(client)
        assert client.closed and session.clients == []
        assert theirs.recv(1) == b""
