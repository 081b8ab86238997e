"""Where the API listens: unix sockets, TCP, and sockets that a service manager passes (LISTEN_FDS)."""

from __future__ import annotations

import grp
import os
import socket
import stat

from proa.errors import InvalidArgument, Unavailable

DEFAULT_HOST = "unix:///run/proa/proa.sock"
_PORT, _TLS_PORT = 2375, 2376
_FIRST_PASSED = 3  # sd_listen_fds(3)
BACKLOG = 4096  # connects beyond it fail at once on unix sockets


def listen(host: str, group: str = "", *, tls: bool = False) -> list[socket.socket]:
    """Open what one `--host` names: unix://path, tcp://address:port or fd://.

    A unix socket is for its owner and, when it is not "", `group`. `tls` decides on TCP's default port. Raises
    `InvalidArgument` for addresses that make no sense, `Unavailable` when something else listens there.
    """
    scheme, separator, address = host.partition("://")
    if not separator:
        raise InvalidArgument(f"invalid bind address ({host}): expected unix://, tcp:// or fd://")
    if scheme == "unix":
        return [_listen_unix(address or DEFAULT_HOST.partition("://")[2], group)]
    if scheme == "tcp":
        return [_listen_tcp(*tcp_address(host, tls=tls))]
    if scheme == "fd":
        return passed_sockets()
    raise InvalidArgument(f"invalid bind address ({host}): unsupported proto {scheme}")


def passed_sockets() -> list[socket.socket]:
    """Return the sockets that the service manager opened. Raises `Unavailable` when there are none."""
    count = os.environ.get("LISTEN_FDS", "0")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or count == "0":
        raise Unavailable("no sockets found via socket activation: was the service started by systemd?")
    sockets = []
    for descriptor in range(_FIRST_PASSED, _FIRST_PASSED + int(count)):
        os.set_inheritable(descriptor, False)
        passed = socket.socket(fileno=descriptor)
        if passed.type != socket.SOCK_STREAM:
            raise InvalidArgument(f"the socket passed as descriptor {descriptor} is not a stream socket")
        passed.setblocking(False)
        sockets.append(passed)
    return sockets


def _listen_unix(path: str, group: str) -> socket.socket:
    owner = _group_id(group) if group else -1
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)
        # Nobody may connect between bind and chmod: the mask takes all rights of others away.
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        if group:
            os.chown(path, -1, owner)
        os.chmod(path, 0o660)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Unavailable(f"can't create unix socket {path}: {error.strerror or error}") from error
    return listener


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on any more. Raises when somebody does."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise Unavailable(f"can't create unix socket {path}: a file that is no socket is in the way")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody listens
    raise Unavailable(f"can't create unix socket {path}: another engine is listening on it")


def tcp_address(host: str, *, tls: bool) -> tuple[str, int]:
    """Return where "tcp://…" is, with Docker's defaults for host and port. Raises `InvalidArgument`."""
    address = host.partition("://")[2]
    name, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", "")
    if port and not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise InvalidArgument(f"invalid bind address ({host}): invalid port {port}")
    return name.strip("[]") or "localhost", int(port or (_TLS_PORT if tls else _PORT))


def _listen_tcp(host: str, port: int) -> socket.socket:
    address = f"tcp://{host}:{port}"
    try:
        family, _, _, _, where = socket.getaddrinfo(
            host, port, socket.AF_INET if host == "localhost" else 0, socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidArgument(f"invalid bind address ({address}): {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Unavailable(f"can't listen on {address}: {error.strerror}") from error
    return listener


def _group_id(group: str) -> int:
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidArgument(f"group {group} not found") from None
