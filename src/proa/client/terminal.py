"""The user's terminal: raw mode, its size. Nothing here fails where there is no terminal."""

from __future__ import annotations

import fcntl
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def size(fd: int) -> tuple[int, int] | None:
    """Return (rows, columns) of the terminal at `fd`, None when it is not one or has no size."""
    try:
        answer = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return None
    rows, columns = int.from_bytes(answer[:2], "little"), int.from_bytes(answer[2:4], "little")
    return (rows, columns) if rows and columns else None


class RawMode:
    """Every key goes to the container, unechoed, while this is entered."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def __enter__(self) -> None:
        try:
            before = termios.tcgetattr(self._fd)
        except termios.error:
            return
        raw = list(before)
        raw[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        raw[1] &= ~termios.OPOST
        raw[2] = (raw[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6] = [*before[6]]
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, raw)
        self._before = before

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
            self._before = None
