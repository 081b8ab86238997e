"""Attach and exec: the client's own socket goes to the engine, with everything it has sent so far."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from proa.api import framing, hijack
from proa.errors import Internal, InvalidArgument
from rig.fake_engine import FakeEngine
from rig.raw_client import Client, Exchange

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
ATTACH = "stream=1&stdout=1&stderr=1"


async def attach(client: Client, identifier: str, query: str = ATTACH, prefix: str = "") -> Exchange:
    exchange = await client.connect()
    await exchange.request("POST", f"{prefix}/containers/{identifier}/attach?{query}", b"", UPGRADE)
    return exchange


async def test_output_follows_an_upgrade_until_the_end(client: Client) -> None:
    identifier = await client.create()
    attached = await attach(client, identifier)
    status, headers = await attached.head()
    assert status == 101
    assert (headers["connection"], headers["upgrade"]) == ("Upgrade", "tcp")
    assert headers["content-type"] == framing.MULTIPLEXED
    await client.post(f"/containers/{identifier}/start")
    assert await attached.rest() == framing.frame("stdout", b"hello\n")


async def test_the_reason_phrase_is_dockers(client: Client) -> None:
    attached = await attach(client, await client.create())
    assert await attached.reader.readline() == b"HTTP/1.1 101 UPGRADED\r\n"


async def test_without_upgrade_the_answer_is_a_plain_200(client: Client) -> None:
    identifier = await client.create()
    exchange = await client.connect()
    await exchange.request("POST", f"/containers/{identifier}/attach?{ATTACH}", b"")
    status, headers = await exchange.head()
    assert status == 200
    assert headers["content-type"] == framing.RAW
    assert not {"content-length", "transfer-encoding"} & set(headers)
    await client.post(f"/containers/{identifier}/start")
    assert await exchange.rest() == framing.frame("stdout", b"hello\n")


@pytest.mark.parametrize(
    ("tty", "prefix", "expected"),
    [
        (False, "/v1.42", framing.MULTIPLEXED),
        (False, "/v1.41", framing.RAW),
        (True, "/v1.51", framing.RAW),
    ],
)
async def test_the_content_type_tells_of_framing(client: Client, tty: bool, prefix: str, expected: str) -> None:
    identifier = await client.create(Tty=tty)
    attached = await attach(client, identifier, prefix=prefix)
    assert (await attached.head())[1]["content-type"] == expected
    await client.post(f"/containers/{identifier}/start")
    output = await attached.rest()
    assert output == (b"hello\n" if tty else framing.frame("stdout", b"hello\n"))


async def test_a_client_without_stdin_may_half_close_first(client: Client) -> None:
    identifier = await client.create()
    attached = await attach(client, identifier)
    attached.writer.write_eof()
    await attached.head()
    await asyncio.sleep(0.02)
    await client.post(f"/containers/{identifier}/start")
    assert await attached.rest() == framing.frame("stdout", b"hello\n")


async def test_stdin_that_comes_with_the_request_is_passed_on(client: Client, engine: FakeEngine) -> None:
    identifier = await client.create(OpenStdin=True, StdinOnce=True)
    exchange = await client.connect()
    await exchange.send(
        f"POST /containers/{identifier}/attach?stdin=1&{ATTACH} HTTP/1.1\r\nHost: x\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nfirst words".encode()
    )
    await exchange.head()
    ((_, request),) = engine.containers.attached[identifier]
    assert (request.stdin, request.buffered) == (True, b"first words")


async def test_what_attach_is_asked_for_reaches_the_engine(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create(Tty=True, OpenStdin=True)
    await client.post(f"/containers/{identifier}/start")
    attached = await attach(client, identifier, "stdin=1&stdout=true&logs=1&detachKeys=ctrl-a,x")
    await attached.head()
    ((_, request),) = engine.containers.attached[identifier]
    assert (request.stdin, request.stdout, request.stderr) == (True, True, False)
    assert (request.logs, request.stream, request.multiplexed) == (True, False, False)
    assert request.detach_keys == b"\x01x"


@pytest.mark.parametrize(
    ("agent", "drain"),
    [("docker-sdk-python/7.1.0", True), ("", True), ("Docker-Client/28.2.2 (linux)", False)],
)
async def test_only_go_clients_take_output_with_the_head(
    client: Client, engine: FakeEngine, agent: str, drain: bool
) -> None:
    identifier = await client.create()
    exchange = await client.connect()
    await exchange.request(
        "POST", f"/containers/{identifier}/attach?{ATTACH}", b"", {**UPGRADE, "User-Agent": agent}
    )
    await exchange.head()
    assert engine.containers.attached[identifier][0][1].drain is drain


async def test_attach_to_nothing_is_an_error_before_the_upgrade(client: Client) -> None:
    attached = await attach(client, "nobody")
    reply = await attached.reply()
    assert (reply.status, reply.message) == (404, "No such container: nobody")
    await attached.request("GET", "/_ping")  # the connection is still HTTP
    assert (await attached.reply()).status == 200


async def test_a_paused_container_takes_no_attach(client: Client, engine: FakeEngine) -> None:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    await client.post(f"/containers/{identifier}/start")
    await client.post(f"/containers/{identifier}/pause")
    reply = await (await attach(client, identifier)).reply()
    assert reply.status == 409
    assert reply.message.endswith("unpause the container before attach")


async def start_exec(client: Client, engine: FakeEngine, **options: object) -> tuple[str, str]:
    engine.containers.runs_until_stopped = True
    identifier = await client.create()
    await client.post(f"/containers/{identifier}/start")
    reply = await client.post(f"/containers/{identifier}/exec", {"Cmd": ["true"], **options})
    assert reply.status == 201
    return identifier, reply.json["Id"]


async def test_exec_runs_and_is_inspected(client: Client, engine: FakeEngine) -> None:
    identifier, execution = await start_exec(client, engine, AttachStdout=True, User="nobody")
    exchange = await client.connect()
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    headers = {**UPGRADE, "Content-Type": "application/json"}
    await exchange.request("POST", f"/exec/{execution}/start", body, headers)
    assert (await exchange.head())[0] == 101
    assert await exchange.rest() == framing.frame("stdout", b"done\n")
    document = (await client.get(f"/exec/{execution}/json")).json
    assert (document["ID"], document["ContainerID"]) == (execution, identifier)
    assert (document["Running"], document["ExitCode"]) == (False, 0)
    assert document["ProcessConfig"] == {
        "tty": False, "entrypoint": "true", "arguments": [], "privileged": False, "user": "nobody",
    }  # fmt: skip


async def test_exec_echoes_stdin_with_half_close(client: Client, engine: FakeEngine) -> None:
    _, execution = await start_exec(client, engine, AttachStdin=True, AttachStdout=True)
    exchange = await client.connect()
    headers = {**UPGRADE, "Content-Type": "application/json"}
    await exchange.request("POST", f"/exec/{execution}/start", b'{"Tty": true}', headers)
    await exchange.head()
    payload = bytes(range(256)) * 4000
    sending = asyncio.create_task(exchange.send(payload))
    echoed = await exchange.reader.readexactly(len(payload))
    await sending
    exchange.writer.write_eof()
    assert (echoed, await exchange.rest()) == (payload, b"")


async def test_stdin_may_be_the_rest_of_a_chunked_body(client: Client, engine: FakeEngine) -> None:
    """dockerode without hijack: the POST stays open and its body is the process's input."""
    _, execution = await start_exec(client, engine, AttachStdin=True, AttachStdout=True)
    exchange = await client.connect()
    await exchange.send(
        f"POST /exec/{execution}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        'Transfer-Encoding: chunked\r\n\r\nf\r\n{"Tty": false} \r\n'.encode()
    )
    assert (await exchange.head())[0] == 200
    await exchange.send(b"6\r\nhello \r\n")
    assert await exchange.reader.readexactly(14) == framing.frame("stdout", b"hello ")
    await exchange.send(b"5\r\nworld\r\n0\r\n\r\n")
    assert await exchange.rest() == framing.frame("stdout", b"world")


