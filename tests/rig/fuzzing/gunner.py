"""Sends shots over connections of its own, reads what comes back and judges it."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from rig.fuzzing.shots import Shooter, Shot

PATIENCE = 40.0  # seconds for an answer that must come; the machine is busy
_GLANCE = (0.02, 0.2, 0.6)  # seconds that an endless answer is read
_REFUSALS = {501, 503, 505}
# What Docker, too, tells as a failure of its own.
_ALSO_DOCKERS = re.compile(
    r"is not connected to (the )?network|driver failed programming external connectivity|all ports are allocated"
)
_MOST_READ = 4 << 20


class Finding(NamedTuple):
    """Something that must not be."""

    what: str
    shot: str
    answer: str

    def __str__(self) -> str:
        return f"{self.what}\n  shot: {self.shot}\n  answer: {self.answer}"


class Gunner(threading.Thread):
    """One connection at a time, from `shooter`, until `deadline` (of time.monotonic)."""

    def __init__(
        self,
        address: str,
        shooter: Shooter,
        chance: random.Random,
        deadline: float,
        made: Callable[[Shot, int, bytes], None],
        recipe: Callable[[Shot], str],
    ) -> None:
        super().__init__()
        self._address = address
        self._shooter = shooter
        self._chance = chance
        self._deadline = deadline
        self._made = made
        self._recipe = recipe
        self.statuses: Counter[int] = Counter()
        self.reached: Counter[str] = Counter()  # operations that were answered with success
        self.findings: list[Finding] = []
        self.failures: Counter[str] = Counter()  # messages of 5xx, without what varies

    def run(self) -> None:
        while time.monotonic() < self._deadline and len(self.findings) < 20:
            shot = self._shooter.shot()
            try:
                self.fire(shot)
            except TimeoutError:
                self.findings.append(Finding(f"no answer for {PATIENCE} s", str(shot), ""))
            except Exception as error:  # of the fuzzer itself, or an answer that is no HTTP
                self.findings.append(Finding(f"{type(error).__name__}: {error}", str(shot), ""))

    def fire(self, shot: Shot) -> None:
        """Send one shot on a connection of its own and judge the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(self._address)
            try:
                self._send(connection, shot)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was answered before it was complete
            if shot.vanish:
                return
            self._judge(shot, *self._answer(connection, shot))

    def _send(self, connection: socket.socket, shot: Shot) -> None:
        for piece in shot.pieces:
            connection.sendall(piece)
            if shot.pause:
                time.sleep(shot.pause)
        if shot.half_close:
            connection.shutdown(socket.SHUT_WR)

    def _answer(self, connection: socket.socket, shot: Shot) -> tuple[int, bytes]:
        """Return status and body, 0 for no answer; the body of an endless one is what came in a moment."""
        head = b""
        if not shot.complete and not shot.half_close:
            connection.settimeout(0.1)
        while b"\r\n\r\n" not in head or head.startswith(b"HTTP/1.1 100"):
            head = (
                head.partition(b"\r\n\r\n")[2]
                if head.startswith(b"HTTP/1.1 100") and b"\r\n\r\n" in head
                else head
            )
            try:
                data = connection.recv(65536) if b"\r\n\r\n" not in head else b""
            except ConnectionResetError:
                return 0, b""
            except TimeoutError:
                if shot.complete:
                    raise
                return 0, b""
            if not data and b"\r\n\r\n" not in head:
                return 0, head
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        found = re.fullmatch(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*", head.split(b"\r\n")[0])
        if not found:
            raise AssertionError(f"no HTTP: {head[:200]!r}")
        status = int(found[1])
        return status, self._body(connection, shot, status, head.lower(), body)

    def _body(self, connection: socket.socket, shot: Shot, status: int, head: bytes, body: bytes) -> bytes:
        if shot.method == "HEAD" or status in (204, 304):
            return b""
        if status == 101 and self._chance.random() < 0.5:
            typed = self._chance.choice((b"echo typed\n", b"\x10\x11", b"x" * 70_000, b"\x81\x85", b"exit\n"))
            with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                connection.settimeout(1.0)  # nobody need read it
                connection.sendall(typed)
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        chunked = b"\r\ntransfer-encoding: chunked" in head
        glance = time.monotonic() + self._chance.choice(_GLANCE) if shot.endless else self._deadline + PATIENCE
        while not (
            (length and len(body) >= int(length[1]))
            or (chunked and body.endswith(b"0\r\n\r\n"))
            or len(body) > _MOST_READ
        ):
            connection.settimeout(max(0.001, min(PATIENCE, glance - time.monotonic())))
            try:
                data = connection.recv(65536)
            except TimeoutError:
                if shot.endless and time.monotonic() >= glance:
                    break
                raise
            except ConnectionResetError:
                break
            if not data:
                break
            body += data
        return body

    def _judge(self, shot: Shot, status: int, body: bytes) -> None:
        self.statuses[status] += 1
        if status == 0:
            if shot.complete:
                self.findings.append(Finding("no answer", str(shot), repr(body[:300])))
            return
        if status < 400:
            self.reached[f"{shot.method} {shot.path}"] += 1
            self._made(shot, status, body)
            return
        message = self._message(shot, status, body)
        if status >= 500:
            self.failures[re.sub(r"[0-9a-f]{12,}|\d+", "N", f"{status} {message}")[:220]] += 1
        if status >= 500 and status not in _REFUSALS and not _ALSO_DOCKERS.search(message):
            self.findings.append(Finding(f"status {status}", f"{shot}\n  made by: {self._recipe(shot)}", message))

    def _message(self, shot: Shot, status: int, body: bytes) -> str:
        """The text of an error; what is no such document is a finding."""
        if shot.method == "HEAD":
            return ""
        if shot.path.endswith("/ws") or not body.startswith(b"{"):
            return body.decode(
                errors="replace"
            )  # plain, to clients that are too old; and of WebSocket's handshake
        try:
            return str(json.loads(body)["message"])
        except (ValueError, KeyError) as error:
            self.findings.append(
                Finding(f"an error {status} that is no document: {error}", str(shot), repr(body[:300]))
            )
            return ""
