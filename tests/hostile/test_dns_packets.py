"""Packets that no client would send, to a container's name server: it answers what is a question, and lives on."""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from proa.dns import protocol
from proa.linux import rtnetlink
from proa.linux.namespaces import CLONE_NEWNET, unshare
from rig.name_process import NameProcess, ask, exchange, on, stream
from rig.nameserver import encode_name, parse, query, reply
from rig.private_network import close_namespaces, inside

pytestmark = pytest.mark.root

FORMERR, SERVFAIL, NOTIMP = 1, 2, 4
HEAD = b"\x12\x34\1\0\0\1\0\0\0\0\0\0"
TAIL = b"\0\1\0\1"
QUESTION = query("web")


def header(flags: int = 0x0100, *counts: int) -> bytes:
    return struct.pack(">6H", 0x1234, flags, *counts)


# What is sent, and the code of the answer; None where silence is due.
PACKETS: dict[str, tuple[bytes, int | None]] = {
    "one byte": (b"\0", None),
    "half a header": (QUESTION[:6], None),
    "a byte less than a header": (QUESTION[:11], None),
    "an answer": (reply(QUESTION, ["10.0.0.1"]), None),
    "an answer without a question": (header(0x8180, 0, 0, 0, 0), None),
    "a header alone": (HEAD, FORMERR),
    "no question": (header(0x0100, 0, 0, 0, 0), FORMERR),
    "two questions": (header(0x0100, 2, 0, 0, 0) + (encode_name("web") + TAIL) * 2, FORMERR),
    "65535 questions": (header(0x0100, 65535, 0, 0, 0) + encode_name("web") + TAIL, FORMERR),
    "an inverse query": (header(0x0900, 1, 0, 0, 0) + encode_name("web") + TAIL, NOTIMP),
    "a notification": (header(0x2100, 1, 0, 0, 0) + encode_name("web") + TAIL, NOTIMP),
    "an update": (header(0x2800, 1, 0, 0, 0) + encode_name("web") + TAIL, NOTIMP),
    "a name that points at itself": (HEAD + b"\xc0\x0c" + TAIL, FORMERR),
    "a name that points behind itself": (HEAD + b"\xc0\x0e\xc0\x0c" + TAIL, FORMERR),
    "a name that points at the header": (HEAD + b"\xc0\x00" + TAIL, FORMERR),
    "a name that points out of the packet": (HEAD + b"\xff\xff" + TAIL, FORMERR),
    "a label and then a loop": (HEAD + b"\3web\xc0\x0c" + TAIL, FORMERR),
    "a label of the reserved kinds": (HEAD + b"\x43web\0" + TAIL, FORMERR),
    "a label longer than the packet": (HEAD + b"\x3fweb", FORMERR),
    "a name without an end": (HEAD + b"\3web", FORMERR),
    "a name of 256 bytes": (HEAD + b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 3 + b"\0" + TAIL, FORMERR),
    "a name of 60000 labels": (HEAD + b"\1a" * 30000 + b"\0" + TAIL, FORMERR),
    "no type": (HEAD + encode_name("web"), FORMERR),
    "half a class": (HEAD + encode_name("web") + b"\0\1\0", FORMERR),
    "a label with a dot": (HEAD + b"\7web.web\0" + TAIL, SERVFAIL),
    "a label with a zero": (HEAD + b"\4web\0\0" + TAIL, SERVFAIL),
    "the root": (HEAD + b"\0" + TAIL, SERVFAIL),
    "bytes of no alphabet": (HEAD + b"\4\xff\xfe\0\n\0" + TAIL, SERVFAIL),
    "a name backwards of no address": (query("1.2.3.in-addr.arpa", "PTR"), SERVFAIL),
    "a number backwards of 63 digits": (query("9" * 63 + ".0.0.10.in-addr.arpa", "PTR"), SERVFAIL),
    "a type of the future": (HEAD + encode_name("nobody.example") + b"\xff\xfe\0\1", SERVFAIL),
    "a transfer of the zone": (HEAD + encode_name("back") + b"\0\xfc\0\1", SERVFAIL),
    "more records than there are": (header(0x0100, 1, 65535, 65535, 65535) + encode_name("web") + TAIL, 0),
    "half an OPT": (header(0x0100, 1, 0, 0, 1) + encode_name("web") + TAIL + b"\0\0\x29\x10", 0),
    "a client that takes nothing": (query("web", edns=1), 0),
    "60000 bytes behind the question": (QUESTION + bytes(60000), 0),
    "all flags": (header(0x07FF & ~0x7800, 1, 0, 0, 0) + encode_name("web") + TAIL, 0),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NameProcess, int]]:
    """A name server in a network namespace of its own, and a container that it answers."""
    with ThreadPoolExecutor(1) as executor:

        def make() -> tuple[NameProcess, int]:
            unshare(CLONE_NEWNET)
            rtnetlink.loopback_up()
            process = NameProcess(tmp_path_factory.mktemp("names"))
            return process, process.container("web", on("back", ["web"], "10.0.0.2"))

        process, web = executor.submit(make).result()
        try:
            yield process, web
        finally:
            process.__exit__()
            close_namespaces()


