"""The HTTP client against answers in every shape, cut into any pieces."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proa.client.address import Address
from proa.client.client import Client
from proa.client.errors import CannotConnect, DaemonError, NotRunning
from proa.client.http import Connection, query, quote
from proa.errors import Internal
from rig.recorder import Recorder, Reply, error

Peer = Callable[[bytes], Connection]


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Return a connection whose other side has sent some bytes and closed."""
    connections = []

    def make(data: bytes) -> Connection:
        ours, theirs = socket.socketpair()
        connections.append(ours)
        with theirs:
            theirs.sendall(data)
        return Connection(ours, "localhost")

    yield make
    for connection in connections:
        connection.close()


BODIES = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellojunk", b"hello"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 304 Not Modified\r\n\r\n", b""),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\n\r\n", b"hello!"),
    (
        b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
        b"0123456789",
    ),
]


@pytest.mark.parametrize(("data", "body"), BODIES)
def test_bodies(data: bytes, body: bytes, peer: Peer) -> None:
    assert peer(data).receive().read() == body


@pytest.mark.parametrize(("data", "body"), BODIES)
def test_bytes_one_by_one(data: bytes, body: bytes) -> None:
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs:
            for position in range(len(data)):
                theirs.sendall(data[position : position + 1])

    thread = threading.Thread(target=send)
    thread.start()
    with ours:
        assert Connection(ours, "localhost").receive().read() == body
        thread.join()


def test_lines(peer: Peer) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b'3\r\n{"a\r\n7\r\n":1}\r\n{\r\n2\r\n}\n\r\n1\r\nx\r\n0\r\n\r\n'
    assert list(peer(data).receive().lines()) == [b'{"a":1}\r', b"{}", b"x"]


WRONG = [
    (b"", CannotConnect, "without an answer"),
    (b"HTTP/1.1 200 OK\r\nContent-", CannotConnect, "without an answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", CannotConnect, "in the middle"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", CannotConnect, "in the middle"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", CannotConnect, "in the middle"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", Internal, "does not speak HTTP"),
    (b"HTTP/1.1 abc\r\n\r\n", Internal, "does not speak HTTP"),
]


@pytest.mark.parametrize(("data", "kind", "message"), WRONG)
def test_wrong_answers(data: bytes, kind: type[Exception], message: str, peer: Peer) -> None:
    with pytest.raises(kind, match=message):
        peer(data).receive().read()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "sock") as recorder:
        yield recorder


@pytest.fixture
def client(engine: Recorder) -> Iterator[Client]:
    made = Client(Address(engine.url))
    yield made
    made.close()


def test_requests_share_a_connection(engine: Recorder, client: Client) -> None:
    engine.on("GET /x", Reply(value={"a": [1]})).on("POST /y", Reply(204)).on("DELETE /z", error(409, "no"))
    assert client.get("/x", q="a b/ü", r="") == {"a": [1]}
    assert client.post("/y", {"b": 1}) is None
    with pytest.raises(DaemonError) as caught:
        client.delete("/z")
    assert (str(caught.value), caught.value.status) == ("Error response from daemon: no", 409)
    assert client.get("/x") == {"a": [1]}
    assert engine.connections == 1
    assert engine.requests[0].query == {"q": "a b/ü", "r": ""}
    assert engine.requests[1].json == {"b": 1}
    assert engine.requests[1].headers["content-type"] == "application/json"


def test_idle_connection_that_was_closed_is_replaced(engine: Recorder, client: Client) -> None:
    engine.on("GET /x", Reply(value=1))
    client.get("/x")
    assert client._idle
    client._idle.socket.shutdown(socket.SHUT_RDWR)
    assert client.get("/x") == 1
    assert engine.connections == 2


def test_version_prefix(engine: Recorder) -> None:
    client = Client(Address(engine.url), "1.41")
    engine.on("GET /x", Reply(value=1))
    client.get("/x")
    client.close()
    assert str(engine.requests[0]) == "GET /x"


def test_body_in_chunks(engine: Recorder, client: Client) -> None:
    engine.on("POST /images/create", Reply(chunks=[b'{"status":"a"}\r\n{"sta', b'tus":"b"}\r\n']))
    messages = list(client.stream("POST", "/images/create", {}, iter([b"ab", b"", b"c"])))
    assert messages == [{"status": "a"}, {"status": "b"}]
    assert engine.requests[0].body == b"abc"


def test_error_within_a_stream(engine: Recorder, client: Client) -> None:
    line = b'{"errorDetail":{"message":"full"},"error":"full"}\n'
    engine.on("POST /x", Reply(chunks=[b'{"status":"a"}\n', line]))
    messages = client.stream("POST", "/x")
    assert next(messages) == {"status": "a"}
    with pytest.raises(DaemonError) as caught:
        next(messages)
    assert str(caught.value) == "full"


ERRORS = [
    (Reply(500, {"message": "x"}), "Error response from daemon: x"),
    (Reply(502, text=b"Bad gateway\n"), "Error response from daemon: Bad gateway"),
    (Reply(500, text=b'{"other": 1}'), 'Error response from daemon: {"other": 1}'),
    (Reply(500, text=b"{broken"), "Error response from daemon: {broken"),
    (Reply(500), "Error response from daemon: status 500 without a reason"),
]


@pytest.mark.parametrize(("reply", "message"), ERRORS)
def test_errors(reply: Reply, message: str, engine: Recorder, client: Client) -> None:
    engine.on("GET /x", reply)
    with pytest.raises(DaemonError) as caught:
        client.get("/x")
    assert str(caught.value) == message


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(
        NotRunning, match=r"Cannot connect to the Proa daemon at unix://.*Is the proad daemon running\?"
    ):
        Address(f"unix://{tmp_path}/none").connect()
    (tmp_path / "file").touch()
    with pytest.raises(NotRunning):
        Address(f"unix://{tmp_path}/file").connect()


def test_quote() -> None:
    assert quote("a/b:c d?e") == "a/b:c%20d%3Fe"
    assert query({"a": "x/y&z=1", "b": "ü"}) == "?a=x%2Fy%26z%3D1&b=%C3%BC"
    assert query({}) == ""
