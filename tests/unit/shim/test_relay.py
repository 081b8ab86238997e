"""Connections and datagrams over ports that the firewall does not lead to the container."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from proa.linux.loop import Loop
from proa.network.claims import Ephemeral, Wish, claim
from proa.shim import datagrams
from proa.shim.relay import Relay

BIG = 8 << 20  # bytes: more than all buffers on the way


class Running:
    """A relay in a thread of its own."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.relay = Relay(self.loop)
        self._reader, self._writer = socket.socketpair()
        self._work: list[Callable[[], object]] = []
        self.loop.on_read(self._reader.fileno(), self._do)
        self._thread = threading.Thread(target=self.loop.run)
        self._thread.start()

    def _do(self) -> None:
        self._reader.recv(1)
        self._work.pop(0)()

    def do(self, work: Callable[[], object]) -> None:
        done = threading.Event()

        def carry_out() -> None:
            work()
            done.set()

        self._work.append(carry_out)
        self._writer.send(b"x")
        assert done.wait(5)

    def publish(self, port: int, protocol: str = "tcp", addresses: tuple[str, ...] = ("0.0.0.0", "::")) -> int:
        """Lead some port of this host to `port` of 127.0.0.2; return it."""
        (made,) = claim(Wish(protocol, port, addresses), Ephemeral())
        descriptors = [each.detach() for each in made.sockets]
        self.do(lambda: self.relay.move("127.0.0.2", ""))
        self.do(lambda: [self.relay.add(each, port) for each in descriptors])
        return made.published[0].host_port

    def close(self) -> None:
        self.do(self.relay.close)

        def stop() -> None:
            self.loop.running = False

        self.do(stop)
        self._thread.join(5)
        assert not self.loop._masks.keys() - {self._reader.fileno()}, "nothing is watched any more"
        self._reader.close()
        self._writer.close()


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def server(work: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve connections at 127.0.0.2, one after the other; yields the port."""
    with socket.create_server(("127.0.0.2", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    work(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def is_reset(port: int) -> bool:
    try:
        with socket.create_connection(("::1", port), 5) as client:
            client.recv(1)
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_each_end_is_passed_on_by_itself(running: Running, address: str) -> None:
    """The server answers when the client has said all, which a closed connection could not tell."""
    with server(lambda connection: connection.sendall(b"heard " + read_all(connection))) as port:
        host_port = running.publish(port)
        with socket.create_connection((address, host_port), 5) as client:
            client.sendall(b"ahoy")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"heard ahoy"


def test_who_reads_slowly_gets_everything(running: Running) -> None:
    data = bytes(range(256)) * (BIG // 256)
    with (
        server(lambda connection: connection.sendall(data)) as port,
        socket.create_connection(("::1", running.publish(port)), 5) as client,
    ):
        time.sleep(0.2)  # until the buffers are full
        assert read_all(client) == data


def test_both_ways_at_once(running: Running) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(1 << 16):
            connection.sendall(data)

    with server(echo) as port, socket.create_connection(("::1", running.publish(port)), 5) as client:
        sender = threading.Thread(target=lambda: (client.sendall(bytes(BIG)), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert len(read_all(client)) == BIG
        sender.join()


def test_nobody_there_resets_the_connection(running: Running) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
    assert is_reset(running.publish(port))


def test_the_end_of_the_relay_ends_connections_and_frees_ports(running: Running) -> None:
    with server(lambda connection: (connection.sendall(b"."), read_all(connection))) as port:
        host_port = running.publish(port)
        with socket.create_connection(("::1", host_port), 5) as client:
            assert client.recv(1) == b"."
            running.do(running.relay.close)
            assert client.recv(1) == b""
        for made in claim(Wish("tcp", 1, ("0.0.0.0", "::"), host_port, host_port), Ephemeral()):
            made.close()


def test_ports_lead_elsewhere_when_told(running: Running) -> None:
    with server(lambda connection: connection.sendall(b"here")) as port:
        host_port = running.publish(port)
        running.do(lambda: running.relay.move("127.0.0.3", ""))
        assert is_reset(host_port)
        running.do(lambda: running.relay.move("127.0.0.2", ""))
        with socket.create_connection(("::1", host_port), 5) as client:
            assert read_all(client) == b"here"


@contextmanager
def answering() -> Iterator[int]:
    """Answer datagrams at 127.0.0.2 with what is asked, and from where."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.2", 0))

        def serve() -> None:
            while True:
                data, client = bound.recvfrom(1 << 16)
                if data == b"end":
                    return
                bound.sendto(data + f" {client[1]}".encode(), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", bound.getsockname())
            thread.join(5)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1"])
def test_datagrams_are_answered_from_where_they_were_sent_to(running: Running, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with answering() as port:
        for addresses in [("0.0.0.0", "::"), ("::",) if family == socket.AF_INET6 else ("0.0.0.0",)]:
            host_port = running.publish(port, "udp", addresses)
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.settimeout(5)
                client.connect((address, host_port))  # hears nobody else
                client.send(b"one")
                first = client.recv(100).split()
                client.send(b"two")
                assert first[0] == b"one" and client.recv(100).split() == [b"two", first[1]]


def test_datagrams_of_each_client_have_a_way_of_their_own(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "_MAX_CLIENTS", 2)
    with answering() as port, ExitStack() as stack:
        host_port = running.publish(port, "udp")
        ways = set()
        for _ in range(4):  # the first ones are forgotten
            client = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            client.settimeout(5)
            client.connect(("::1", host_port))
            client.send(b"hello")
            ways.add(client.recv(100))
        assert len(ways) == 4
        (held,) = running.relay._datagrams
        assert len(held._flows) == 2


def test_silent_clients_are_forgotten(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "_IDLE", 0.05)
    with answering() as port, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.connect(("::1", running.publish(port, "udp")))
        client.settimeout(5)
        client.send(b"hello")
        client.recv(100)
        (held,) = running.relay._datagrams
        deadline = time.monotonic() + 5
        while held._flows:
            assert time.monotonic() < deadline
            time.sleep(0.01)
