"""Two hundred streams of all kinds on one engine, on the local socket and over TLS: each gets every byte, once."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rig.certificates import Authority
from rig.engine import Engine, eventually, running
from rig.fuzzing.accounts import memory
from rig.registry import Registry
from rig.tcp import free_port

LINES = 8000  # on each of both streams
ERRORS = 1_000_000  # where the numbers on standard error begin
SCRIPT = f"read start; seq {LINES} & seq {ERRORS + 1} {ERRORS + LINES} >&2; wait"
ON_TERMINAL = SCRIPT.replace("&", ";", 1)  # two at once would write into each other's lines
EXEC_LINES = 1500

Output = dict[int, bytes]  # by the number of the stream


class Server(NamedTuple):
    engine: Engine
    port: int
    tls: ssl.SSLContext

    async def open(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection: every third one over TLS."""
        if number % 3:
            return await asyncio.open_unix_connection(str(self.engine.socket))
        return await asyncio.open_connection("localhost", self.port, ssl=self.tls)


@pytest.fixture(scope="module")
def server(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    own, client = authority.issue("server", "server"), authority.issue("client", "client")
    port = free_port()
    arguments = [
        "--host", f"tcp://localhost:{port}", "--tlsverify", "--tlscacert", str(authority.certificate),
        "--tlscert", str(own / "cert.pem"), "--tlskey", str(own / "key.pem"),
    ]  # fmt: skip
    tls = ssl.create_default_context(cafile=str(authority.certificate))
    tls.load_cert_chain(client / "cert.pem", client / "key.pem")
    with running(registry.url, arguments, pull="busybox") as engine:
        yield Server(engine, port, tls)


class Stream:
    """One streaming request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._chunked = False

    @classmethod
    async def begin(
        cls, server: Server, number: int, method: str, target: str, body: object = None, *, hijack: bool = False
    ) -> Stream:
        stream = cls(*await server.open(number))
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} /v1.47{target} HTTP/1.1", "Host: docker", f"Content-Length: {len(data)}"]
        lines += ["Content-Type: application/json"] if data else []
        lines += ["Connection: Upgrade", "Upgrade: tcp"] if hijack else []
        stream.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        head = await stream.reader.readuntil(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")), head
        stream._chunked = b"chunked" in head
        return stream

    async def pieces(self) -> AsyncIterator[bytes]:
        """What comes, without the chunks' frames."""
        while True:
            if self._chunked:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                data = await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            else:
                data = await self.reader.read(1 << 16)
            if not data:
                return
            yield data

    async def output(self, *, framed: bool) -> Output:
        """All of it, by stream."""
        data = b"".join([piece async for piece in self.pieces()])
        self.writer.close()
        if not framed:
            return {1: data}
        found: Output = {1: b"", 2: b""}
        place = 0
        parts: dict[int, list[bytes]] = {1: [], 2: []}
        while place < len(data):
            number, length = struct.unpack_from(">BxxxI", data, place)
            parts[number].append(data[place + 8 : place + 8 + length])
            assert len(parts[number][-1]) == length
            place += 8 + length
        return found | {number: b"".join(each) for number, each in parts.items()}


def expected(first: int, count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(first, first + count))


BOTH = {1: expected(1, LINES), 2: expected(ERRORS + 1, LINES)}
FROM_EXEC = {1: expected(1, EXEC_LINES), 2: b""}


def whole(found: Output, wanted: Output) -> bool:
    """Whether everything came in order; a terminal mixes both streams, line by line."""
    if 2 in found:
        return found == wanted
    lines = found[1].replace(b"\r\n", b"\n").removeprefix(b"go\n").splitlines(keepends=True)
    parts = {1: [line for line in lines if len(line) < 7], 2: [line for line in lines if len(line) >= 7]}
    return all(b"".join(parts[number]) == each for number, each in wanted.items())


def create(engine: Engine, **config: Any) -> str:
    body = {"Image": "busybox", "OpenStdin": True, "StdinOnce": True, **config}
    body = {"HostConfig": {"NetworkMode": "none"}, **body}
    made = engine.api.post("/containers/create", body)
    assert made.status == 201, made
    return str(made.json["Id"])


def shim(engine: Engine, identifier: str) -> int:
    pid = engine.api.get(f"/containers/{identifier}/json").json["State"]["Pid"]
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.timeout(240)
def test_two_hundred_streams(server: Server) -> None:
    engine = server.engine
    assert engine.process
    talkers = [create(engine, Cmd=["sh", "-c", SCRIPT]) for _ in range(3)]
    talkers.append(create(engine, Cmd=["sh", "-c", ON_TERMINAL], Tty=True))
    idle = create(engine, Cmd=["sleep", "1000"])
    engine.api.post(f"/containers/{idle}/start")
    before = memory(engine.process.pid)
    results = asyncio.run(_all(server, talkers, idle))
    wrong = [name for name, right in results if not right]
    assert len(results) >= 200 and not wrong, f"{len(wrong)} of {len(results)} streams are not whole: {wrong[:12]}"
    assert memory(engine.process.pid) < before + 80
    engine.api.remove_everything()
    eventually(lambda: engine.descriptors() < 60)


async def _all(server: Server, talkers: list[str], idle: str) -> list[tuple[str, bool]]:
    """Open 200 streams, let the containers talk, and say of each stream whether all came."""
    tasks: list[tuple[str, Awaitable[bool]]] = []

    def add(name: str, work: Awaitable[bool]) -> None:
        tasks.append((name, asyncio.ensure_future(work)))

    async def hear(stream: Stream, *, framed: bool, wanted: Output) -> bool:
        return whole(await stream.output(framed=framed), wanted)

    watched = [
        (kind, await Stream.begin(server, number, "GET", target))
        for number in range(10)
        for kind, target in (("events", "/events"), ("stats", f"/containers/{idle}/stats"))
    ]
    for number in range(80):
        target = talkers[number % 4]
        stream = await Stream.begin(
            server, number, "POST", f"/containers/{target}/attach?stream=1&stdout=1&stderr=1", hijack=True
        )
        add(f"attach {number}", hear(stream, framed=number % 4 != 3, wanted=BOTH))
    inputs = []
    for target in talkers:
        inputs.append(
            await Stream.begin(server, 1, "POST", f"/containers/{target}/attach?stream=1&stdin=1", hijack=True)
        )
        await asyncio.to_thread(server.engine.api.post, f"/containers/{target}/start")
    for number in range(60):
        target = talkers[number % 4]
        stream = await Stream.begin(server, number, "GET", f"/containers/{target}/logs?follow=1&stdout=1&stderr=1")
        add(f"logs {number}", hear(stream, framed=number % 4 != 3, wanted=BOTH))
    for each in inputs:
        each.writer.write(b"go\n")
    for number in range(40):
        add(f"exec {number}", _exec(server, number, idle))
    results = [(name, await work) for name, work in tasks]
    for target in talkers:
        await asyncio.to_thread(server.engine.api.post, f"/containers/{target}/wait")
    for kind, stream in watched:
        results.append((kind, await _watch(kind, stream, talkers)))
    return results


async def _exec(server: Server, number: int, container: str) -> bool:
    tty = number % 2 == 1
    body = {"Cmd": ["seq", str(EXEC_LINES)], "AttachStdout": True, "AttachStderr": True, "Tty": tty}
    made = await asyncio.to_thread(server.engine.api.post, f"/containers/{container}/exec", body)
    stream = await Stream.begin(
        server, number, "POST", f"/exec/{made.json['Id']}/start", {"Detach": False, "Tty": tty}, hijack=True
    )
    found = await stream.output(framed=not tty)
    return whole(found, FROM_EXEC)


async def _watch(kind: str, stream: Stream, talkers: list[str]) -> bool:
    """Read events until the end of each container was told, of stats two samples."""
    ends: set[str] = set()
    samples = 0
    rest = b""
    async with asyncio.timeout(20):
        async for piece in stream.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                document = json.loads(line)
                samples += "memory_stats" in document
                if document.get("Action") == "die":
                    ends.add(document["Actor"]["ID"])
            if (kind == "events" and ends >= set(talkers)) or samples >= 2:
                break
    stream.writer.close()
    return True


# Slow readers. Where an attached client does not read, its container waits, as with Docker (docs/logging.md).


def talker(server: Server, mode: str = "") -> str:
    script = "i=0; while :; do i=$((i+1)); echo line $i 0123456789012345678901234567890123456789; done"
    log = {"Type": "json-file", "Config": {"mode": mode} if mode else {}}
    return create(server.engine, Cmd=["sh", "-c", script], HostConfig={"NetworkMode": "none", "LogConfig": log})


def last_line(server: Server, name: str) -> int:
    said = server.engine.api.get(f"/containers/{name}/logs", stdout=1, tail=1).body
    found = re.search(rb"line (\d+)", said)
    return int(found[1]) if found else 0


def goes_on(server: Server, name: str) -> bool:
    """Whether the log grows for a while."""
    first = last_line(server, name)
    try:
        eventually(lambda: last_line(server, name) > first + 20_000, 6)
    except AssertionError:
        return False
    return True


def stalled(server: Server, number: int, method: str, target: str, *, hijack: bool = False) -> Stream:
    """A client that asks and never reads. Its small buffers are full at once."""

    async def begin() -> Stream:
        stream = await Stream.begin(server, number, method, target, hijack=hijack)
        stream.writer.transport.pause_reading()  # type: ignore[attr-defined]
        return stream

    return server_loop().run_until_complete(begin())


_loop: list[asyncio.AbstractEventLoop] = []


def server_loop() -> asyncio.AbstractEventLoop:
    if not _loop:
        _loop.append(asyncio.new_event_loop())
    return _loop[0]


@pytest.mark.parametrize("over", ["the local socket", "TLS"])
def test_readers_of_logs_hold_up_nobody(server: Server, over: str) -> None:
    name = talker(server)
    server.engine.api.post(f"/containers/{name}/start")
    clients = [
        stalled(server, 0 if over == "TLS" else 1, "GET", f"/containers/{name}/logs?follow=1&stdout=1")
        for _ in range(12)
    ]
    assert server.engine.process
    before = memory(server.engine.process.pid)
    assert goes_on(server, name) and goes_on(server, name)
    assert memory(server.engine.process.pid) < before + 40
    _leave(clients)
    server.engine.api.remove_everything()


@pytest.mark.parametrize(("mode", "waits"), [("", True), ("non-blocking", False)])
def test_an_attached_client_that_does_not_read(server: Server, mode: str, waits: bool) -> None:
    name = talker(server, mode)
    client = stalled(server, 1, "POST", f"/containers/{name}/attach?stream=1&stdout=1", hijack=True)
    server.engine.api.post(f"/containers/{name}/start")
    eventually(lambda: last_line(server, name) > 5000)
    time.sleep(2)  # more comes than the client's socket and buffer take
    assert goes_on(server, name) is not waits
    assert memory(shim(server.engine, name)) < 30
    _leave([client])
    assert goes_on(server, name), "the client has gone"
    server.engine.api.remove_everything()


def _leave(clients: list[Stream]) -> None:
    for client in clients:
        client.writer.transport.abort()
    server_loop().run_until_complete(asyncio.sleep(0.05))
    server_loop().close()
    _loop.clear()


@pytest.mark.parametrize("kind", ["export", "archive"])
def test_readers_of_archives_hold_up_nobody(server: Server, kind: str) -> None:
    """Many that do not read: threads that wait for them are not those that others need."""
    name = create(server.engine, Cmd=["sh", "-c", "head -c 20000000 /dev/zero >/big; sleep 1000"])
    server.engine.api.post(f"/containers/{name}/start")
    eventually(lambda: server.engine.api.request("HEAD", f"/containers/{name}/archive", path="/big").status == 200)
    target = f"/containers/{name}/export" if kind == "export" else f"/containers/{name}/archive?path=/"
    clients = [stalled(server, 1, "GET", target) for _ in range(30)]
    done: list[Callable[[], object]] = [
        lambda: server.engine.docker.ok("run", "--rm", "busybox", "echo", "x"),
        lambda: server.engine.api.get(f"/containers/{name}/changes"),
        lambda: server.engine.api.get(f"/containers/{name}/stats", stream=0),
        lambda: server.engine.api.get(f"/containers/{name}/archive", path="/etc/passwd"),
    ]
    for work in done:
        assert work()
    _leave(clients)
    server.engine.api.remove_everything()


def test_those_who_vanish_from_a_silent_container_leave_nothing(server: Server) -> None:
    """A client without stdin closes its sending side at once; that it has gone later must still be noticed."""
    name = create(server.engine, Cmd=["sleep", "1000"])
    server.engine.api.post(f"/containers/{name}/start")
    pid = shim(server.engine, name)

    def opened() -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    before = opened()
    for _ in range(20):
        connection = server.engine.api.hijack(f"/containers/{name}/attach", stream=1, stdout=1)
        connection.shutdown(1)
        eventually(lambda: opened() > before)
        connection.close()
    eventually(lambda: opened() == before)
    server.engine.api.remove_everything()
