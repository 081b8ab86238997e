"""A proxy that programs are told of by HTTP_PROXY: it forwards requests and tunnels (CONNECT), whatever host is
named, to one server, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self


class ForwardProxy:
    """Runs in a thread of its own, so that a test may wait for programs. `asked` are first lines of requests."""

    def __init__(self, target: str) -> None:
        """`target`: host:port that stands for every host."""
        self.target = target
        self.asked: list[str] = []
        self.proofs: list[str] = []  # of Proxy-Authorization
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(10)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *headers = head.rstrip().split("\r\n")
                self.asked.append(first)
                self.proofs += [each for each in headers if each.lower().startswith("proxy-authorization:")]
                host, _, port = self.target.partition(":")
                onward = await asyncio.open_connection(host, int(port))
                method, url, version = first.split()
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    path = "/" + url.partition("://")[2].partition("/")[2]
                    kept = [each for each in headers if not each.lower().startswith(("connection", "proxy-"))]
                    onward[1].write(
                        "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode()
                    )
                await asyncio.gather(_copy(reader, onward[1]), _copy(onward[0], writer))
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
