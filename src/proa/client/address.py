"""Where the engine is: `--host`, `--context`, the environment, else the local socket.

`PROA_HOST` goes before `DOCKER_HOST`, and both before `PROA_CONTEXT` and `DOCKER_CONTEXT`. A context chosen by
`docker context use` is not followed: it says what `docker` talks to, and Proa's own engine is the default here.
"""

from __future__ import annotations

import _socket

from proa.client.errors import CannotConnect, NotRunning
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from proa.client.tls import Tls

LOCAL_SOCKET = "/run/proa/proa.sock"
DEFAULT_URL = "unix://" + LOCAL_SOCKET
_PLAIN_PORT = 2375
_TLS_PORT = 2376


class Address:
    """One engine's address. `default` is true for the local socket that nobody asked for by name."""

    def __init__(self, url: str, tls: Tls | None = None, default: bool = False) -> None:
        """Raises `InvalidArgument` in docker's words for a URL it would not take."""
        scheme, separator, rest = url.partition("://")
        if not separator:
            scheme, rest = "tcp", url
        if scheme not in ("unix", "tcp", "http", "https", "ssh"):
            raise InvalidArgument(
                f"Failed to initialize: unable to resolve docker endpoint: invalid bind address format: {url}"
            )
        self.scheme = scheme
        self.path = rest or (LOCAL_SOCKET if scheme == "unix" else "")
        self.default = default
        self.tls = tls if scheme in ("tcp", "https") else None
        self.url = f"{scheme}://{self.path}"
        if scheme in ("tcp", "http", "https"):
            self.host, self.port = _host_and_port(rest, _TLS_PORT if self.tls else _PLAIN_PORT)
            self.url = f"tcp://{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        return "localhost" if self.scheme in ("unix", "ssh") else f"{self.host}:{self.port}"

    def connect(self) -> socket:
        """Return a connected stream socket. Raises `CannotConnect`."""
        try:
            if self.scheme == "unix":
                return _connect_unix(self.path)
            if self.scheme == "ssh":
                return _connect_ssh(self.path)
            return self._connect_tcp()
        except PermissionError as error:
            raise CannotConnect(
                f"permission denied while trying to connect to the Proa daemon socket at {self.url}: "
                f"{error.strerror}"
            ) from None
        except OSError:
            raise NotRunning(
                f"Cannot connect to the Proa daemon at {self.url}. Is the proad daemon running?"
            ) from None

    def _connect_tcp(self) -> socket:
        import socket

        plain = socket.create_connection((self.host, self.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is None:
            return plain
        from proa.client.tls import TlsSocket

        return TlsSocket(plain, self.tls, self.host)  # type: ignore[return-value]  # it does all that is asked for


def choose(host: str, context: str, tls: Tls | None, environment: Mapping[str, str]) -> Address:
    """Return the engine to talk to. Raises `InvalidArgument`, also when both a host and a context are given."""
    if host and context:
        raise InvalidArgument("conflicting options: either specify --host or --context, not both")
    if not host and not context:
        host = environment.get("PROA_HOST") or environment.get("DOCKER_HOST", "")
    if not host and not context:
        context = environment.get("PROA_CONTEXT") or environment.get("DOCKER_CONTEXT", "")
    if host:
        return Address(host, tls=tls)
    if context and context != "default":
        from proa.client.contexts import load

        return Address(*load(context, environment))
    return Address(DEFAULT_URL, default=True)


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    authority = text.partition("/")[0]
    host, separator, port = authority.rpartition(":")
    if not separator or port.endswith("]"):
        host, port = authority, str(default)
    if not port.isdecimal() or int(port) > 65535:
        raise InvalidArgument(f"Invalid proto, expected tcp: {text}")
    return host.strip("[]") or "localhost", int(port)


def _connect_unix(path: str) -> socket:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection  # type: ignore[return-value]  # the C base class does all that is asked for here


def _connect_ssh(target: str) -> socket:
    """Speak HTTP with the far side's `docker system dial-stdio`, as docker's own client does."""
    import os
    import socket

    authority, _, path = target.partition("/")
    host, separator, port = authority.rpartition(":")
    if not separator or port.endswith("]"):  # [::1] has colons of its own
        host, port = authority, ""
    host = host.replace("[", "").replace("]", "")
    command = ["ssh", "-T", *(["-p", port] if port else []), "--", host, "docker", "system", "dial-stdio"]
    if path:
        command[-2:-2] = ["--host", f"unix:///{path}"]
    ours, theirs = socket.socketpair()
    with theirs:
        standard = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), fd) for fd in (0, 1)]
        os.posix_spawnp("ssh", command, os.environ, file_actions=standard, setsid=True)
    return ours
