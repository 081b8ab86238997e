"""A DNS server for tests, standing for those of the host, and messages of the DNS made and read by hand."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

KINDS = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "HTTPS": 65}
NXDOMAIN = 3


def encode_name(name: str) -> bytes:
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def query(
    name: str, kind: str = "A", *, number: int = 0x1234, edns: int = 0, scope: int = 1, flags: int = 0x0100
) -> bytes:
    """A question; `edns` is how many bytes the client takes."""
    opt = b"\0" + struct.pack(">HHIH", 41, edns, 0x8000, 0) if edns else b""
    head = struct.pack(">6H", number, flags, 1, 0, 0, 1 if edns else 0)
    return head + encode_name(name) + struct.pack(">HH", KINDS[kind], scope) + opt


@dataclass(frozen=True)
class Record:
    name: str
    kind: int
    ttl: int
    content: bytes


@dataclass(frozen=True)
class Message:
    """A message taken apart."""

    number: int
    flags: int
    questions: list[tuple[str, int, int]]
    answers: list[Record]
    additional: list[Record]

    @property
    def code(self) -> int:
        return self.flags & 15

    @property
    def truncated(self) -> bool:
        return bool(self.flags & 0x200)

    @property
    def addresses(self) -> list[str]:
        """What A and AAAA records say."""
        families = {1: socket.AF_INET, 28: socket.AF_INET6}
        return [
            socket.inet_ntop(families[each.kind], each.content) for each in self.answers if each.kind in families
        ]


def parse(data: bytes) -> Message:
    """Take a message apart; fails on anything that is not one, and on what is left over."""
    number, flags, *counts = struct.unpack_from(">6H", data)
    position = 12
    questions = []
    for _ in range(counts[0]):
        name, position = _name(data, position)
        questions.append((name, *struct.unpack_from(">HH", data, position)))
        position += 4
    sections: list[list[Record]] = []
    for count in counts[1:]:
        sections.append([])
        for _ in range(count):
            name, position = _name(data, position)
            kind, _scope, ttl, length = struct.unpack_from(">HHIH", data, position)
            position += 10
            assert position + length <= len(data)
            sections[-1].append(Record(name, kind, ttl, data[position : position + length]))
            position += length
    assert position == len(data)
    return Message(number, flags, questions, sections[0], sections[2])


def _name(data: bytes, position: int) -> tuple[str, int]:
    labels: list[str] = []
    end = -1
    for _ in range(128):
        length = data[position]
        if length & 0xC0:
            end = end if end >= 0 else position + 2
            position = int.from_bytes(data[position : position + 2], "big") & 0x3FFF
        elif not length:
            return ".".join(labels), end if end >= 0 else position + 1
        else:
            labels.append(data[position + 1 : position + 1 + length].decode("latin-1"))
            position += 1 + length
    raise AssertionError("a name without an end")


def reply(
    asked: bytes, addresses: Sequence[str] = (), *, code: int = 0, flags: int = 0, tail: bytes = b""
) -> bytes:
    """An answer to a question with A records; `tail` is put behind, uncounted by any header."""
    end = _name(asked, 12)[1] + 4
    head = asked[:2] + struct.pack(">5H", 0x8180 | flags | code, 1, len(addresses), 0, 0)
    records = b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address) for address in addresses
    )
    return head + asked[12:end] + records + tail


Answer = Callable[[bytes, str], Sequence[bytes]]  # a question and "udp" or "tcp": what is sent back, one by one


class NameServer:
    """Listens as a context, in the network namespace of the thread that enters it; answers what `answer` says.

    By default it knows the names of `zone`, and of no others.
    """

    def __init__(
        self,
        address: str,
        port: int = 0,
        *,
        zone: dict[str, list[str]] | None = None,
        answer: Answer | None = None,
    ) -> None:
        self.zone = {name.lower(): addresses for name, addresses in (zone or {}).items()}
        self.answer = answer or self._from_zone
        self.asked: list[tuple[str, bytes]] = []  # over what, and what
        self.clients: list[tuple[str, int]] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._tcp = socket.socket(family, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp.bind((address, port))
        self.address, self.port = self._udp.getsockname()[:2]
        self._tcp.bind((address, self.port))
        self._tcp.listen()
        self._threads = [threading.Thread(target=self._datagrams), threading.Thread(target=self._streams)]

    def names(self) -> list[str]:
        """Which names were asked for, in order."""
        return [parse(data).questions[0][0] for _, data in self.asked]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._udp, self._tcp):
            try:
                one.shutdown(socket.SHUT_RDWR)  # wakes its thread; close alone does not
            except OSError:
                pass  # a socket of UDP is not connected, and wakes up nevertheless
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _from_zone(self, asked: bytes, _transport: str) -> Sequence[bytes]:
        name, kind, _ = parse(asked).questions[0]
        addresses = self.zone.get(name.lower())
        if addresses is None:
            return [reply(asked, code=NXDOMAIN)]
        return [reply(asked, addresses if kind == KINDS["A"] else ())]

    def _datagrams(self) -> None:
        while True:
            data, client = self._udp.recvfrom(1 << 16)
            if not data:
                return
            self.asked.append(("udp", data))
            self.clients.append(client[:2])
            for each in self.answer(data, "udp"):
                self._udp.sendto(each, client)

    def _streams(self) -> None:
        while True:
            try:
                connection, client = self._tcp.accept()
            except OSError:
                return
            self.clients.append(client[:2])
            with connection, connection.makefile("rb") as stream:
                data = stream.read(int.from_bytes(stream.read(2), "big"))
                self.asked.append(("tcp", data))
                for each in self.answer(data, "tcp"):
                    connection.sendall(len(each).to_bytes(2, "big") + each)
