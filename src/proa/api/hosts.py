"""What `proad` listens on, by dockerd's rules: its `--host` and `--tls…` options, and what it warns of.

`--tls` encrypts what goes over TCP; `--tlsverify` also wants a certificate of each client. Who says neither and
opens TCP all the same is warned; who says `--tls=false` has been asked and is warned less.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from proa.api import listeners

if TYPE_CHECKING:
    import ssl

DEFAULT_TLS_HOST = "tcp://localhost:2376"
_LATER = (
    "In future versions this will be a hard failure preventing the daemon from starting! "
    "Learn more at: https://docs.docker.com/go/api-security/"
)
_ATTACK_SURFACE = (
    "Access to the remote API is equivalent to root access on the host. Refer\n"
    "         to the 'Docker daemon attack surface' section in the documentation for\n"
    "         more information: https://docs.docker.com/go/attack-surface/\n"
)


class Listening(NamedTuple):
    """Open sockets. `warnings` are for the log, `notices` for `info`."""

    hosts: list[str]
    sockets: list[socket.socket]
    tls: ssl.SSLContext | None
    warnings: list[str]
    notices: list[str]


def open_hosts(options: Mapping[str, Any], default: str) -> Listening:
    """Listen as the options say; `default` is the host when they name none and want no TLS.

    Raises `InvalidArgument` for addresses and certificates that make no sense, `Unavailable` when something else
    listens there.
    """
    # Naming --tlsverify at all switches TLS on, even when it is false.
    tls = bool(options.get("tls")) or "tlsverify" in options
    verify = bool(options.get("tlsverify"))
    context = _context(options, verify=verify) if tls else None
    hosts = list(options.get("hosts") or [DEFAULT_TLS_HOST if tls and default != "fd://" else default])
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            sockets += listeners.listen(host, options.get("group", ""), tls=tls)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    addresses = [_address(host, tls=tls) for host in hosts if host.startswith("tcp:")]
    asked = "tls" in options or "tlsverify" in options
    warnings = [] if verify else [text for each in addresses for text in _warnings(each, asked=asked)]
    notices = [] if verify else [_notice(each, tls=tls) for each in addresses]
    return Listening(hosts, sockets, context, warnings, notices)


def _context(options: Mapping[str, Any], *, verify: bool) -> ssl.SSLContext:
    from proa.api.tls import server_context

    directory = os.environ.get("DOCKER_CERT_PATH") or str(Path.home() / ".docker")
    files = {}
    for option, name in (("tlscert", "cert.pem"), ("tlskey", "key.pem")):
        usual = f"{directory}/{name}"
        files[option] = options.get(option) or (usual if Path(usual).exists() else "")
    ca = options.get("tlscacert") or f"{directory}/ca.pem"
    return server_context(ca, files["tlscert"], files["tlskey"], verify=verify)


def _address(host: str, *, tls: bool) -> str:
    name, port = listeners.tcp_address(host, tls=tls)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _warnings(address: str, *, asked: bool) -> list[str]:
    texts = [
        "Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone "
        "who has access to your network.",
        "Binding to an IP address, even on localhost, can also give access to scripts run in a browser. "
        "Be safe out there!",
        f"[DEPRECATION NOTICE] {_LATER}",
    ]
    if not asked:
        texts += [
            "Please consider generating tls certificates with client validation to prevent exposing "
            "unauthenticated root access to your network",
            "You can override this by explicitly specifying '--tls=false' or '--tlsverify=false'",
        ]
    return [f"{text} (tcp://{address})" for text in texts]


def _notice(address: str, *, tls: bool) -> str:
    how = f"https://{address} without TLS client verification" if tls else f"http://{address} without encryption"
    return f"[DEPRECATION NOTICE]: API is accessible on {how}.\n         {_ATTACK_SURFACE}{_LATER}"
