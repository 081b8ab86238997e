"""A program on a pseudo terminal, as a person would use it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from types import TracebackType
from typing import Self

from rig.needs import PATIENCE

WAIT = 15.0 * PATIENCE  # seconds to wait for text


class Terminal:
    """`with Terminal(client.command("run", "-it", …), client.environment) as terminal: …`"""

    def __init__(self, command: list[str], environment: dict[str, str], rows: int = 31, columns: int = 97) -> None:
        self.screen = ""  # everything the program printed so far
        self._seen = 0  # how much of it `expect` has passed
        self.master, slave = pty.openpty()
        self.resize(rows, columns, notify=False)
        self.before = termios.tcgetattr(slave)
        self.slave = slave  # held open: the settings can be looked at after the program's end
        self.process = subprocess.Popen(
            command,
            env=environment | {"TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=self._take_terminal,
        )

    @staticmethod
    def _take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C and SIGWINCH reach it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def line(self, text: str) -> None:
        self.send(text + "\r")

    def expect(self, pattern: str, seconds: float = WAIT) -> re.Match[str]:
        """Wait until what was printed after the last match matches `pattern`."""
        deadline = time.monotonic() + seconds
        while True:
            if match := re.compile(pattern).search(self.screen, self._seen):
                self._seen = match.end()
                return match
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in what came:\n{self.screen[self._seen :]!r}"
            if not self._read(min(left, 0.2)) and self.process.poll() is not None and not self._read(0.1):
                match = re.compile(pattern).search(self.screen, self._seen)
                assert match, f"it ended ({self.process.returncode}) without {pattern!r}:\n{self.screen!r}"

    def quiet(self, seconds: float = 0.5 * PATIENCE) -> None:
        """Read on until nothing came for a while."""
        while self._read(seconds):
            pass

    def wait(self, seconds: float = WAIT) -> int:
        """The program's exit status; reads on meanwhile."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.screen!r}"
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    def resize(self, rows: int, columns: int, *, notify: bool = True) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if notify:
            os.killpg(self.process.pid, signal.SIGWINCH)

    @property
    def restored(self) -> bool:
        """Whether the program left the terminal's settings as it found them."""
        return termios.tcgetattr(self.slave) == self.before

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # nobody has the other side open
                raise
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)
