"""Ports of the host claimed by sockets: no program of the host can have one, and none that has one loses it.

A socket a port, for both families where all addresses are meant. It is bound here and held by the container's
shim (`shim/relay.py`), so that it lives as long as the container, whatever becomes of the engine.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proa.network.published import ANY4, ANY6, PROTOCOLS, Published

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT = (49153, 65535)  # Docker's, for a host that does not tell
_BACKLOG = 4096


class BindFailure(Exception):
    """A port that can not be had: `address` and `port` say which, `reason` is the kernel's."""

    def __init__(self, address: str, port: int, reason: OSError) -> None:
        super().__init__(f"{address}:{port}: {reason}")
        self.address = address
        self.port = port
        self.errno = reason.errno or 0
        text = reason.strerror or str(reason)
        self.reason = text[:1].lower() + text[1:]


@dataclass(frozen=True, slots=True)
class Wish:
    """`count` consecutive ports of a container to publish, each at all of `host_addresses`.

    At the ports from `first` on, one to one; or, of a single one, at the first of `first` to `last` that is
    free; or, if they are 0, at any.
    """

    protocol: str
    port: int
    host_addresses: tuple[str, ...]
    first: int = 0
    last: int = 0
    count: int = 1

    @property
    def is_choice(self) -> bool:
        """Whether one of several ports will do."""
        return self.last - self.first + 1 > self.count


@dataclass(slots=True)
class Claim:
    """One port of the host with the sockets that hold it; whoever has it closes them."""

    sockets: list[socket.socket]
    published: list[Published]  # one an address

    def close(self) -> None:
        for each in self.sockets:
            each.close()


class Ephemeral:
    """Ports for those who name none: the kernel's range in turns, so that none is somebody else's at once."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def candidates(self, protocol: str) -> Iterator[int]:
        """Yield each port of the range once, from the one after the last that was taken."""
        first, last = self._range()
        start = self._last.get(protocol, first - 1) + 1
        size = last - first + 1
        for step in range(size):
            port = first + (start - first + step) % size
            self._last[protocol] = port
            yield port

    @staticmethod
    def _range() -> tuple[int, int]:
        try:
            first, last = map(int, _EPHEMERAL.read_text().split())
        except (OSError, ValueError):
            return _EPHEMERAL_DEFAULT
        return first, last


def host_has_ipv6() -> bool:
    """Whether programs of this host can listen to IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((ANY6, 0))
    except OSError:
        return False
    return True


def claim(wish: Wish, ephemeral: Ephemeral) -> Iterator[Claim]:
    """Claim what is wished for, port by port; raises `BindFailure`."""
    if wish.is_choice:
        yield _first_free(wish, wish.port, iter(range(wish.first, wish.last + 1)))
        return
    for step in range(wish.count):
        if wish.first:
            yield _claim(wish, wish.port + step, wish.first + step)
        else:
            yield _first_free(wish, wish.port + step, ephemeral.candidates(wish.protocol))


def _first_free(wish: Wish, port: int, candidates: Iterator[int]) -> Claim:
    failure: BindFailure | None = None
    for candidate in candidates:
        try:
            return _claim(wish, port, candidate)
        except BindFailure as error:
            if error.errno != errno.EADDRINUSE:
                raise
            failure = error
    assert failure is not None, "an empty range"
    raise failure


def _claim(wish: Wish, port: int, host_port: int) -> Claim:
    made = Claim([], [Published(wish.protocol, address, host_port, port) for address in wish.host_addresses])
    try:
        if set(wish.host_addresses) == {ANY4, ANY6}:
            try:
                made.sockets.append(_bind(wish.protocol, ANY6, host_port, both=True))
            except BindFailure:
                # One of the families is the reason, and is to be told: each for itself.
                for address in wish.host_addresses:
                    made.sockets.append(_bind(wish.protocol, address, host_port))
        else:
            for address in wish.host_addresses:
                made.sockets.append(_bind(wish.protocol, address, host_port))
    except BaseException:
        made.close()
        raise
    return made


def _bind(protocol: str, address: str, port: int, *, both: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        made = socket.socket(family, kind, PROTOCOLS[protocol])
    except OSError as error:
        raise BindFailure(address, port, error) from error
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        if kind == socket.SOCK_STREAM:
            # Connections of an earlier program may still be on the port; a listening socket has it alone.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise BindFailure(address, port, error) from error
    return made
