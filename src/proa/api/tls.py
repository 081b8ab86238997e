"""TLS for the API: certificates by dockerd's rules, and the connections that speak it.

asyncio's own TLS ends a connection when one side has said its last word. Attached clients end their input that
way and still want the output, so TLS is spoken here, between the client's TCP connection and a socket pair:

    client ── TLS on TCP ── TlsConnection ── socket pair ── Connection, or after a hijack the container's shim

What serves the other end of the pair sees an ordinary unix socket: half-closes and hang-ups mean what they say,
and it can be handed to a shim.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from proa.api.body import HIGH_WATER, Body
from proa.api.hangups import HangUps
from proa.errors import InvalidArgument

_HANDSHAKE = 60.0  # seconds that a client may take for it
_LINGER = 2.0  # seconds to read over what still comes, so that the last words are not lost to a reset
_PIECE = 64 << 10
# Go's words for it:
_SPEAKS_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_log = logging.getLogger(__name__)


def server_context(ca: str, certificate: str, key: str, *, verify: bool) -> ssl.SSLContext:
    """Return the context of listeners; with `verify` clients need a certificate that `ca` has signed.

    Raises `InvalidArgument` in dockerd's words for files that are missing or are not what they should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except OSError as error:
        raise InvalidArgument(
            f'invalid TLS configuration: Could not load X509 key pair (cert: "{certificate}", key: "{key}"): '
            f"{_reason(error)}"
        ) from None
    if verify:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise InvalidArgument(
                f'invalid TLS configuration: could not read CA certificate "{ca}": {_reason(error)}'
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_passphrase() -> str:
    raise InvalidArgument("invalid TLS configuration: the private key is encrypted, and a daemon can ask nobody")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM data was found in it").lower().replace("_", " ")
    return (error.strerror or str(error)).lower()


class TlsConnection(asyncio.Protocol):
    """One client: `protocol()` makes what serves its requests; `connections` holds all that are open."""

    def __init__(
        self,
        context: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        hang_ups: HangUps,
        connections: set[TlsConnection],
    ) -> None:
        self._protocol = protocol
        self._hang_ups = hang_ups
        self._connections = connections
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._received = Body(self, done=False)
        self._writable = asyncio.Event()
        self._writable.set()
        self.serving: asyncio.Task[None] | None = None
        self._passing_on: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER)
        self._connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(_HANDSHAKE, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._incoming.write(data)
        try:
            if self.serving is None:
                self._tls.do_handshake()
                self._stop_timer()
                self.serving = asyncio.get_running_loop().create_task(self._serve())
            while piece := self._tls.read(_PIECE):
                self._received.feed(piece)
            self._received.finish()  # the client sends nothing more, and may well want to read on
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._received.finish()
        except ssl.SSLError as error:
            self._fail(error)
        self._flush()

    def connection_lost(self, exception: Exception | None) -> None:
        self._connections.discard(self)
        self._stop_timer()
        self._writable.set()
        self._received.finish()
        if self.serving is None:
            return
        if self._passing_on is not None and self._passing_on.done():
            self.serving.cancel()
        else:
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self.serving.cancel)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # The flow of what is received

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def ask_for_body(self) -> None:
        """Nobody waits to be asked."""

    # Both directions

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours:
            for end in (ours, theirs):
                end.setblocking(False)
            await loop.connect_accepted_socket(self._protocol, theirs)
            gone = asyncio.Event()
            self._hang_ups.watch(ours.fileno(), gone.set)
            passing_on = self._passing_on = loop.create_task(self._pass_on(ours))
            try:
                while data := await loop.sock_recv(ours, _PIECE):
                    await self._send(data)
                self._close_notify()
                await gone.wait()
            except OSError:
                pass  # one side has gone: nobody is left to be told
            finally:
                self._hang_ups.forget(ours.fileno())
                passing_on.cancel()
                await asyncio.wait([passing_on])
                self._end()

    async def _pass_on(self, ours: socket.socket) -> None:
        """Pass on what the client sends; when it has left, let its last words arrive and hang up."""
        loop = asyncio.get_running_loop()
        try:
            async for piece in self._received:
                await loop.sock_sendall(ours, piece)
            ours.shutdown(socket.SHUT_WR)
        except OSError:
            self._received.discard()  # nobody reads on there
        if self._transport.is_closing() and self.serving is not None:
            self.serving.cancel()

    async def _send(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()
        await self._writable.wait()
        if self._transport.is_closing():
            raise ConnectionError

    def _close_notify(self) -> None:
        """Tell the client that nothing more comes (RFC 8446, 6.1)."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the client's own end is still to come
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())

    def _fail(self, error: ssl.SSLError) -> None:
        """End a connection that can not be understood; the alert that says why is in `_outgoing`."""
        if self.serving is None:
            peer = self._transport.get_extra_info("peername")
            _log.debug("http: TLS handshake error from %s: %s", peer, error.reason or error)
            if error.reason == "HTTP_REQUEST":
                self._outgoing.write(_SPEAKS_HTTP)
        self._flush()
        self._received.finish()
        self._end()

    def _end(self) -> None:
        """Close when the client does, or soon."""
        self._stop_timer()
        self._received.discard()
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        self._transport.abort()
        if self.serving is not None:
            self.serving.cancel()
