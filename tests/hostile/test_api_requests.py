"""Requests that make no sense, or mean harm: each gets one clear answer, and the server goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from proa.api import body, http1, listeners
from proa.api.server import Server
from rig.fake_engine import FakeEngine
from rig.raw_client import Client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    server = Server(FakeEngine())
    await server.serve(listeners.listen(f"unix://{tmp_path}/proa.sock"))
    client = Client(tmp_path / "proa.sock")
    yield client
    await client.close()
    await server.close(patience=1)


class Case(NamedTuple):
    name: str
    data: bytes
    status: int
    message: str = ""


def post(payload: bytes, target: str = "/containers/create", kind: str = "application/json") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


def get(target: str, headers: str = "Host: x\r\n") -> bytes:
    return f"GET {target} HTTP/1.1\r\n{headers}\r\n".encode("latin-1")


CHUNKED = (
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)

CASES = [
    # HTTP
    Case("no HTTP at all", b"hello\r\n\r\n", 400, "malformed HTTP request"),
    Case("TLS on a plain socket", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed"),
    Case("unknown method", b"FROB /_ping HTTP/1.1\r\nHost: x\r\n\r\n", 400, "unknown method"),
    Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Case("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400),
    Case("no host", get("/_ping", ""), 400, "missing required Host header"),
    Case("space before the colon", get("/_ping", "Host : x\r\n"), 400, "malformed"),
    Case("folded header", get("/_ping", "Host: x\r\n folded\r\n"), 400, "malformed"),
    Case("NUL in a header", get("/_ping", "Host: \0\r\n"), 400, "malformed"),
    Case("bare line feeds", b"GET /_ping HTTP/1.1\nHost: x\n\n\r\n\r\n", 400),
    Case("endless headers", b"GET /_ping HTTP/1.1\r\nA: " + b"x" * (http1.MAX_HEAD + 9), 431, "too large"),
    Case("two lengths", get("/_ping", "Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n"), 400),
    Case("negative length", get("/_ping", "Host: x\r\nContent-Length: -1\r\n"), 400),
    Case("length with a plus", get("/_ping", "Host: x\r\nContent-Length: +1\r\n"), 400),
    Case("huge length", get("/_ping", "Host: x\r\nContent-Length: 99999999999999999999999\r\n"), 400),
    Case(
        "length and chunks", get("/_ping", "Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400
    ),
    Case(
        "unknown coding",
        get("/_ping", "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n"),
        501,
        "transfer encoding",
    ),
    Case("broken chunk", CHUNKED + b"zz\r\n", 400, "chunk"),
    Case("negative chunk", CHUNKED + b"-1\r\n", 400, "chunk"),
    # Paths and queries
    Case("bad escape in the path", get("/images/%zz/json"), 400, "invalid URL escape"),
    Case("path that is no UTF-8", get("/images/%ff/json"), 400, "not UTF-8"),
    Case("raw bytes in the path", get("/images/\xff/json"), 400),
    Case("NUL in a name", get("/containers/%00/json"), 404, "No such container"),
    Case("newline in a name", get("/containers/a%0d%0aX:y/json"), 404, "No such container: a"),
    Case("name of dots", get("/containers/../../etc/passwd/json"), 404, "No such container"),
    Case("no name", get("/containers//json"), 404, "page not found"),
    Case("very long name", get("/containers/" + "a" * 100_000 + "/json"), 404, "No such container"),
    Case("asterisk", get("*"), 404, "page not found"),
    Case("absolute form", get("http://x/nothing"), 404, "page not found"),
    Case("bad escape in the query", get("/containers/json?all=%"), 400, "invalid URL escape"),
    Case("semicolon", get("/containers/json?a=1;b=2"), 400, "semicolon"),
    Case("too old", get("/v1.0/info"), 400, "too old"),
    Case("too new", get("/v1.99/info"), 400, "too new"),
    Case("version of dots", get("/v..../info"), 400, "too old"),
    Case("filters that are no JSON", get("/containers/json?filters=x"), 400, "invalid filter"),
    Case("filters nested deeply", get("/images/json?filters=" + "[" * 2000), 400, "invalid filter"),
    Case("unknown filter", get('/containers/json?filters={"color":["red"]}'), 400, "invalid filter 'color'"),
    Case(
        "unknown status", get('/containers/json?filters={"status":["busy"]}'), 400, "invalid filter 'status=busy'"
    ),
    Case(
        "exit code in words",
        get('/containers/json?filters={"exited":["one"]}'),
        400,
        "invalid filter 'exited=one'",
    ),
    Case("limit in words", get("/containers/json?limit=many"), 400, "strconv.Atoi"),
    Case("no stream", get("/containers/x/logs"), 400, "you must choose at least one stream"),
    # Bodies
    Case("no body", post(b""), 400, "invalid JSON: got EOF while reading request body"),
    Case("null", post(b"null"), 400, "config cannot be empty in order to create a container"),
    Case("empty object", post(b"{}"), 400, "config cannot be empty in order to create a container"),
    Case("white space", post(b"  \n"), 400, "got EOF while reading request body"),
    Case("cut off", post(b'{"Image":'), 400, "invalid JSON"),
    Case("NUL in a string", post(b'{"Image":"busybox","Cmd":["a\\u0000"]}'), 400, "contains a NUL character"),
    Case("NUL behind a backslash", post(b'{"Image":"\\\\\\u0000"}'), 400, "contains a NUL character"),
    Case("backslash before u0000", post(b'{"Image":"\\\\u0000"}'), 404, "No such image"),
    Case("list", post(b"[]"), 400, "invalid JSON"),
    Case("two documents", post(b'{"Image":"busybox"}{}'), 400, "unexpected content after JSON"),
    Case("no JSON type", post(b'{"Image":"busybox"}', kind="text/plain"), 400, "must be 'application/json'"),
    Case(
        "form", post(b"Image=busybox", kind="application/x-www-form-urlencoded"), 400, "unsupported Content-Type"
    ),
    Case("wrong type", post(b'{"Image":5}'), 400, "Expected `str`, got `int` - at `$.Image`"),
    Case("no UTF-8", post(b'{"Image":"\xff"}'), 400, "invalid JSON"),
    Case("lone surrogate", post(rb'{"Image":"\ud800"}'), 400, "invalid JSON"),
    Case("nested deeply", post(b'{"Image":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 400, "invalid JSON"),
    Case(
        "huge number",
        post(b'{"Image":"busybox","HostConfig":{"Memory":' + b"9" * 500 + b"}}"),
        400,
        "invalid JSON",
    ),
    Case("not a number", post(b'{"Image":"busybox","HostConfig":{"Memory":NaN}}'), 400, "invalid JSON"),
    Case("fraction", post(b'{"Image":"busybox","HostConfig":{"Memory":1.5}}'), 400, "invalid JSON"),
    Case("no image", post(b'{"Cmd":["a"]}'), 400, "no image"),
    Case("unknown image", post(b'{"Image":"nothing"}'), 404, "No such image: nothing"),
    Case("exec without body", post(b"", "/containers/x/exec"), 400, "got EOF"),
    Case("auth without body", post(b"", "/auth"), 400, "got EOF"),
    Case("tag without name", post(b"", "/images/busybox/tag"), 400, "invalid reference format"),
    Case("pull of nothing", post(b"", "/images/create"), 400, "invalid reference format"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_bad_requests_get_one_clear_answer(client: Client, case: Case) -> None:
    exchange = await client.connect()
    await exchange.send(case.data)
    reply = await exchange.reply()
    assert reply.status == case.status, reply.body
    if case.name in ("too old", "version of dots"):  # such clients know no errors in JSON
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        message = reply.body.decode()
    else:
        message = reply.message
    assert case.message in message
    assert "Traceback" not in message
    assert (await client.get("/_ping")).status == 200


async def test_a_body_that_is_too_large_is_refused_while_it_comes(client: Client) -> None:
    exchange = await client.connect()
    head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    await exchange.send(head + b"Content-Length: %d\r\n\r\n" % (body.MAX_JSON * 2))
    sending = asyncio.create_task(exchange.send(b" " * (body.MAX_JSON * 2)))
    reply = await exchange.reply()
    assert (reply.status, reply.message) == (413, f"request body is larger than {body.MAX_JSON} bytes")
    await sending


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GET", b"GET /_ping HTTP/1.1\r\n", post(b"{}")[:-1],
        b"POST /build HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)  # fmt: skip
async def test_clients_that_leave_early_leave_nothing(client: Client, data: bytes) -> None:
    exchange = await client.connect()
    await exchange.send(data)
    await exchange.close()
    assert (await client.get("/_ping")).status == 200


EARLY = "POST /containers/nobody/kill HTTP/1.1\r\nHost: x\r\n"  # answered whatever its body is


@pytest.mark.parametrize(
    ("head", "rest", "half_close"),
    [
        ("Content-Length: 100\r\n\r\nab", b"", True),
        ("Content-Length: 100\r\n\r\nab", b"cd", True),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"", True),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"zz", False),
        ("Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n", False),
        ("Content-Length: 2\r\nConnection: close\r\n\r\n", b"ab", False),
    ],
)
async def test_a_body_that_breaks_off_after_the_answer_ends_the_connection(
    client: Client, head: str, rest: bytes, half_close: bool
) -> None:
    exchange = await client.connect()
    await exchange.send((EARLY + head).encode())
    assert (await exchange.reply()).status == 404
    if rest:
        await exchange.send(rest)
    if half_close:
        exchange.writer.write_eof()
    if b"zz" in rest and not rest.endswith(b"\n"):
        await exchange.send(b"zzz\r\n")
    assert await exchange.rest() == b""


async def test_a_body_that_is_cut_off_is_an_error(client: Client) -> None:
    exchange = await client.connect()
    await exchange.send(post(b'{"Image":"busybox"}')[:-3])
    exchange.writer.write_eof()
    reply = await exchange.reply()
    assert (reply.status, reply.message) == (400, "unexpected EOF while reading request body")
    assert await exchange.rest() == b""
