"""A small HTTP client for tests: raw bytes out, parsed responses in, nothing hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something that nobody tells of has happened."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The text of an error."""
        assert self.headers["content-type"] == "application/json"
        return str(self.json["message"])


class Exchange:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def request(
        self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Send one request; bodies have a length."""
        lines = [f"{method} {target} HTTP/1.1", "Host: docker"]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of a response."""
        async with asyncio.timeout(10):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        pairs = (line.partition(": ") for line in lines[1:] if line)
        return status, {name.lower(): value for name, _, value in pairs}

    async def reply(self, *, to_head: bool = False) -> Reply:
        """Read one response."""
        status, headers = await self.head()
        body = b""
        async with asyncio.timeout(10):
            if to_head or status in (204, 304):
                pass
            elif headers.get("transfer-encoding") == "chunked":
                while chunk := await self.chunk():
                    body += chunk
            elif "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            else:
                body = await self.reader.read()
        return Reply(status, headers, body)

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked body, b"" for the last."""
        async with asyncio.timeout(10):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


class Client:
    """Opens connections, and has one of its own for whole exchanges."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: list[Exchange] = []

    async def connect(self) -> Exchange:
        exchange = Exchange(*await asyncio.open_unix_connection(str(self.path)))
        self._open.append(exchange)
        return exchange

    async def call(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request on a new connection; a body that is not bytes is sent as JSON."""
        exchange = await self.connect()
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        await exchange.request(method, target, body, headers)
        return await exchange.reply(to_head=method == "HEAD")

    async def get(self, target: str) -> Reply:
        return await self.call("GET", target)

    async def post(self, target: str, body: Any = None) -> Reply:
        return await self.call("POST", target, body)

    async def create(self, name: str = "", **body: Any) -> str:
        """Create a container and return its id."""
        reply = await self.post(f"/containers/create?name={name}", {"Image": "busybox", **body})
        assert reply.status == 201, reply.body
        return str(reply.json["Id"])

    async def close(self) -> None:
        for exchange in self._open:
            await exchange.close()
