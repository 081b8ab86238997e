"""What the log drivers of `logdrivers.py` have in common: where lines go, and parts of lines that are too long."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Protocol

    class Sink(Protocol):
        """Where lines go."""

        @property
        def lost(self) -> int:
            """Bytes of lines that could not be delivered."""

        def send(self, stream: str, line: bytes, moment: int, part: Part | None) -> None:
            """Deliver a line without its newline, or a part of a long one."""

        def close(self) -> None:
            """No more lines."""


class Part:
    """Which part of a long line this is: `ordinal` counts from 1."""

    def __init__(self, identifier: str, ordinal: int, *, last: bool) -> None:
        self.identifier = identifier
        self.ordinal = ordinal
        self.last = last
