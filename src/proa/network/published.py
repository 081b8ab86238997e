"""Published ports as everybody here knows them: runs of ports of the host that lead to a container's."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

ANY4, ANY6 = "0.0.0.0", "::"
# <linux/in.h>; docker's words for them
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


@dataclass(frozen=True, slots=True)
class Published:
    """`count` consecutive ports of `host_address` that lead to as many of a container, one to one."""

    protocol: str  # of PROTOCOLS
    host_address: str  # "0.0.0.0" and "::" are all addresses of the host
    host_port: int  # 0: none, who wants to get there routes to the container's own address
    port: int  # the container's
    count: int = 1

    def single(self) -> Iterator[Published]:
        """Yield a run of one for each port."""
        for step in range(self.count):
            host_port = 0 if self.is_routed else self.host_port + step
            yield Published(self.protocol, self.host_address, host_port, self.port + step)

    @property
    def is_routed(self) -> bool:
        """Whether it is no port of the host."""
        return self.host_port == 0

    def overlaps(self, protocol: str, host_address: str, host_port: int) -> bool:
        """Whether a port of the host is one of these."""
        return (
            self.protocol == protocol
            and not self.is_routed
            and self.host_port <= host_port < self.host_port + self.count
            and (":" in self.host_address) == (":" in host_address)
            and (host_address in (self.host_address, ANY4, ANY6) or self.host_address in (ANY4, ANY6))
        )


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where the ports of a run are in the container's network; an address is "" where it has none."""

    published: Published
    address4: str
    address6: str = ""


def runs(single: Iterable[Published]) -> list[Published]:
    """Join what is consecutive: of ports in order, host by host, a range is one again."""
    joined: list[Published] = []
    open_runs: dict[tuple[str, str, int], int] = {}  # what would continue a run: its place in `joined`
    for each in single:
        key = (each.protocol, each.host_address, each.host_port - each.port)
        place = open_runs.get(key)
        if place is not None:
            last = joined[place]
            if last.host_port + last.count == each.host_port:
                joined[place] = Published(
                    last.protocol, last.host_address, last.host_port, last.port, last.count + each.count
                )
                continue
        open_runs[key] = len(joined)
        joined.append(each)
    return joined


def is_loopback(address: str) -> bool:
    """Whether an address is this host's alone."""
    return ip_address(address).is_loopback