@pytest.fixture(autouse=True)
def lives_on(server: tuple[NameProcess, int]) -> Iterator[None]:
    process, web = server
    before = len(os.listdir(f"/proc/{process.process.pid}/fd"))
    yield
    assert ask(web, "web").addresses == ["10.0.0.2"]
    assert process.hello()["containers"] == {"web": 0}
    assert len(os.listdir(f"/proc/{process.process.pid}/fd")) == before


@pytest.mark.parametrize("name", PACKETS)
def test_a_packet(server: tuple[NameProcess, int], name: str) -> None:
    data, code = PACKETS[name]
    if code is None:
        with pytest.raises(TimeoutError):
            exchange(server[1], data, seconds=0.1)
        return
    answer = exchange(server[1], data)
    assert answer[:2] == data[:2]
    assert answer[2] & 0x80
    assert answer[3] & 15 == code


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\0", b"\0\1\0", b"\0", b"\xff\xff", b"\0\x0c" + HEAD, b"\xff\xff" + bytes(65535),
        b"\0\x1c" + reply(QUESTION), b"GET / HTTP/1.1\r\n\r\n" * 4000,
    ],
    ids=[
        "nothing", "a byte", "half a length", "a length alone", "a header", "zeros", "an answer", "no DNS",
    ],
)  # fmt: skip
def test_a_stream(server: tuple[NameProcess, int], sent: bytes) -> None:
    with stream(server[1]) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
        except ConnectionError:
            pass  # it was cut off


def test_a_client_that_never_reads(server: tuple[NameProcess, int]) -> None:
    question = len(QUESTION).to_bytes(2, "big") + QUESTION
    with stream(server[1]) as connection:
        connection.settimeout(5)
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                connection.sendall(question * 1000)


def test_a_client_that_says_a_byte_at_a_time(server: tuple[NameProcess, int]) -> None:
    with stream(server[1]) as connection, connection.makefile("rb") as reader:
        for byte in len(QUESTION).to_bytes(2, "big") + QUESTION:
            connection.sendall(bytes((byte,)))
        assert parse(reader.read(int.from_bytes(reader.read(2), "big"))).addresses == ["10.0.0.2"]


def test_noise(server: tuple[NameProcess, int]) -> None:
    """Questions with bytes changed, left out and put in, by the thousand."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance = random.Random(seed)

    def shout() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.11", 53))
            for _ in range(5000):
                data = bytearray(chance.choice([QUESTION, query("web.back", edns=1232), query("x", "PTR")]))
                for _ in range(chance.randint(1, 6)):
                    place = chance.randrange(len(data))
                    data[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 3))
                client.send(bytes(data))

    inside(server[1], shout)


def test_nobody_else_can_tell_it_anything(server: tuple[NameProcess, int]) -> None:
    path = server[0].directory / protocol.SOCKET_NAME
    assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (0, 0)
