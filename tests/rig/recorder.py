"""An engine that answers by a script and writes down what it was asked: for tests of clients.

It stands in for the engine where a client's own requests are the subject, and it shows what docker's command
line sends. The real engine serves the end-to-end tests.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

PING = {"Api-Version": "1.50", "Ostype": "linux", "Server": "Docker/28.2.2 (linux)"}
ID = "1" * 64


@dataclass
class Request:
    """One request; `path` lacks the version."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Reply:
    """`value` is sent as JSON, `text` as it is; `after` holds back the body, not the head; `takes_over` gets
    the connection after a 101."""

    status: int = 200
    value: Any = None
    text: bytes = b""
    after: threading.Event | None = None
    chunks: list[bytes] | None = None
    takes_over: Callable[[socket.socket, BinaryIO], None] | None = None
    headers: dict[str, str] = field(default_factory=dict)


Answer = Reply | Callable[[Request], Reply]


def error(status: int, message: str) -> Reply:
    return Reply(status, {"message": message})


def frame(stream: int, data: bytes) -> bytes:
    """One frame of output without a terminal."""
    return struct.pack(">BxxxL", stream, len(data)) + data


def stream(*pieces: bytes) -> Reply:
    """A hijacked connection that sends `pieces` and ends."""

    def send(connection: socket.socket, _reader: BinaryIO) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return Reply(101, takes_over=send)


class Recorder:
    """`with Recorder(path) as engine: engine.on("POST /containers/create", Reply(201, {"Id": ID}))`.

    Routes are regular expressions for "METHOD /path" without the version; the last that fits answers, and a list
    of replies is used up one by one, but for its last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[Request] = []
        self.connections = 0
        self._routes: list[tuple[re.Pattern[str], list[Answer]]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.on("(HEAD|GET) /_ping", Reply(text=b"OK", headers=PING))

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def on(self, route: str, *answers: Answer) -> Self:
        self._routes.append((re.compile(route), list(answers)))
        return self

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def asked(self, route: str) -> list[Request]:
        return [request for request in self.requests if re.fullmatch(route, str(request))]

    def only(self, route: str) -> Request:
        found = self.asked(route)
        assert len(found) == 1, f"{route}: {[str(request) for request in self.requests]}"
        return found[0]

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join(10)

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with connection, connection.makefile("rb") as reader:
                while request := _read(reader):
                    self.requests.append(request)
                    if not self._answer(connection, reader, request):
                        break
                with self._lock:
                    self._open.discard(connection)
        except OSError:
            with self._lock:
                self._open.discard(connection)

    def _answer(self, connection: socket.socket, reader: BinaryIO, request: Request) -> bool:
        reply = self._reply(request)
        if reply.takes_over:
            connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            reply.takes_over(connection, reader)
            return False
        data = reply.text if reply.value is None else json.dumps(reply.value).encode()
        headers = {
            "Content-Type": "application/json" if reply.value is not None else "text/plain",
            **reply.headers,
        }
        chunked = reply.chunks is not None or reply.after is not None
        headers |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(data))}
        lines = [f"HTTP/1.1 {reply.status} Because", *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        if reply.after:
            assert reply.after.wait(20)
        if chunked:
            for piece in [*(reply.chunks or [data]), b""]:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        elif request.method != "HEAD" and reply.status not in (204, 304):
            connection.sendall(data)
        return True

    def _reply(self, request: Request) -> Reply:
        for route, answers in reversed(self._routes):
            if route.fullmatch(str(request)):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                return answer(request) if callable(answer) else answer
        return error(404, "page not found")


def _read(reader: BinaryIO) -> Request | None:
    line = reader.readline().decode()
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers = {}
    while (line := reader.readline().decode().rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    path = urllib.parse.unquote(re.sub(r"^/v[0-9.]+", "", path))
    return Request(method, path, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), headers, body)
