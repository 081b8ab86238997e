"""The log driver syslog: RFC 3164 and RFC 5424 over unix sockets, UDP, TCP and TLS.

The forms are Docker's: without a format the one that local daemons expect, without a host's name; over TLS
a message of RFC 5424 has its length before it (RFC 5425), all others end with a newline.
"""

from __future__ import annotations

import os
import socket
import time

from proa.shim.peer import TIMEOUT, Peer

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.shim.sink import Part

_SEVERITIES = {"stdout": 6, "stderr": 3}  # informational, error (RFC 5424 section 6.2.1)
_LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")  # where local daemons listen
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECOND = 1_000_000_000


class Syslog:
    """Options: "network" (unix, unixgram, udp, tcp, tcp+tls, "" for the local daemon), "path" or "host" and
    "port", "facility" (a number), "format", "tag", "tls" (see `_tls_context`)."""

    def __init__(self, options: dict[str, Any], *, first: bool) -> None:
        self._options = options
        self._context = _tls_context(options["tls"]) if options["network"] == "tcp+tls" else None
        self._hostname = socket.gethostname()
        self._pid = os.getpid()
        self._format = {
            "": self._plain, "rfc3164": self._rfc3164, "rfc5424": self._rfc5424, "rfc5424micro": self._rfc5424,
        }[options["format"]]  # fmt: skip
        self._counted = self._context is not None and options["format"].startswith("rfc5424")
        self._peer = Peer(self._connect, self._transmit, first=first)

    @property
    def lost(self) -> int:
        return self._peer.lost

    def send(self, stream: str, line: bytes, moment: int, part: Part | None) -> None:
        """Send a line; an empty one is nothing to syslog."""
        if not line:
            return
        priority = self._options["facility"] << 3 | _SEVERITIES[stream]
        message = self._format(priority, moment).encode() + line + b"\n"
        if self._counted:
            message = b"%d %s" % (len(message), message)
        self._peer.send(message)

    def close(self) -> None:
        self._peer.close()

    # --- forms ------------------------------------------------------------------------------------------

    def _plain(self, priority: int, moment: int) -> str:
        return f"<{priority}>{_stamp(moment)} {self._options['tag']}[{self._pid}]: "

    def _rfc3164(self, priority: int, moment: int) -> str:
        return f"<{priority}>{_stamp(moment)} {self._hostname} {self._options['tag']}[{self._pid}]: "

    def _rfc5424(self, priority: int, moment: int) -> str:
        tag = self._options["tag"]
        when = time.localtime(moment // _SECOND)
        fraction = f".{moment % _SECOND // 1000:06d}" if self._options["format"] == "rfc5424micro" else ""
        text = time.strftime("%Y-%m-%dT%H:%M:%S", when) + fraction + _offset(when.tm_gmtoff)
        return f"<{priority}>1 {text} {self._hostname} {tag} {self._pid} {tag} - "

    # --- the connection ---------------------------------------------------------------------------------

    def _connect(self) -> Any:
        network = self._options["network"]
        if not network:
            return _local()
        if network in ("unix", "unixgram"):
            return _unix(network, self._options["path"])
        host, port = self._options["host"], self._options["port"]
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if network == "udp":
                return _Datagrams(host, port)
            connection = socket.create_connection((host, port), TIMEOUT)
        except socket.gaierror as error:
            raise OSError(f"dial {network[:3]}: lookup {host}: {(error.strerror or '').lower()}") from None
        except OSError as error:
            reason = "i/o timeout" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
            raise OSError(f"dial {network[:3]} {where}: connect: {reason}") from None
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._context:
            try:
                return self._context.wrap_socket(connection, server_hostname=host)
            except OSError as error:
                connection.close()
                raise OSError(f"tls: {getattr(error, 'verify_message', '') or error}") from None
        return connection

    @staticmethod
    def _transmit(connection: Any, data: bytes) -> None:
        if connection.type == socket.SOCK_STREAM and _has_ended(connection):
            raise ConnectionResetError  # else the first message after that would vanish
        connection.sendall(data)


class _Datagrams:
    """UDP without a connection: nobody listening is no error, as it would be at every second message."""

    type = socket.SOCK_DGRAM

    def __init__(self, host: str, port: int) -> None:
        self._address: Any
        family, _, _, _, self._address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)

    def sendall(self, data: bytes) -> None:
        self._socket.sendto(data, self._address)

    def close(self) -> None:
        self._socket.close()


def _unix(network: str, path: str) -> socket.socket:
    kind = socket.SOCK_STREAM if network == "unix" else socket.SOCK_DGRAM
    connection = socket.socket(socket.AF_UNIX, kind)
    connection.settimeout(TIMEOUT)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise OSError(f"dial {network} {path}: connect: {(error.strerror or str(error)).lower()}") from None
    return connection


def _local() -> socket.socket:
    for network in ("unixgram", "unix"):
        for path in _LOCAL:
            try:
                return _unix(network, path)
            except OSError:
                continue
    raise OSError("Unix syslog delivery error")


def _has_ended(connection: Any) -> bool:
    """Whether the server has closed its end. It never says anything else."""
    connection.settimeout(0)
    try:
        return not connection.recv(1)
    except OSError as error:
        # EAGAIN, or what TLS says for it; a connection that was reset is found by sending, too.
        return not (isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError")
    finally:
        connection.settimeout(TIMEOUT)


def _tls_context(tls: dict[str, Any]) -> Any:
    """Return the TLS settings: "ca", "cert" and "key" are paths or "", "skip_verify" trusts everybody."""
    import ssl  # 5 MB, for this alone

    try:
        context = ssl.create_default_context(cafile=tls["ca"] or None)
    except FileNotFoundError:
        reason = "no such file or directory"
        raise OSError(f'could not read CA certificate "{tls["ca"]}": open {tls["ca"]}: {reason}') from None
    except OSError as error:
        raise OSError(f'failed to append certificates from PEM file: "{tls["ca"]}": {error}') from None
    if tls["skip_verify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls["cert"] or tls["key"]:
        try:
            context.load_cert_chain(tls["cert"], tls["key"] or None)
        except OSError as error:
            raise OSError(f"Could not load X509 key pair: {error}. Make sure the key is not encrypted") from None
    return context


def _stamp(moment: int) -> str:
    """Return "Jan  2 15:04:05", the local time of RFC 3164, in English whatever the locale."""
    when = time.localtime(moment // _SECOND)
    return f"{_MONTHS[when.tm_mon - 1]} {when.tm_mday:2d} {when.tm_hour:02d}:{when.tm_min:02d}:{when.tm_sec:02d}"


def _offset(seconds: int) -> str:
    if not seconds:
        return "Z"
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
