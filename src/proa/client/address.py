"""Where the engine is: `--host`, `--context`, the environment, else the local socket.

`PROA_HOST` goes before `DOCKER_HOST`, both before `PROA_CONTEXT` and `DOCKER_CONTEXT`, and these before what
`docker context use` has chosen. The context "default", which is all there is for most, is Proa's own engine.
"""

from __future__ import annotations

import _socket

from proa.client.errors import CannotConnect, NotRunning
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket

    from proa.client.tls import Tls

LOCAL_SOCKET = "/run/proa/proa.sock"
DEFAULT_URL = "unix://" + LOCAL_SOCKET
DEFAULT_CONTEXT = "default"
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


def choose(
    host: str, context: str, tls: Tls | None, environment: Mapping[str, str], current: Callable[[], str]
) -> Address:
    """Return the engine to talk to; `current` tells the context that the user has chosen for good.

    Raises `InvalidArgument`, also when both a host and a context are given, `NotFound` for an unknown context.
    """
    name = choose_context(host, context, environment, current)
    if name != DEFAULT_CONTEXT:
        from proa.client.contexts import load

        return Address(*load(name, environment))
    return of_default(host, tls, environment)


def of_default(host: str, tls: Tls | None, environment: Mapping[str, str]) -> Address:
    """Return the engine of the default context: the host that is named, else Proa's own."""
    host = host or named_host(environment)
    return Address(host, tls=tls) if host else Address(DEFAULT_URL, default=True)


def choose_context(host: str, context: str, environment: Mapping[str, str], current: Callable[[], str]) -> str:
    """Return the name of the context in use: "default" where a host is named."""
    if host and context:
        raise InvalidArgument("conflicting options: cannot specify both --host and --context")
    if context:
        return context
    if host or named_host(environment):
        return DEFAULT_CONTEXT
    return environment.get("PROA_CONTEXT") or environment.get("DOCKER_CONTEXT") or current() or DEFAULT_CONTEXT


def named_host(environment: Mapping[str, str]) -> str:
    return environment.get("PROA_HOST") or environment.get("DOCKER_HOST", "")


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
