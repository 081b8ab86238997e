"""What a connection to a registry trusts and shows: authorities and client certificates, Docker's directories of
them, and the contexts made of both.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from proa.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, all PEM: authorities beside the system's, and certificates with their keys."""

    authorities: tuple[Path, ...] = ()
    certificates: tuple[tuple[Path, Path], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.authorities or self.certificates)

    def __add__(self, other: Tls) -> Tls:
        return Tls(self.authorities + other.authorities, self.certificates + other.certificates)


NO_FILES = Tls()


def of_directory(directory: Path) -> Tls:
    """Return what is in a directory like /etc/docker/certs.d/HOST: authorities are *.crt, a client's certificate
    *.cert with a *.key beside it. Raises `InvalidArgument` in dockerd's words."""
    try:
        names = {path.name for path in directory.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return NO_FILES
    except OSError as error:
        raise InvalidArgument(f"cannot use the certificates in {directory}: {error.strerror}") from error
    pairs: list[tuple[Path, Path]] = []
    for name in sorted(names):
        stem, _, kind = name.rpartition(".")
        if kind == "cert" and f"{stem}.key" not in names:
            raise InvalidArgument(
                f"missing key {stem}.key for client certificate {name} in {directory}. CA certificates must use "
                "the extension .crt"
            )
        if kind == "key" and f"{stem}.cert" not in names:
            raise InvalidArgument(f"missing client certificate {stem}.cert for key {name} in {directory}")
        if kind == "cert":
            pairs.append((directory / name, directory / f"{stem}.key"))
    return Tls(tuple(directory / name for name in sorted(names) if name.endswith(".crt")), tuple(pairs))


class Contexts:
    """Makes contexts, and makes them anew when a file has changed: connections are shared by context."""

    def __init__(self) -> None:
        self._made: dict[tuple[Tls, bool], tuple[tuple[tuple[int, int], ...], ssl.SSLContext]] = {}

    def get(self, tls: Tls, verify: bool) -> ssl.SSLContext:
        """Return a context that trusts the system's authorities and `tls`'s."""
        signature = tuple(map(_signature, _files(tls)))
        known = self._made.get((tls, verify))
        if known and known[0] == signature:
            return known[1]
        context = _context(tls, verify)
        self._made[tls, verify] = signature, context
        return context


def _context(tls: Tls, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    path = Path()
    try:
        for path in tls.authorities:
            context.load_verify_locations(cafile=path)
        for path, key in tls.certificates:
            # Without a password OpenSSL would ask at the terminal.
            context.load_cert_chain(path, key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidArgument(f"cannot use the certificates in {path.parent}: {path.name}: {reason}") from error
    return context


def _files(tls: Tls) -> list[Path]:
    return [*tls.authorities, *(path for pair in tls.certificates for path in pair)]


def _signature(path: Path) -> tuple[int, int]:
    """Return what changes when a file does; a file that is gone is told of when it is read."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
