"""Streams between the user and a container: framing, input, detach keys, blocked sides."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from proa.client import detach_keys
from proa.client.errors import DaemonError, Detached
from proa.client.http import Connection
from proa.client.session import Session
from proa.client.stdcopy import Demultiplexer
from proa.errors import Internal, InvalidArgument
from rig.recorder import frame


class Rig:
    """A session with a pipe for each standard stream and the engine's end of the connection."""

    def __init__(self) -> None:
        self.ours, self.engine = socket.socketpair()
        self.stdin, self.typing = os.pipe()
        self.reading_out, self.stdout = os.pipe()
        self.reading_err, self.stderr = os.pipe()
        self.connection = Connection(self.ours, "localhost")

    def session(self, *, tty: bool = False, stdin: bool = True, keys: bytes = b"") -> Session:
        source = self.stdin if stdin else -1
        return Session(
            self.connection, tty=tty, stdin=source, stdout=self.stdout, stderr=self.stderr, detach_keys=keys
        )

    def written(self) -> tuple[bytes, bytes]:
        for fd in (self.stdout, self.stderr):
            os.close(fd)
        self.stdout = self.stderr = -1
        return os.read(self.reading_out, 1 << 20), os.read(self.reading_err, 1 << 20)

    def close(self) -> None:
        self.ours.close()
        self.engine.close()
        for fd in (self.stdin, self.typing, self.reading_out, self.stdout, self.reading_err, self.stderr):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def test_output_is_split(rig: Rig) -> None:
    rig.engine.sendall(frame(1, b"out") + frame(2, b"err") + frame(1, b"put"))
    rig.engine.close()
    rig.session(stdin=False).run()
    assert rig.written() == (b"output", b"err")


def test_output_of_a_terminal_is_raw(rig: Rig) -> None:
    rig.connection.unread = b"\x01early "
    rig.engine.sendall(frame(1, b"x"))
    rig.engine.close()
    rig.session(tty=True, stdin=False).run()
    assert rig.written() == (b"\x01early " + frame(1, b"x"), b"")


def test_no_input_is_told_at_once(rig: Rig) -> None:
    thread = threading.Thread(target=rig.session(stdin=False).run)
    thread.start()
    assert rig.engine.recv(10) == b""
    rig.engine.close()
    thread.join(10)


def test_end_of_input_leaves_the_output_open(rig: Rig) -> None:
    thread = threading.Thread(target=rig.session().run)
    thread.start()
    os.write(rig.typing, b"abc")
    os.close(rig.typing)
    rig.typing = -1
    assert rig.engine.recv(10, socket.MSG_WAITALL) == b"abc"
    rig.engine.sendall(frame(1, b"answer"))
    rig.engine.close()
    thread.join(10)
    assert rig.written() == (b"answer", b"")


def test_neither_side_blocks_the_other(rig: Rig) -> None:
    """Both write more than the buffers hold, and the container reads nothing before it has written all."""
    size = 4 << 20
    counts: dict[str, int] = {}

    def container() -> None:
        for _ in range(size // 65536):
            rig.engine.sendall(frame(1, bytes(65536)))
        counts["in"] = sum(len(data) for data in iter(lambda: rig.engine.recv(65536), b""))
        rig.engine.close()

    def type_all() -> None:
        view = memoryview(bytes(size))
        while view:
            view = view[os.write(rig.typing, view) :]
        os.close(rig.typing)
        rig.typing = -1

    def watch() -> None:
        counts["out"] = sum(len(data) for data in iter(lambda: os.read(rig.reading_out, 65536), b""))

    threads = [threading.Thread(target=target) for target in (container, type_all, watch)]
    for thread in threads:
        thread.start()
    rig.session().run()
    os.close(rig.stdout)
    rig.stdout = -1
    for thread in threads:
        thread.join(10)
    assert counts == {"in": size, "out": size}


def test_container_that_reads_nothing(rig: Rig) -> None:
    rig.engine.shutdown(socket.SHUT_RD)
    os.write(rig.typing, b"x" * 1000)
    rig.engine.sendall(frame(1, b"still here"))
    rig.engine.close()
    rig.session().run()
    assert rig.written() == (b"still here", b"")


def test_detach(rig: Rig) -> None:
    os.write(rig.typing, b"kept\x10\x11lost")
    with pytest.raises(Detached):
        rig.session(tty=True, keys=b"\x10\x11").run()
    rig.ours.close()
    assert rig.engine.recv(100) == b"kept"


def test_keys_mean_nothing_without_a_terminal(rig: Rig) -> None:
    thread = threading.Thread(target=rig.session(keys=b"\x10\x11").run)
    thread.start()
    os.write(rig.typing, b"\x10\x11")
    assert rig.engine.recv(10) == b"\x10\x11"
    rig.engine.close()
    thread.join(10)


FED = [
    ([b"abc"], b"abc", False),
    ([b"a\x10", b"\x11"], b"a", True),
    ([b"\x10x"], b"\x10x", False),
    ([b"\x10\x10\x11"], b"\x10", True),
    ([b"\x10"], b"", False),
    ([b"\x10", b"y", b"\x11"], b"\x10y\x11", False),
]


@pytest.mark.parametrize(("pieces", "passed", "detached"), FED)
def test_watcher(pieces: list[bytes], passed: bytes, detached: bool) -> None:
    watcher = detach_keys.Watcher(b"\x10\x11")
    results = [watcher.feed(piece) for piece in pieces]
    assert b"".join(data for data, _ in results) == passed
    assert any(found for _, found in results) == detached


KEYS = [
    ("ctrl-p,ctrl-q", b"\x10\x11"),
    ("a", b"a"),
    ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\0\x1b\x1c\x1d\x1e\x1f"),
]


@pytest.mark.parametrize(("text", "keys"), KEYS)
def test_key_names(text: str, keys: bytes) -> None:
    assert detach_keys.parse(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-A", "ctrl-pp", "a,,b", "ü", "alt-x"])
def test_wrong_key_names(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Unknown character"):
        detach_keys.parse(text)


@pytest.mark.parametrize("step", [1, 3, 7, 8, 9, 1000])
def test_frames_in_pieces(step: int) -> None:
    data = frame(1, b"hello") + frame(0, b"") + frame(2, b"x" * 20) + frame(0, b"in") + frame(1, b"!")
    demultiplexer = Demultiplexer()
    out = {1: b"", 2: b""}
    for position in range(0, len(data), step):
        for stream, piece in demultiplexer.feed(data[position : position + step]):
            out[stream] += piece
    assert out == {1: b"helloin!", 2: b"x" * 20}


def test_error_frame() -> None:
    with pytest.raises(DaemonError, match="error from daemon in stream: it broke"):
        list(Demultiplexer().feed(frame(3, b"it broke\n")))


@pytest.mark.parametrize("data", [b"plain text", b"\x04\0\0\0\0\0\0\x01x", b"\x01\x01\0\0\0\0\0\x01x"])
def test_no_frames(data: bytes) -> None:
    with pytest.raises(Internal, match="Unrecognized input header"):
        list(Demultiplexer().feed(data))
