"""HTTP/1.1 (RFC 9112) as a client of one engine needs it: keep-alive, chunked bodies both ways, upgrades.

Sockets are `_socket`'s (importing `socket` costs 4 ms). Sends carry MSG_NOSIGNAL: SIGPIPE keeps its default
action in the command line, so that a closed standard output ends it as it ends any program.
"""

from __future__ import annotations

from _socket import MSG_NOSIGNAL

from proa.client.errors import CannotConnect
from proa.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from socket import socket

    Parameters = Mapping[str, str | list[str]]

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@")
_READ_SIZE = 65536
_MAX_HEAD = 1 << 20


class Connection:
    """One connection: requests and answers in turn. `unread` holds bytes that came after what was asked for."""

    def __init__(self, sock: socket, host: str) -> None:
        self.socket = sock
        self.unread = b""
        self._host = host

    def send(self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: dict[str, str]) -> None:
        """Send a request; an iterable body is sent in chunks as they come. Raises `OSError`."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if isinstance(body, bytes) or body is None:
            lines.append(f"Content-Length: {len(body or b'')}")
            self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""), MSG_NOSIGNAL)
            return
        lines.append("Transfer-Encoding: chunked")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), MSG_NOSIGNAL)
        for chunk in body:
            if chunk:
                self.socket.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk), MSG_NOSIGNAL)
        self.socket.sendall(b"0\r\n\r\n", MSG_NOSIGNAL)

    def receive(self, method: str = "GET") -> Response:
        """Read the head of the next answer; informational ones are skipped. Raises `CannotConnect` at its end."""
        while True:
            head = self._read_head()
            status, headers = _parse_head(head)
            if status >= 200 or status == 101:
                return Response(self, status, headers, bodiless=method == "HEAD")

    def _read_head(self) -> bytes:
        while (end := self.unread.find(b"\r\n\r\n")) < 0:
            if not self.fill() or len(self.unread) > _MAX_HEAD:
                raise CannotConnect("the engine closed the connection without an answer")
        head, self.unread = self.unread[:end], self.unread[end + 4 :]
        return head

    def fill(self) -> bool:
        """Read once into `unread`; False at the end of the stream."""
        try:
            data = self.socket.recv(_READ_SIZE)
        except ConnectionResetError:
            data = b""
        self.unread += data
        return bool(data)

    def alive(self) -> bool:
        """Return whether an idle connection can take a request: not hung up, and nothing unasked came."""
        self.socket.setblocking(False)
        try:
            self.unread += self.socket.recv(1)
        except BlockingIOError:
            return not self.unread
        except OSError:
            pass
        finally:
            self.socket.setblocking(True)
        return False

    def close(self) -> None:
        self.socket.close()


class Response:
    """An answer's head, and its body to be read once. `headers` have lower-case names."""

    def __init__(self, connection: Connection, status: int, headers: dict[str, str], bodiless: bool) -> None:
        self.connection = connection
        self.status = status
        self.headers = headers
        self.reusable = headers.get("connection", "").lower() != "close"
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._left = -1
        if bodiless or status in (101, 204, 304):
            self._left = 0
        elif not self._chunked:
            self._left = int(headers.get("content-length", -1))
            self.reusable = self.reusable and self._left >= 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the body's bytes as they arrive. Raises `CannotConnect` when it ends too early."""
        if self._chunked:
            yield from self._chunked_body()
            return
        connection = self.connection
        while self._left:
            if not connection.unread and not connection.fill():
                if self._left > 0:
                    raise CannotConnect("the engine closed the connection in the middle of an answer")
                return
            data = connection.unread if self._left < 0 else connection.unread[: self._left]
            connection.unread = connection.unread[len(data) :]
            if self._left > 0:
                self._left -= len(data)
            yield data

    def _chunked_body(self) -> Iterator[bytes]:
        connection = self.connection
        while True:
            size = int(self._line().partition(b";")[0], 16)
            if not size:
                while self._line():
                    pass  # trailers
                return
            left = size
            while left:
                if not connection.unread and not connection.fill():
                    raise CannotConnect("the engine closed the connection in the middle of an answer")
                data = connection.unread[:left]
                connection.unread = connection.unread[len(data) :]
                left -= len(data)
                yield data
            self._line()

    def _line(self) -> bytes:
        connection = self.connection
        while (end := connection.unread.find(b"\r\n")) < 0:
            if not connection.fill():
                raise CannotConnect("the engine closed the connection in the middle of an answer")
        line, connection.unread = connection.unread[:end], connection.unread[end + 2 :]
        return line

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def lines(self) -> Iterator[bytes]:
        """Yield the body's lines without their ends, as they arrive: JSON streams have one value a line."""
        rest = b""
        for data in self.chunks():
            *whole, rest = (rest + data).split(b"\n")
            yield from (line for line in whole if line.strip())
        if rest.strip():
            yield rest


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise Internal(f"the engine does not speak HTTP: {first[:60]!r}")
    headers = {}
    for line in rest:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


def quote(text: str) -> str:
    """Percent-encode (RFC 3986) all that may not stand in a path as it is."""
    data = text.encode("utf-8", "surrogateescape")
    if _SAFE.issuperset(data):
        return text
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in data)


def query(parameters: Parameters) -> str:
    """Return "?name=value&…", "" for none; a list stands for several values.

    Slashes are encoded: names of images have them.
    """
    if not parameters:
        return ""
    pairs = (
        f"{name}={quote(value).replace('/', '%2F')}"
        for name, values in parameters.items()
        for value in (values if isinstance(values, list) else (values,))
    )
    return "?" + "&".join(pairs)
