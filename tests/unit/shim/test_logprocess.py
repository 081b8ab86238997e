"""The process of a log driver: what arrives, what waits, what is lost, and that its death is no end."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proa.errors import Unavailable
from proa.linux.loop import Loop
from proa.shim import logprocess
from proa.shim.logprocess import LogProcess
from rig.syslog import SyslogServer

NO_TLS = {"ca": "", "cert": "", "key": "", "skip_verify": False}


def children() -> set[int]:
    """Return the children of this process: engines and registries of other tests may be among them."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for children in lists for pid in children.read_text().split()}


class Shim:
    """As much of a shim as a log needs: the loop, and whether the container would wait."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._others = children()
        self.loop = Loop()
        self.drained = 0
        try:
            self.log = LogProcess(description, self.loop, self._drained)
        except Unavailable:
            self.loop._epoll.close()
            raise

        self._open = True

    def _drained(self) -> None:
        self.drained += 1

    def close(self) -> None:
        if self._open:
            self._open = False
            self.log.close()

    def turn(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Let the loop run, and hear of children that have ended."""
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            self.loop.later(0.01, lambda: setattr(self.loop, "running", False))
            self.loop.running = True
            self.loop.run()
            for child in children() - self._others:
                self.log.reaped(*os.waitpid(child, os.WNOHANG))


@pytest.fixture
def begin() -> Iterator[Callable[..., Shim]]:
    begun: list[Shim] = []
    others = children()

    def make(driver: str, options: dict[str, Any], buffer: int = 0, file: dict[str, Any] | None = None) -> Shim:
        begun.append(Shim({"driver": driver, "options": options, "buffer": buffer, "file": file}))
        return begun[-1]

    yield make
    for shim in begun:
        shim.close()
        shim.loop.close()
    for child in children() - others:
        os.waitpid(child, 0)


def syslog(server: SyslogServer | None, **options: Any) -> dict[str, Any]:
    port = server.port if server else 1
    plain = {"network": "tcp", "host": "127.0.0.1", "port": port, "facility": 3, "format": "", "tag": "t"}
    return {**plain, "tls": NO_TLS, **options}


def texts(messages: list[bytes]) -> list[bytes]:
    return [message.partition(b"]: ")[2] for message in messages]


def kept(path: Path) -> str:
    return "".join(json.loads(line)["log"] for line in path.read_text().splitlines())


def test_lines_arrive(tmp_path: Path, begin: Callable[..., Shim]) -> None:
    with SyslogServer("tcp", tmp_path) as server:
        shim = begin("syslog", syslog(server))
        for chunk in (b"on", b"e\n\ntwo\nthr", b"ee\n", b"x" * 40_000 + b"\n", b"no newline"):
            shim.log.write("stdout", chunk)
        shim.log.flush("stdout")
        shim.log.write("stderr", b"\xff\xfe binary\n")
        shim.close()
        sent = [b"one", b"two", b"three", b"x" * 16384, b"x" * 16384, b"x" * 7232, b"no newline"]
        sent.append(b"\xff\xfe binary")
        assert sorted(texts(server.messages(len(sent)))) == sorted(sent)
        assert shim.log.lost == 0


def test_a_server_that_is_not_there_is_told_at_the_start(begin: Callable[..., Shim]) -> None:
    with pytest.raises(Unavailable, match=r"driver: dial tcp 127\.0\.0\.1:1: connect: connection refused"):
        begin("syslog", syslog(None))


