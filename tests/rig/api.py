"""HTTP over an engine's unix socket, by hand: for requests no client makes and answers no client shows."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: str, timeout: float = 60) -> None:
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def message(self) -> str:
        """The text of an error as clients show it."""
        return str(self.json["message"])


class Api:
    """Requests to one engine. `api.get("/containers/json", all=1).json`"""

    def __init__(self, path: str, version: str = "v1.50") -> None:
        self.path = path
        self.prefix = f"/{version}" if version else ""
        self._abandoned: set[str] = set()  # what could not be removed: told once, not after every later test

    def request(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        with contextlib.closing(UnixConnection(self.path)) as connection:
            connection.request(method, self.target(target, query), data, kind | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def target(self, target: str, query: dict[str, Any]) -> str:
        return self.prefix + target + (f"?{urllib.parse.urlencode(query)}" if query else "")

    def get(self, target: str, **query: Any) -> Answer:
        return self.request("GET", target, **query)

    def post(self, target: str, body: Any = None, **query: Any) -> Answer:
        return self.request("POST", target, body, **query)

    def delete(self, target: str, **query: Any) -> Answer:
        return self.request("DELETE", target, **query)

    @contextlib.contextmanager
    def stream(self, method: str, target: str, **query: Any) -> Iterator[http.client.HTTPResponse]:
        """A response read as it comes."""
        with contextlib.closing(UnixConnection(self.path)) as connection:
            connection.request(method, self.target(target, query))
            yield connection.getresponse()

    def hijack(self, target: str, body: Any = None, **query: Any) -> socket.socket:
        """Ask for an upgraded connection and return its socket, positioned after the response's header."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(30)
        connection.connect(self.path)
        data = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"POST {self.target(target, query)} HTTP/1.1", "Host: docker",
            "Connection: Upgrade", "Upgrade: tcp",
            "Content-Type: application/json", f"Content-Length: {len(data)}", "", "",
        ]  # fmt: skip
        connection.sendall("\r\n".join(lines).encode() + data)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                break
            head += byte
        if not head.startswith(b"HTTP/1.1 101"):
            connection.close()
            raise AssertionError(head.decode(errors="replace"))
        return connection

    # For tidying up between tests.

    def ready(self) -> bool:
        try:
            return self.request("GET", "/_ping").status == 200
        except OSError:
            return False

    def remove_everything(self) -> None:
        """Containers, volumes and networks; images stay."""
        for container in self.get("/containers/json", all=1).json:
            self._remove(f"/containers/{container['Id']}", force=1, v=1)
        for volume in (self.get("/volumes").json or {}).get("Volumes") or ():
            self._remove(f"/volumes/{volume['Name']}", force=1)
        networks = self.get("/networks", filters='{"type":["custom"]}').json
        for network in sorted(networks, key=lambda each: bool(each["ConfigOnly"])):  # others may be made of those
            self._remove(f"/networks/{network['Id']}")

    def remove_images(self) -> None:
        for image in self.get("/images/json").json:
            self._remove(f"/images/{image['Id']}", force=1)

    def _remove(self, target: str, **query: Any) -> None:
        if target in self._abandoned:
            return
        deadline = time.monotonic() + 10
        while (answer := self.delete(target, **query)).status not in (200, 204, 404):
            if time.monotonic() > deadline:  # 409: its own auto-removal may be on the way
                self._abandoned.add(target)
                raise AssertionError(f"{target}: {answer.status} {answer.message}")
            time.sleep(0.05)
