"""TLS to an engine, as far as Python's own TLS sockets do not reach.

Attached commands end their input and go on reading the output, and poll the connection beside the terminal. An
`ssl.SSLSocket` cannot end one direction, and keeps back data that a poll does not see.
"""

from __future__ import annotations

from _socket import MSG_NOSIGNAL

from proa.client.errors import CannotConnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from socket import socket

_READ_SIZE = 32768
_RECORD = 16384  # plain bytes sent at once (RFC 8446, 5.1)
# OpenSSL's names for what docker's client says in other words.
_FAILURES = {
    "WRONG_VERSION_NUMBER": "http: server gave HTTP response to HTTPS client",
    "TLSV1_ALERT_UNKNOWN_CA": "remote error: tls: unknown certificate authority",
    "SSLV3_ALERT_BAD_CERTIFICATE": "remote error: tls: bad certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "remote error: tls: certificate required",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "remote error: tls: handshake failure",
}


class Tls:
    """Files for TLS; `verify` also checks the engine's certificate. Missing files are left out."""

    def __init__(self, ca: str, certificate: str, key: str, verify: bool) -> None:
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.verify = verify

    def context(self) -> ssl.SSLContext:
        """Raises `OSError` for files that cannot be used."""
        import ssl

        context = ssl.create_default_context(cafile=self.ca or None)
        context.check_hostname = self.verify
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        if self.certificate and self.key:
            context.load_cert_chain(self.certificate, self.key)
        return context


class TlsSocket:
    """A connected socket that speaks TLS, with the methods of sockets that a client uses.

    `recv` of 64 KiB or more leaves nothing behind that `poll` on `fileno` would not tell of.
    """

    def __init__(self, plain: socket, tls: Tls, host: str) -> None:
        """Make the connection secure. Raises `CannotConnect`, and `OSError` when the engine hangs up."""
        import ssl

        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.context().wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._want_read, self._end, self._failure = ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLError
        self.ended = False  # the engine has said so, and all of it is read; a poll would not tell
        self._plaintext = b""
        self._unsent = b""  # encrypted
        self._taken = 0  # bytes of the caller's that are in `_unsent` and not yet acknowledged to him
        try:
            while not self._shakes_hands():
                self._flush()
                self._receive()
            self._flush()
        except BaseException:
            plain.close()
            raise

    def _shakes_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except self._want_read:
            return False
        except self._failure as error:
            self._flush()  # the alert
            raise _cannot_connect(error) from None
        return True

    def _receive(self) -> bool:
        """Read what has arrived; False at the end of the connection."""
        data = self._plain.recv(_READ_SIZE)
        if not data and not self._tls.version():
            raise ConnectionResetError("the engine ended the TLS handshake")
        self._incoming.write(data)
        return bool(data)

    def fileno(self) -> int:
        return self._plain.fileno()

    def setblocking(self, blocking: bool) -> None:
        self._plain.setblocking(blocking)

    def settimeout(self, seconds: float | None) -> None:
        self._plain.settimeout(seconds)

    def recv(self, size: int) -> bytes:
        """Return what there is, b"" at the end. Raises `BlockingIOError` like any socket, `CannotConnect`."""
        while not self._plaintext:
            self._decrypt()
            if not self._plaintext and (self.ended or not self._receive()):
                return b""
        taken, self._plaintext = self._plaintext[:size], self._plaintext[size:]
        return taken

    def _decrypt(self) -> None:
        """Decrypt all that has arrived."""
        try:
            while piece := self._tls.read(_RECORD):
                self._plaintext += piece
            self.ended = True
        except self._want_read:
            pass
        except self._end:
            self.ended = True
        except self._failure as error:
            raise _cannot_connect(error) from None

    def send(self, data: bytes, _flags: int = 0) -> int:
        """Send some of `data`; return how many bytes.

        After a `BlockingIOError` the same data must be sent again: it is on its way already.
        """
        if not self._taken:
            self._taken = self._tls.write(data[:_RECORD])
        self._flush()
        taken, self._taken = self._taken, 0
        return taken

    def sendall(self, data: bytes, flags: int = 0) -> None:
        view = memoryview(data)
        while view:
            view = view[self.send(bytes(view[:_RECORD]), flags) :]

    def shutdown(self, _how: int) -> None:
        """End the sending direction; what the engine still sends can be read.

        When this had to wait there may be data that a poll does not tell of: read before the next one.
        """
        self._decrypt()
        try:
            self._tls.unwrap()
        except self._failure:
            pass  # the engine's own end is still to come
        while True:
            try:
                return self._flush()
            except BlockingIOError:
                self._wait()

    def _wait(self) -> None:
        """Wait until something can be sent, and read meanwhile: the engine may be waiting for just that."""
        import select

        poll = select.poll()
        poll.register(self._plain, select.POLLIN | select.POLLOUT)
        if any(event & select.POLLIN for _, event in poll.poll()) and not self._receive():
            raise BrokenPipeError

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[self._plain.send(self._unsent, MSG_NOSIGNAL) :]

    def close(self) -> None:
        self._plain.close()


def _cannot_connect(error: ssl.SSLError) -> CannotConnect:
    if error.reason == "CERTIFICATE_VERIFY_FAILED":
        said = f"tls: failed to verify certificate: {getattr(error, 'verify_message', '')}"
    else:
        said = _FAILURES.get(error.reason or "", f"tls: {str(error.reason or error).lower().replace('_', ' ')}")
    return CannotConnect(f"error during connect: {said}")
