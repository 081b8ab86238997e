"""HTTP/1.1 as real clients use it: kept connections, bodies, half-closes, hang-ups, slow readers."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from proa.api import http1
from proa.api.body import HIGH_WATER
from proa.api.server import Server
from proa.engine.images.progress import Progress
from rig.fake_engine import FakeEngine
from rig.raw_client import Client, until


async def test_a_connection_serves_many_requests(client: Client) -> None:
    exchange = await client.connect()
    for _ in range(3):
        await exchange.request("GET", "/_ping")
        reply = await exchange.reply()
        assert (reply.status, reply.body) == (200, b"OK")


async def test_requests_sent_ahead_are_answered_in_order(client: Client) -> None:
    exchange = await client.connect()
    one = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    await exchange.send(one % b"_ping" + body + one % b"nothing" + one % b"v1.44/_ping")
    assert [(await exchange.reply()).status for _ in range(4)] == [200, 400, 404, 200]


async def test_a_request_may_come_byte_by_byte(client: Client) -> None:
    exchange = await client.connect()
    for byte in b"POST /_ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await exchange.reply()).status == 404
    await exchange.request("GET", "/_ping")
    assert (await exchange.reply()).status == 200


async def test_connections_do_not_wait_for_each_other(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    waiting = await client.connect()
    await waiting.request("POST", f"/containers/{identifier}/wait?condition=next-exit")
    status, _ = await waiting.head()  # the headers come before the container even starts
    assert status == 200
    assert (await client.post(f"/containers/{identifier}/start")).status == 204
    assert (await client.post(f"/containers/{identifier}/kill")).status == 204
    assert json.loads(await waiting.chunk()) == {"StatusCode": 137}
    assert await waiting.chunk() == b""


async def test_every_response_tells_of_the_server(client: Client) -> None:
    for method, target in (("GET", "/_ping"), ("GET", "/nothing"), ("GET", "/v1.99/info"), ("POST", "/build")):
        headers = (await client.call(method, target)).headers
        assert headers["api-version"] == "1.51"
        assert headers["ostype"] == "linux"
        assert headers["server"].startswith("Docker/28.5.2 (linux)")


async def test_ping_is_what_clients_negotiate_with(client: Client) -> None:
    for method in ("HEAD", "GET"):
        reply = await client.call(method, "/_ping")
        assert reply.headers["builder-version"] == "1"
        assert reply.headers["swarm"] == "inactive"
        assert reply.headers["cache-control"] == "no-cache, no-store, must-revalidate"
        assert reply.body == (b"OK" if method == "GET" else b"")


async def test_unknown_paths_and_methods_are_not_found(client: Client) -> None:
    for method, target in (
        ("GET", "/"), ("GET", "/v1.44"), ("PATCH", "/containers/json"), ("DELETE", "/_ping"),
        ("GET", "/containers/"), ("GET", "/v1.44/nothing/json"), ("HEAD", "/info"), ("GET", "/vx/info"),
    ):  # fmt: skip
        reply = await client.call(method, target)
        assert reply.status == 404, target
        if method != "HEAD":
            assert reply.body == b'{"message":"page not found"}\n'


async def test_old_http_is_closed_after_the_answer(client: Client) -> None:
    exchange = await client.connect()
    await exchange.send(b"GET /_ping HTTP/1.0\r\n\r\n")
    reply = await exchange.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert await exchange.rest() == b""


@pytest.mark.parametrize("target", ["/_ping", "/events?until=1"])
async def test_a_client_may_ask_for_the_end(client: Client, target: str) -> None:
    exchange = await client.connect()
    await exchange.request("GET", target, headers={"Connection": "Close"})
    assert (await exchange.reply()).headers["connection"] == "close"
    assert await exchange.rest() == b""


async def test_old_http_may_ask_for_more(client: Client) -> None:
    exchange = await client.connect()
    for _ in range(2):
        await exchange.send(b"GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await exchange.reply()).headers["connection"] == "keep-alive"


async def test_a_stream_over_old_http_has_no_chunks(client: Client, engine: FakeEngine) -> None:
    exchange = await client.connect()
    await exchange.send(b"GET /events?until=1 HTTP/1.0\r\n\r\n")
    _, headers = await exchange.head()
    assert "transfer-encoding" not in headers
    assert await exchange.rest() == b""


async def test_the_body_is_asked_for_when_it_is_wanted(client: Client) -> None:
    exchange = await client.connect()
    head = (
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 19\r\nExpect: 100-continue\r\n\r\n"
    )
    await exchange.send(head % b"/containers/create")
    assert await exchange.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await exchange.send(b'{"Image": "busybox"}'[:19])
    assert (await exchange.reply()).status == 400  # cut off: the missing brace was the twentieth byte
    await exchange.send(head % b"/nothing")  # refused without reading: not asked for
    assert (await exchange.reply()).headers["connection"] == "close"
    assert await exchange.rest() == b""


async def test_an_unread_body_does_not_disturb_the_next_request(client: Client) -> None:
    exchange = await client.connect()
    size = 5 * HIGH_WATER
    await exchange.send(b"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    assert (await exchange.reply()).status == 501  # while the client still has all of it to send
    await exchange.send(b"x" * size)
    await exchange.request("GET", "/_ping")
    assert (await exchange.reply()).status == 200


async def test_a_half_closed_client_gets_its_answer(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    await client.post(f"/containers/{identifier}/start")
    waiting = await client.connect()
    await waiting.request("POST", f"/containers/{identifier}/wait")
    waiting.writer.write_eof()
    await waiting.head()
    await asyncio.sleep(0.05)
    assert not engine.containers.waiters[identifier][0][1].cancelled()
    await client.post(f"/containers/{identifier}/kill")
    assert json.loads(await waiting.chunk()) == {"StatusCode": 137}


async def test_an_abandoned_wait_is_freed(client: Client, engine: FakeEngine, server: Server) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    await client.post(f"/containers/{identifier}/start")
    open_before = server.connections
    waiting = await client.connect()
    await waiting.request("POST", f"/containers/{identifier}/wait?condition=next-exit")
    await waiting.head()
    waiting.writer.write_eof()
    await asyncio.sleep(0.02)
    await waiting.close()
    await until(lambda: server.connections <= open_before)
    assert engine.containers.waiters[identifier][0][1].cancelled()


async def test_work_goes_on_when_the_client_has_gone(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    engine.containers.gate = asyncio.Event()
    identifier = await client.create()
    await client.post(f"/containers/{identifier}/start")
    leaving = await client.connect()
    await leaving.request("POST", f"/containers/{identifier}/stop")
    await asyncio.sleep(0.02)
    await leaving.close()
    await asyncio.sleep(0.02)
    engine.containers.gate.set()
    reply = await client.post(f"/containers/{identifier}/wait")
    assert reply.json == {"StatusCode": 137}


async def test_a_request_sent_before_leaving_is_done(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create()
    leaving = await client.connect()
    await leaving.request("DELETE", f"/containers/{identifier}")
    await leaving.close()
    await until(lambda: identifier not in engine.containers.records)


async def test_a_slow_reader_holds_up_only_its_own_stream(client: Client, engine: FakeEngine) -> None:
    line = b"x" * 1000 + b"\n"
    produced = 0

    async def endless(record: object) -> object:
        nonlocal produced
        while True:
            produced += len(line)
            yield [Line(line)]

    class Line:
        def __init__(self, line: bytes) -> None:
            self.stream, self.time, self.line = "stdout", 0, line

    engine.containers._logs = endless  # type: ignore[method-assign,assignment]
    identifier = await client.create()
    slow = await client.connect()
    await slow.request("GET", f"/containers/{identifier}/logs?stdout=1&follow=1")
    await slow.head()
    await asyncio.sleep(0.2)
    held_back = produced
    assert (await client.get("/_ping")).status == 200
    await asyncio.sleep(0.1)
    assert produced == held_back < 4 << 20
    for _ in range(10):
        assert (await slow.chunk())[8:] == line


async def test_a_fast_sender_is_held_back(client: Client, engine: FakeEngine) -> None:
    """An import that nobody reads keeps no more than the buffers in memory."""
    gate = asyncio.Event()
    taken = []

    async def import_(source: object, **options: object) -> str:
        await gate.wait()
        async for chunk in source:  # type: ignore[attr-defined]
            taken.append(len(chunk))
        return "sha256:" + "b" * 64

    engine.images.import_ = import_  # type: ignore[method-assign]
    exchange = await client.connect()
    size = 64 << 20
    await exchange.send(b"POST /images/create?fromSrc=- HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    sending = asyncio.create_task(exchange.send(b"x" * size))
    await asyncio.sleep(0.2)
    unsent = exchange.writer.transport.get_write_buffer_size()
    assert unsent > size - (4 << 20)
    gate.set()
    assert (await exchange.reply()).status == 200
    await sending
    assert sum(taken) == size


async def test_a_pull_is_cancelled_with_its_client(client: Client, engine: FakeEngine) -> None:
    engine.images.hold = asyncio.Event()
    engine.images.steps = [Progress(status="Pulling from library/x", id="latest")]
    exchange = await client.connect()
    await exchange.request("POST", "/images/create?fromImage=x&tag=latest")
    await exchange.head()
    await exchange.close()
    await until(lambda: engine.images.cancelled)


async def test_many_clients_at_once(client: Client) -> None:
    async with asyncio.timeout(20):
        replies = await asyncio.gather(*(client.get("/_ping") for _ in range(200)))
    assert {reply.status for reply in replies} == {200}


async def test_closing_ends_streams_and_finishes_work(engine: FakeEngine, tmp_path: object) -> None:
    from proa.api import listeners

    server = Server(engine)
    path = f"{tmp_path}/closing.sock"
    await server.serve(listeners.listen(f"unix://{path}"))
    client = Client(path)  # type: ignore[arg-type]
    engine.containers.runs_until_stopped = True
    engine.containers.gate = asyncio.Event()
    identifier = await client.create()
    await client.post(f"/containers/{identifier}/start")
    events = await client.connect()
    await events.request("GET", "/events")
    await events.head()
    stopping = await client.connect()
    await stopping.request("POST", f"/containers/{identifier}/stop")
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0.05)
    assert await events.rest() == b""
    engine.containers.gate.set()
    assert (await stopping.reply()).status == 204
    await closing
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(FileNotFoundError):
        late.connect(path)
    await client.close()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_chunks_are_decoded_however_they_are_cut(size: int) -> None:
    wire = b"5;name=value\r\nhello\r\n1\r\n \r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\nGET"
    decoder = http1.ChunkedDecoder()
    found, rest = b"", b""
    for start in range(0, len(wire), size):
        piece = wire[start : start + size]
        if decoder.done:
            rest += piece
            continue
        data, rest = decoder.feed(piece)
        found += data
    assert (decoder.done, found, rest) == (True, b"hello 0123456789abcdef", b"GET")
