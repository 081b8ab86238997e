"""One client's connection: requests in, responses out, one after the other, until somebody closes.

    head -> task with the handler -> body fed to it as it arrives -> response -> next head

The next request waits until the handler has ended and the body of the last one is read or dropped. What
arrives meanwhile is kept up to a limit, then the client is made to wait.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from proa.api import http1
from proa.api.body import HIGH_WATER, Body
from proa.api.errors import ClientGone, HttpError, describe
from proa.api.errors import body as error_body
from proa.api.hangups import HangUps
from proa.api.request import Request, Response
from proa.api.stream import ChunkedStream, RawStream

Application = Callable[[Request], Awaitable[Response | None]]
StandardHeaders = Callable[[], dict[str, str]]

_LINGER = 2.0  # seconds
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """The protocol of one accepted socket; also the `Wire` and `Flow` of its current request."""

    def __init__(
        self,
        application: Application,
        headers: StandardHeaders,
        hang_ups: HangUps,
        connections: set[Connection],
    ) -> None:
        self._application = application
        self._standard_headers = headers
        self._hang_ups = hang_ups
        self._connections = connections
        self._buffer = b""
        self._scanned = 0
        self._decoder: http1.Decoder | None = None
        self._head: http1.RequestHead | None = None
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._eof = False
        self._closing = False  # no further request is taken
        self._raw = False  # the body ends with the response
        self._lingering = False  # what still comes is read over
        self._asked_for_body = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = False
        self._detached = False
        self.hung_up = False
        self.responded = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._descriptor = self._socket.fileno()
        transport.set_write_buffer_limits(HIGH_WATER)
        self._hang_ups.watch(self._descriptor, self._hang_up)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._decoder is not None:
            data = self._feed_body(data)
        self._buffer = self._buffer + data if self._buffer else data
        if self._request is None:
            self._next_request()
        elif len(self._buffer) > HIGH_WATER:
            self._pause()

    def eof_received(self) -> bool:
        """The client sends nothing more; it may well want to read on."""
        self._eof = True
        if self._decoder is not None:
            self._cut_off(HttpError(400, "unexpected EOF while reading request body"))
        if self._request is None:
            return False
        if self._socket.family != socket.AF_UNIX:
            self._hang_up()  # over TCP a client that is gone looks no different
        return True

    def connection_lost(self, exception: Exception | None) -> None:
        self._lost = True
        self._connections.discard(self)
        self._hang_ups.forget(self._descriptor)
        self._writable.set()
        if not self._detached:
            self._hang_up()
            if self._decoder is not None:
                self._cut_off(HttpError(400, "unexpected EOF while reading request body"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # Requests

    def _next_request(self) -> None:
        """Begin the next request if its head is complete."""
        if self._closing:
            self._buffer = b""
            if not self._lingering:
                self._transport.close()
            return
        buffer = self._buffer.lstrip(b"\r\n") if self._buffer[:1] in (b"\r", b"\n") else self._buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            self._buffer, self._scanned = buffer, len(buffer)
            if len(buffer) > http1.MAX_HEAD:
                self._refuse(HttpError(431, "request header fields too large"))
            elif self._eof:
                self._transport.close()
            return
        self._scanned = 0
        self._buffer = buffer[end + 4 :]
        try:
            head = http1.parse_head(buffer[: end + 4])
            decoder = http1.body_decoder(head)
        except HttpError as error:
            self._refuse(error)
            return
        self._begin(head, None if decoder is not None and decoder.done else decoder)

    def _begin(self, head: http1.RequestHead, decoder: http1.Decoder | None) -> None:
        self._head, self._decoder = head, decoder
        self.responded = False
        self._asked_for_body = head.headers.get("expect", "").lower() != "100-continue"
        request = Request(head, Body(self, done=decoder is None), self)
        self._request = request
        self._task = asyncio.get_running_loop().create_task(self._serve(request))
        if decoder is not None:
            data, self._buffer = self._buffer, b""
            self._buffer = self._feed_body(data)
            if self._eof:
                self.eof_received()

    def _feed_body(self, data: bytes) -> bytes:
        """Pass on what belongs to the body; return the rest."""
        assert self._decoder is not None and self._request is not None
        try:
            piece, rest = self._decoder.feed(data)
        except HttpError as error:
            self._closing = True  # where the next request begins is not known
            self._cut_off(error)
            return b""
        if piece:
            self._request.body.feed(piece)
        if self._decoder.done:
            self._decoder = None
            self._request.body.finish()
            if self._task is None:  # the handler has long answered
                self._request = None
        return rest

    def _cut_off(self, error: HttpError) -> None:
        """No more of the body comes."""
        assert self._request is not None
        self._decoder = None
        self._request.body.finish(error)
        if self._task is None:  # the handler has long answered
            self._request = None

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._application(request)
            if response is not None:
                self._respond(response)
            elif not (self.responded or self._detached):
                raise RuntimeError("a handler did not answer")
        except asyncio.CancelledError:
            self._abort()
        except ClientGone:
            self._abort()
        except Exception as error:
            self._fail(error)
        finally:
            self._task = None
            self._finished(request)

    def _fail(self, error: Exception) -> None:
        """Answer with an error; when the response has begun, cut it off visibly."""
        status, message = describe(error)
        if self.responded:
            self._abort()
        elif status == 304:
            self._respond(Response(304))
        elif isinstance(error, HttpError) and error.plain:
            self._respond(Response(status, message.encode() + b"\n", "text/plain; charset=utf-8"))
        else:
            self._respond(Response(status, error_body(message)))

    def _finished(self, request: Request) -> None:
        """The handler is done: go on with the next request once the body is out of the way."""
        if self._detached or self._lost:
            self._request = None
            return
        if not self._asked_for_body and self._decoder is not None:
            self._closing = True  # the client was told not to send it and may send it all the same
            self._decoder = None
        if self._raw:
            self._decoder = None
        request.body.discard()
        self._resume()
        if self._decoder is None:  # else the rest of the body is read over first
            self._request = None
            if self._buffer or self._closing:
                self._next_request()
            elif self._eof:
                self._transport.close()

    def _refuse(self, error: HttpError) -> None:
        """Answer what could not be understood, and close.

        Closing over unread data would reset the connection and take the answer with it, so what comes is
        read over for a moment.
        """
        self._head = None
        self._closing = self._lingering = True
        self._buffer = b""
        self._respond(Response(error.status, error_body(error.message)))
        if self._eof:
            self._transport.close()
        else:
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    # Responses

    def _respond(self, response: Response) -> None:
        if self._lost:
            return
        headers = self._headers()
        body = response.body
        if response.status not in (204, 304):
            if body:
                headers["Content-Type"] = response.content_type
            headers["Content-Length"] = str(len(body))
        headers.update(response.headers)
        if self._head is not None and self._head.method == "HEAD":
            body = b""
        if response.status in (204, 304):
            body = b""
        self.responded = True
        self._transport.write(http1.response_head(response.status, headers) + body)

    def _headers(self) -> dict[str, str]:
        head = self._head
        headers = self._standard_headers()
        unread = not self._asked_for_body and self._decoder is not None
        if head is None or not head.keep_alive or unread:
            self._closing = True
        if self._closing:
            headers["Connection"] = "close"
        elif head is not None and head.version == "1.0":
            headers["Connection"] = "keep-alive"
        return headers

    async def begin(
        self, status: int, content_type: str, headers: dict[str, str] | None = None
    ) -> ChunkedStream | RawStream:
        """Send the head of a stream at once."""
        assert self._head is not None
        chunked = self._head.version == "1.1"
        if not chunked:
            self._closing = True
        fields = self._headers() | {"Content-Type": content_type} | (headers or {})
        if chunked:
            fields["Transfer-Encoding"] = "chunked"
        self.responded = True
        await self.send(http1.response_head(status, fields))
        return ChunkedStream(self.send) if chunked else RawStream(self.send)

    async def begin_raw(self, head: bytes) -> RawStream:
        """Send the head of a hijacked response whose socket stays here; the connection ends with it."""
        self.responded = self._closing = self._raw = True
        await self.send(head)
        return RawStream(self.send)

    async def send(self, data: bytes) -> None:
        """Write, and wait while too much is unsent. Raises `ClientGone`."""
        if self._lost or self._transport.is_closing():
            raise ClientGone
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
            if self._lost:
                raise ClientGone

    async def detach(self, head: bytes) -> tuple[int, bytes]:
        """Send the head of a hijacked response and give the socket away.

        Returns a descriptor of its own, non-blocking, and what the client has sent already. Nothing is
        awaited when the head fits the socket's buffer, so nothing can come in between.
        """
        self.responded = True
        self._pause()
        self._transport.write(head)
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)  # wait for all of it
            await self._writable.wait()
        if self._lost:
            raise ClientGone
        self._detached = True
        descriptor = os.dup(self._descriptor)
        self._hang_ups.forget(self._descriptor)
        buffered, self._buffer = self._buffer, b""
        self._transport.abort()  # closes asyncio's descriptor without shutting the connection down
        return descriptor, buffered

    # The body's flow

    def pause_reading(self) -> None:
        self._pause()

    def resume_reading(self) -> None:
        if len(self._buffer) <= HIGH_WATER:
            self._resume()

    def ask_for_body(self) -> None:
        if not self._asked_for_body:
            self._asked_for_body = True
            if not (self.responded or self._lost):
                self._transport.write(_CONTINUE)

    def _pause(self) -> None:
        if not self._paused and not self._lost:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._lost and not self._detached:
            self._paused = False
            self._transport.resume_reading()

    # Ends

    def shut_down(self, *, now: bool) -> asyncio.Task[None] | None:
        """Take no further request, end a waiting one; return the running one's task. `now` ends any."""
        self._closing = True
        if self._request is None:
            self._transport.close()
        elif self._task is not None and (now or self._request.abandonable):
            self._task.cancel()
        return self._task

    def _hang_up(self) -> None:
        self.hung_up = True
        if self._request is None:
            if not self._lost and not self._detached and not self._buffer and self._eof:
                self._transport.close()
        elif self._task is not None and self._request.abandonable:
            self._task.cancel()

    def _abort(self) -> None:
        self._closing = True
        if not self._lost and not self._detached:
            self._transport.abort()
