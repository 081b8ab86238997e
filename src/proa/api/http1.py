"""HTTP/1.1 on the wire (RFC 9112): heads through httptools, bodies, and the heads of replies."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

import httptools

from proa.api.errors import HttpError

MAX_HEAD = 1 << 20  # bytes of request line and headers, Go's default
_MAX_CHUNK_LINE = 4096
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {101: "UPGRADED"}


class RequestHead:
    """Request line and headers. Names of headers are in lower case; repeated ones are joined by commas."""

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.headers: dict[str, str] = {}
        self.version = "1.1"

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        present = self.headers.get(key)
        self.headers[key] = text if present is None else f"{present}, {text}"

    @property
    def keep_alive(self) -> bool:
        """Whether the client takes further responses on the connection (RFC 9112, 9.3)."""
        words = [word.strip() for word in self.headers.get("connection", "").lower().split(",")]
        return "close" not in words if self.version == "1.1" else "keep-alive" in words

    @property
    def upgrade(self) -> str:
        """The protocol asked for by `Connection: Upgrade`, in lower case, or ""."""
        if "upgrade" not in self.headers.get("connection", "").lower():
            return ""
        return self.headers.get("upgrade", "").lower()


def parse_head(data: bytes) -> RequestHead:
    """Parse one complete head, the blank line included. Raises `HttpError`."""
    head = RequestHead()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # the routes decide what an upgrade means
    except httptools.HttpParserInvalidMethodError:
        raise HttpError(400, "malformed HTTP request: unknown method") from None
    except httptools.HttpParserError as error:
        raise HttpError(400, f"malformed HTTP request: {error}") from None
    head.method = parser.get_method().decode("ascii")
    head.version = parser.get_http_version()
    if head.version not in ("1.0", "1.1"):
        raise HttpError(505, f"unsupported protocol HTTP/{head.version}")
    if head.version == "1.1" and "host" not in head.headers:
        raise HttpError(400, "missing required Host header")
    return head


class Decoder(Protocol):
    """Finds the end of a request's body in what arrives."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what arrived; return the body's bytes in it and, when `done`, what follows the body."""


def body_decoder(head: RequestHead) -> Decoder | None:
    """Return the decoder of the request's body, None if it has none. Raises `HttpError`."""
    coding = head.headers.get("transfer-encoding", "").lower()
    if coding:
        if coding != "chunked":
            raise HttpError(501, f"unsupported transfer encoding: {coding}")
        return ChunkedDecoder()
    length = head.headers.get("content-length", "0")
    return FixedDecoder(int(length)) if length != "0" else None


class FixedDecoder:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        taken = data[: self._left]
        self._left -= len(taken)
        self.done = self._left == 0
        return taken, data[len(taken) :]


class ChunkedDecoder:
    """The chunked transfer coding (RFC 9112, 7.1); extensions and trailers are read over."""

    def __init__(self) -> None:
        self.done = False
        self._buffer = b""
        self._left = -1  # of the chunk being read; -1: a size line comes next, 0: the line end after a chunk
        self._trailers = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        buffer = self._buffer + data if self._buffer else data
        position = 0
        pieces = []
        while not self.done:
            if self._left > 0:
                piece = buffer[position : position + self._left]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                continue
            end = buffer.find(b"\r\n", position)
            if end < 0:
                if len(buffer) - position > _MAX_CHUNK_LINE:
                    raise HttpError(400, "malformed chunked encoding: line too long")
                break
            self._line(buffer[position:end])
            position = end + 2
        self._buffer = b"" if self.done else buffer[position:]
        return b"".join(pieces), buffer[position:] if self.done else b""

    def _line(self, line: bytes) -> None:
        if self._trailers:
            self.done = not line
        elif self._left == 0:
            if line:
                raise HttpError(400, "malformed chunked encoding")
            self._left = -1
        else:
            digits = line.partition(b";")[0].strip()
            if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
                raise HttpError(400, "invalid byte in chunk length")
            size = int(digits, 16)
            self._trailers = size == 0
            # After the data of a chunk stands a line end: `_left` counts down to 0 and waits for it.
            self._left = size if size else -1


def response_head(status: int, headers: dict[str, str], version: str = "1.1") -> bytes:
    """Return the head of a reply, the blank line included."""
    lines = [f"HTTP/{version} {status} {_REASONS.get(status, 'Unknown')}"]
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
