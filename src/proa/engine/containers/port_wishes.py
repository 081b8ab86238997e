"""Which ports of a container are to be published, by its options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proa.engine.options import ContainerOptions
from proa.network.claims import Wish
from proa.network.published import Published


def wanted(options: ContainerOptions) -> bool:
    """Whether any port is to be published."""
    return bool(options.port_bindings or (options.publish_all and options.exposed_ports))


def asked_for(options: ContainerOptions) -> Iterator[Published]:
    """Yield every port that is to be published, at no address yet."""
    for each in options.port_bindings:
        yield Published(each.protocol, "", 0, each.port)
    if options.publish_all:
        for protocol, port in sorted(_exposed(options.exposed_ports)):
            yield Published(protocol, "", 0, port)


def wishes(options: ContainerOptions, default: tuple[str, ...], target: tuple[str, str]) -> Iterator[Wish]:
    """Yield what a container with the addresses `target` wants: bindings first, then exposed ports.

    The host's IPv4 addresses lead to IPv4 alone, as with Docker; its IPv6 addresses to whatever there is.
    """
    for each in options.port_bindings:
        addresses = (each.host_address,) if each.host_address else default
        if usable := tuple(address for address in addresses if target[0] or ":" in address):
            yield Wish(each.protocol, each.port, usable, each.first, each.last, each.count)
    usable = tuple(address for address in default if target[0] or ":" in address)
    if not options.publish_all or not usable:
        return
    bound = {(each.protocol, each.port + step) for each in options.port_bindings for step in range(each.count)}
    for protocol, port in sorted(_exposed(options.exposed_ports) - bound):
        yield Wish(protocol, port, usable)


def _exposed(ports: Sequence[str]) -> set[tuple[str, int]]:
    found = set()
    for each in ports:
        numbers, _, protocol = each.partition("/")
        first, _, last = numbers.partition("-")
        found |= {(protocol or "tcp", port) for port in range(int(first), int(last or first) + 1)}
    return found
