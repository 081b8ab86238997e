"""Published ports in the kernel: led to containers, and nowhere again when these have ended.

claims.py        sockets that hold the ports, for the container's shim
port_rules.py    what the firewall's rules and maps say
shim/relay.py    what passes where the firewall can not lead
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from proa.linux import conntrack
from proa.network import port_rules
from proa.network.claims import Ephemeral
from proa.network.endpoint import write_sysctl
from proa.network.failures import kernel_errors
from proa.network.firewall import Firewall
from proa.network.published import ANY4, ANY6, Mapping
from proa.network.site import Site

_log = logging.getLogger(__name__)


class Ports:
    """The ports in the table `table`, in the namespace of the thread that asks for something first.

    What is asked for is done by a thread, in order; futures tell of its end, `KernelError`s as well.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self.ephemeral = Ephemeral()
        self._firewall: Firewall | None = None
        self._led: port_rules.Elements = {}  # what the table is to have of them
        self._thread = ThreadPoolExecutor(1, "ports")

    def lead(self, mappings: Sequence[Mapping], bridge: str) -> Future[None]:
        """Lead ports to a container, on a bridge or, "", without any."""
        return self._submit(self._lead, mappings, bridge)

    def withdraw(self, mappings: Sequence[Mapping]) -> Future[None]:
        """Lead ports nowhere; once more is no error."""
        return self._submit(self._withdraw, mappings)

    def restore(self, site: Site) -> Future[None]:
        """Have the site make its table again, with all ports that are led."""
        return self._submit(lambda: site.restore(self._led))

    def close(self) -> None:
        """Finish what was asked for; the ports stay."""
        self._thread.shutdown()
        if self._firewall is not None:
            self._firewall.close()
            self._firewall = None

    def _submit(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        future = self._thread.submit(work, *arguments)
        future.add_done_callback(_log_failure)
        return future

    # What follows runs in the thread.

    def _lead(self, mappings: Sequence[Mapping], bridge: str) -> None:
        if bridge:
            # Or packets to 127.0.0.1 would never leave by it; the firewall lets none come in.
            with kernel_errors("route 127.0.0.1"):
                write_sysctl(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet", b"1")
        for name, entries in port_rules.elements(mappings).items():
            self._led.setdefault(name, {}).update(entries)
        self._open().publish(mappings)
        _forget_elsewhere(mappings)

    def _withdraw(self, mappings: Sequence[Mapping]) -> None:
        for name, entries in port_rules.elements(mappings).items():
            for key in entries:
                self._led.get(name, {}).pop(key, None)
        self._open().withdraw(mappings)
        _forget_there(mappings)

    def _open(self) -> Firewall:
        if self._firewall is None:
            self._firewall = Firewall(self.table)
        return self._firewall


def _log_failure(done: Future[None]) -> None:
    if error := done.exception():
        _log.error("published ports: %s", error)


def _datagrams(mappings: Sequence[Mapping]) -> list[Mapping]:
    return [mapping for mapping in mappings if mapping.published.protocol == "udp"]


def _forget_elsewhere(mappings: Sequence[Mapping]) -> None:
    """Make clients that send already find the container: until now somebody else got it, or nobody."""
    datagrams = _datagrams(mappings)
    if not datagrams:
        return

    def misled(flow: conntrack.Flow) -> bool:
        return any(
            run.host_port <= flow.port < run.host_port + run.count
            and run.host_address in (ANY4, ANY6, _text(flow.destination))
            and _text(flow.answerer) not in (mapping.address4, mapping.address6)
            for mapping in datagrams
            for run in (mapping.published,)
        )

    with kernel_errors():
        conntrack.forget(socket.IPPROTO_UDP, misled)


def _forget_there(mappings: Sequence[Mapping]) -> None:
    """Make clients that go on sending not reach who gets the container's address next."""
    datagrams = _datagrams(mappings)
    addresses = {each for mapping in datagrams for each in (mapping.address4, mapping.address6) if each}
    routed = any(mapping.published.is_routed for mapping in datagrams)
    if addresses:
        with kernel_errors():
            conntrack.forget(
                socket.IPPROTO_UDP,
                lambda flow: (flow.translated or routed) and _text(flow.answerer) in addresses,
            )


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