def test_blocking_waits_and_gives_up(
    tmp_path: Path, begin: Callable[..., Shim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logprocess, "_PATIENCE", 0.3)
    monkeypatch.setattr(logprocess, "_CLOSE_LIMIT", 0.2)
    path = tmp_path / "cache"
    with SyslogServer("tcp", tmp_path) as server:
        shim = begin("syslog", syslog(server), file={"path": str(path)})
    line = b"x" * 1023 + b"\n"
    written = 0
    while not shim.log.full:  # nobody is there: first the container waits
        shim.log.write("stdout", line)
        written += 1
        assert written < 5000
    shim.turn(5, lambda: not shim.log.full)
    assert shim.drained == 1  # then it runs on
    for _ in range(2000):
        shim.log.write("stdout", line)
        assert not shim.log.full
    assert len(shim.log._queue) < logprocess._QUEUE + 2000
    shim.close()
    assert shim.log.lost > 2000 * 1000
    assert path.stat().st_size > (written + 2000) * 1024  # the cache has everything


def test_non_blocking_drops_what_is_new(
    tmp_path: Path, begin: Callable[..., Shim], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logprocess, "_CLOSE_LIMIT", 0.2)
    with SyslogServer("tcp", tmp_path) as server:
        shim = begin("syslog", syslog(server), buffer=10_000)
    for _ in range(5000):
        shim.log.write("stdout", b"x" * 999 + b"\n")
        assert not shim.log.full
    assert len(shim.log._queue) < 12_000
    shim.close()
    assert shim.log.lost > 3_000_000


def test_a_line_larger_than_the_buffer_passes(tmp_path: Path, begin: Callable[..., Shim]) -> None:
    path = tmp_path / "log"
    shim = begin("file", {"path": str(path)}, buffer=10)
    shim.log.write("stdout", b"y" * 60_000 + b"\n")
    shim.turn(5, lambda: not shim.log._queue)
    shim.close()
    assert kept(path) == "y" * 60_000 + "\n"


def test_output_around_a_gap_is_not_joined(tmp_path: Path, begin: Callable[..., Shim]) -> None:
    path = tmp_path / "log"
    shim = begin("file", {"path": str(path)}, buffer=100)
    shim.log.write("stdout", b"half ")
    os.kill(shim.log._pid, signal.SIGSTOP)
    while not shim.log.lost:
        shim.log.write("stdout", b"z" * 50_000 + b"\n")
    os.kill(shim.log._pid, signal.SIGCONT)
    shim.turn(5, lambda: not shim.log._queue)
    shim.log.write("stdout", b"after\n")
    shim.close()
    lines = kept(path).splitlines()
    assert lines[0] == "half " + "z" * 50_000 and lines[-1] == "after"


@pytest.mark.parametrize("busy", [False, True])
def test_a_child_that_dies_is_replaced(
    tmp_path: Path, begin: Callable[..., Shim], monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    monkeypatch.setattr(logprocess, "_RESTART_DELAY", 0.05)
    path = tmp_path / "log"
    shim = begin("file", {"path": str(path)})
    shim.log.write("stdout", b"first\n")
    shim.turn(5, lambda: path.stat().st_size)
    if busy:
        os.kill(shim.log._pid, signal.SIGSTOP)
        while len(shim.log._queue) < 300_000:
            shim.log.write("stdout", b"w" * 999 + b"\n")
    child = shim.log._pid
    os.kill(child, signal.SIGKILL)
    shim.turn(5, lambda: shim.log._pid not in (0, child))
    shim.log.write("stdout", b"last\n")
    shim.turn(5, lambda: not shim.log._queue)
    shim.close()
    lines = kept(path).splitlines()
    assert lines[-1] == "last" and {len(line) for line in lines[1:-1]} <= {999}
    assert lines[0] == "first" and len(lines) > (200 if busy else 1)


def test_what_is_not_written_yet_is_told(tmp_path: Path, begin: Callable[..., Shim]) -> None:
    path = tmp_path / "log"
    shim = begin("file", {"path": str(path)}, buffer=1 << 20)
    shim.log.write("stdout", b"line\nbegin\xff")
    shim.log.write("stderr", b"too")
    assert shim.log.incomplete() == {"stdout": b"begin\xff", "stderr": b"too"}
    assert kept(path) == "line\n"


def test_its_older_files_are_compressed(tmp_path: Path, begin: Callable[..., Shim]) -> None:
    path = tmp_path / "log"
    shim = begin("file", {"path": str(path), "max_size": 1000, "max_files": 3, "compress": True}, buffer=1 << 20)

    def write() -> bool:
        # While a file is being compressed, little: on a busy machine it would be pushed out before it is.
        busy = path.with_name("log.1").exists()
        shim.log.write("stdout", b"0123456789\n" * (1 if busy else 10))
        return path.with_name("log.2.gz").exists()

    shim.turn(30, write)
    assert path.with_name("log.2.gz").exists()


@pytest.mark.parametrize("large", [False, True])
def test_journald(tmp_path: Path, begin: Callable[..., Shim], large: bool) -> None:
    """The journal's own protocol; an entry that is too large for a datagram comes as a sealed memfd."""
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.settimeout(10)
        label = "l\n" * (300_000 if large else 1)
        shim = begin("journald", {"socket": str(path), "fields": {"CONTAINER_TAG": "t", "LABEL": label}})
        shim.log.write("stdout", b"hello\n\n" + b"x" * 20_000 + b"\n")
        shim.log.write("stderr", b"oh")
        shim.close()
        entries = [_entry(journal) for _ in range(5)]
    assert all(entry["CONTAINER_TAG"] == b"t" and entry["LABEL"] == label.encode() for entry in entries)
    assert len({entry["CONTAINER_LOG_EPOCH"] for entry in entries}) == 1
    assert [entry["CONTAINER_LOG_ORDINAL"] for entry in entries] == [b"1", b"2", b"3", b"4", b"5"]
    shown = [(entry["PRIORITY"], len(entry["MESSAGE"]), entry.get("CONTAINER_PARTIAL_LAST")) for entry in entries]
    parts = [(b"6", 16384, b"false"), (b"6", 3616, b"true")]
    assert shown == [(b"6", 5, None), (b"6", 0, None), *parts, (b"3", 2, None)]
    assert [entry.get("CONTAINER_PARTIAL_MESSAGE") for entry in entries[2:4]] == [b"true", None]
    assert [entry["CONTAINER_PARTIAL_ORDINAL"] for entry in entries[2:4]] == [b"1", b"2"]
    assert entries[2]["CONTAINER_PARTIAL_ID"] == entries[3]["CONTAINER_PARTIAL_ID"]


def test_without_a_journal(tmp_path: Path, begin: Callable[..., Shim]) -> None:
    options = {"socket": str(tmp_path / "none"), "fields": {}}
    with pytest.raises(Unavailable, match="driver: journald is not enabled on this host"):
        begin("journald", options)


def _entry(journal: socket.socket) -> dict[str, bytes]:
    """Read one entry as journald would (https://systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    data, descriptors, _, _ = socket.recv_fds(journal, 1 << 20, 1)
    for fd in descriptors:
        with os.fdopen(fd, "rb") as file:
            file.seek(0)
            data = file.read()
            with pytest.raises(OSError, match="not permitted"):
                os.write(fd, b"x")
    fields = {}
    while data:
        name, _, rest = data.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
            data = rest
        else:
            length = int.from_bytes(rest[:8], "little")
            value, data = rest[8 : 8 + length], rest[9 + length :]
        fields[name.decode()] = value
    return fields
