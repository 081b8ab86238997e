"""The options of the log driver syslog: where the server is and how it likes its messages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from proa.errors import InvalidArgument

NAMES = (
    "syslog-address", "syslog-facility", "syslog-format",
    "syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify",
)  # fmt: skip
_PORT = 514
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_NETWORKS = ("udp", "tcp", "tcp+tls")
# RFC 5424 section 6.2.1, by the names of syslog.conf(5).
_FACILITIES = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8,
    "cron": 9, "authpriv": 10, "ftp": 11,
    **{f"local{number}": 16 + number for number in range(8)},
}  # fmt: skip
_MAX_FACILITY = 23


def validate(options: Mapping[str, str]) -> None:
    """Refuse what can not be; raises `InvalidArgument` in Docker's words."""
    _address(options.get("syslog-address", ""))
    _facility(options.get("syslog-facility", ""))
    if options.get("syslog-format", "") not in _FORMATS:
        raise InvalidArgument("Invalid syslog format")


def description(options: Mapping[str, str], tag: str) -> dict[str, Any]:
    """Return what `proa.shim.syslog` takes."""
    return {
        **_address(options.get("syslog-address", "")),
        "facility": _facility(options.get("syslog-facility", "")),
        "format": options.get("syslog-format", ""),
        "tag": tag,
        "tls": {
            "ca": options.get("syslog-tls-ca-cert", ""),
            "cert": options.get("syslog-tls-cert", ""),
            "key": options.get("syslog-tls-key", ""),
            # As in Docker the option counts, not its value; but who writes false does not mean true.
            "skip_verify": options.get("syslog-tls-skip-verify", "false").lower() not in ("false", "0", "f"),
        },
    }


def _address(text: str) -> dict[str, Any]:
    if not text:
        return {"network": ""}
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise InvalidArgument(f'parse "{text}": {error}') from None
    if parts.scheme in ("unix", "unixgram"):
        if not os.path.exists(parts.path):
            raise InvalidArgument(f"stat {parts.path}: no such file or directory")
        return {"network": parts.scheme, "path": parts.path}
    if parts.scheme not in _NETWORKS:
        raise InvalidArgument(f"unsupported scheme: '{parts.scheme}'")
    host, port = _host_and_port(parts.netloc)
    return {"network": parts.scheme, "host": host, "port": port}


def _host_and_port(text: str) -> tuple[str, int]:
    """Split host:port or [address]:port; the port may be missing."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidArgument(f"address {text}: missing ']' in address")
        port = rest[1:]
    else:
        host, _, port = text.partition(":")
        if ":" in port:
            raise InvalidArgument(f"address {text}: too many colons in address")
    if port and not (port.isascii() and port.isdecimal() and int(port) <= 0xFFFF):
        raise InvalidArgument(f'parse "{text}": invalid port ":{port}" after host')
    return host or "localhost", int(port or _PORT)


def _facility(text: str) -> int:
    if not text:
        return _FACILITIES["daemon"]
    if text in _FACILITIES:
        return _FACILITIES[text]
    if text.isascii() and text.isdecimal() and int(text) <= _MAX_FACILITY:
        return int(text)
    raise InvalidArgument("invalid syslog facility")