async def test_a_detached_exec_answers_at_once(client: Client, engine: FakeEngine) -> None:
    _, execution = await start_exec(client, engine)
    reply = await client.post(f"/exec/{execution}/start", {"Detach": True})
    assert (reply.status, reply.body) == (200, b"")
    assert engine.execs.started == [None]


async def test_an_exec_starts_once(client: Client, engine: FakeEngine) -> None:
    _, execution = await start_exec(client, engine)
    await client.post(f"/exec/{execution}/start", {"Detach": True})
    reply = await client.post(f"/exec/{execution}/start", {"Detach": True})
    assert (reply.status, reply.message) == (409, f"exec command {execution} has already run")


async def test_what_fails_after_the_head_is_written_to_the_stream(client: Client, engine: FakeEngine) -> None:
    engine.execs.failure = Internal("exec failed: no such file or directory")
    _, execution = await start_exec(client, engine, AttachStdout=True)
    exchange = await client.connect()
    headers = {**UPGRADE, "Content-Type": "application/json"}
    await exchange.request("POST", f"/exec/{execution}/start", b"{}", headers)
    assert (await exchange.head())[0] == 101
    expected = framing.frame("stdout", b"exec failed: no such file or directory\r\n")
    assert await exchange.rest() == expected


async def test_exec_needs_a_command_and_a_running_container(client: Client) -> None:
    identifier = await client.create()
    reply = await client.post(f"/containers/{identifier}/exec", {"Cmd": []})
    assert (reply.status, reply.message) == (400, "No exec command specified")
    reply = await client.post(f"/containers/{identifier}/exec", {"Cmd": ["true"]})
    assert (reply.status, reply.message) == (409, f"container {identifier} is not running")
    reply = await client.post("/exec/nothing/start", {})
    assert (reply.status, reply.message) == (404, "No such exec instance: nothing")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-[,Ctrl-A", b"\x1b\x01"),
        ("ctrl-@", b"\0"),
    ],
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert hijack.detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ab", "a,,b", "ctrl-1", "é"])
def test_unknown_detach_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid detach keys"):
        hijack.detach_keys(text)


def test_no_descriptor_is_kept(tmp_path: Path) -> None:
    """Hijacked sockets are the engine's alone: counted over a whole server's life."""

    async def session() -> None:
        from proa.api import listeners
        from proa.api.server import Server

        engine = FakeEngine()
        server = Server(engine)
        await server.serve(listeners.listen(f"unix://{tmp_path}/s.sock"))
        client = Client(tmp_path / "s.sock")
        identifier = await client.create()
        attached = await attach(client, identifier)
        await attached.head()
        await asyncio.sleep(0.01)
        assert server.connections == 1  # the one that `create` came by
        await client.post(f"/containers/{identifier}/start")
        await attached.rest()
        await client.close()
        await server.close()

    before = len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(session())
    assert len(list(Path("/proc/self/fd").iterdir())) == before
