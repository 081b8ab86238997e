"""One container's name server: the questions that come in at its 127.0.0.11, over UDP and TCP."""

from __future__ import annotations

import os

from proa.dns.complaints import complain
from proa.dns.connections import Connections
from proa.dns.directory import Endpoint
from proa.dns.forwarder import Lane
from proa.dns.message import (
    CLASS_IN,
    LARGEST,
    TYPE_A,
    TYPE_AAAA,
    TYPE_MX,
    TYPE_PTR,
    Malformed,
    Question,
    reverse_address,
)
from proa.dns.upstream import Upstream
from proa.linux import packets

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from proa.dns.directory import Directory
    from proa.dns.forwarder import Forwarder
    from proa.dns.gate import Gate
    from proa.linux.loop import Loop

    Report = Callable[[dict[str, Any]], bool]

_AT_ONCE = 16  # packets that a container may have answered before it is another's turn
_ADDRESS_SIZES = {TYPE_A: 4, TYPE_AAAA: 16}


class Service:
    """What the server knows of a container, and its sockets, if it has been given them."""

    def __init__(
        self, loop: Loop, directory: Directory, forwarder: Forwarder, home: int, report: Report | None = None
    ) -> None:
        """`home` is a descriptor of the network namespace of this process; `report` is told what is refused."""
        self._loop, self._directory, self._forwarder, self._home = loop, directory, forwarder, home
        self._report = report
        self._gate: Gate | None = None
        self._endpoints: list[Endpoint] = []
        self._servers: list[Upstream] = []
        self._short = False
        self._lane = Lane()
        self._udp: packets.Socket | None = None
        self._connections: Connections | None = None
        self._namespace = -1
        self._mark = 0

    @property
    def listens(self) -> bool:
        """Whether it has its sockets."""
        return self._udp is not None

    def update(self, description: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Know a container, or what has changed of it; the descriptors are this object's from now on."""
        *sockets, namespace = descriptors if len(descriptors) & 1 else (*descriptors, -1)
        if sockets:
            self._open(sockets)
        if namespace >= 0:
            self._close_namespace()
            self._namespace = namespace
        endpoints = [Endpoint(each) for each in description["endpoints"]]
        self._directory.replace(self._endpoints, endpoints)
        self._endpoints = endpoints
        self._short = description["short"]
        self._guard(description.get("egress"))
        self._mark = description["egress"]["mark"] if self._gate else 0
        self._servers = list(self._reachable(description["servers"], forwards=description["forwards"]))

    def _guard(self, egress: dict[str, Any] | None) -> None:
        """Keep the egress rules of a container that has some, whose namespace is known."""
        if egress is None:
            return
        if self._gate is None:
            from proa.dns.gate import Gate  # most servers never need it

            assert self._namespace >= 0 and self._report
            self._gate = Gate(self._loop, self._home, self._namespace, self._report)
        self._gate.update(egress)

    def _reachable(self, servers: Sequence[dict[str, Any]], *, forwards: bool) -> Iterator[Upstream]:
        """Yield the servers that may be asked: from where the container is any, from the host with `forwards`."""
        for each in servers:
            try:
                if each["host"] and forwards:
                    yield Upstream(each, self._home, -1)
                elif not each["host"] and self._namespace >= 0:
                    yield Upstream(each, self._home, self._namespace, self._mark)
            except OSError:
                continue  # an address of an interface that is gone

    def close(self) -> None:
        """Forget the container: its namespace is free to go."""
        self._directory.replace(self._endpoints, ())
        self._endpoints = []
        self._forwarder.close(self._lane)
        self._close_sockets()
        if self._gate:
            self._gate.close()
            self._gate = None
        self._close_namespace()

    def _open(self, descriptors: Sequence[int]) -> None:
        self._close_sockets()
        self._udp = packets.adopt(descriptors[0])
        self._udp.setblocking(False)
        self._connections = Connections(self._loop, descriptors[1], self._ask)
        self._loop.on_read(self._udp.fileno(), self._receive)

    def _close_sockets(self) -> None:
        if self._udp is not None:
            self._loop.forget(self._udp.fileno())
            self._udp.close()
            self._udp = None
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    def _close_namespace(self) -> None:
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1

    def _receive(self) -> None:
        udp = self._udp
        assert udp is not None
        for _ in range(_AT_ONCE):
            try:
                data, client = udp.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # what became of an earlier answer
            self._ask(data, lambda answer, client=client: self._send(answer, client))  # type: ignore[misc]

    def _send(self, answer: bytes, client: Any) -> None:
        if self._udp is None or not answer:
            return
        try:
            self._udp.sendto(answer, client)
        except OSError:
            pass  # the client is gone, its buffer full, or the container's own firewall forbids it: it asks again

    def _ask(self, data: bytes, reply: Callable[[bytes], None], *, stream: bool = False) -> None:
        """Have a message answered: `reply` is called once, now or later, with nothing where silence is due."""
        try:
            self._answer(Question(data), reply, stream=stream)
        except Malformed as problem:
            reply(problem.answer)
        except Exception as error:  # of this program; no packet shall take the names of all containers away
            complain(f"a packet of {len(data)} bytes, {data[:512].hex()}", error)
            reply(b"")

    def _answer(self, question: Question, reply: Callable[[bytes], None], *, stream: bool) -> None:
        records = self._known(question)
        if records is None and self._short and question.name and b"." not in question.name:
            records = () if question.kind in _ADDRESS_SIZES else None  # tried with search domains next
        gate = self._gate
        if records is not None:
            if gate and records:
                gate.open(question, records)
            reply(question.answer(records, limit=LARGEST if stream else 0))
            return
        if gate and not gate.permits(question.name):
            reply(gate.refuse(question))
            return

        def passed(answer: bytes) -> None:
            reply(gate.passed(question, answer) if gate else answer)

        self._forwarder.ask(self._lane, question, self._servers, passed if gate else reply, stream=stream)

    def _known(self, question: Question) -> Sequence[bytes] | None:
        """Return the records to answer with, perhaps none; None if others are to be asked.

        What has no dot is a container's name alone, so there is nothing else to know of it elsewhere either.
        """
        name = question.name
        if not name or question.scope != CLASS_IN:
            return None
        if size := _ADDRESS_SIZES.get(question.kind):
            return self._directory.addresses(self._endpoints, name, size)
        if question.kind == TYPE_PTR:
            packed = reverse_address(name)
            record = self._directory.host(self._endpoints, packed) if packed else None
            return None if record is None else (record,)
        if question.kind == TYPE_MX or b"." not in name:
            return None if self._directory.addresses(self._endpoints, name, 4) is None else ()
        return None
