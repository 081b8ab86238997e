"""Where a container's output is kept: the one interface of all log drivers, and which of them is which.

A driver that writes a file does so here, in the shim. Whatever may have to wait (a syslog server, the
journal, a file in the mode non-blocking) is served by a process of its own, `logprocess.py`: this one
never waits for it. Few containers have that, so nothing of it is imported before it is asked for.
"""

from __future__ import annotations

from proa.shim.jsonlog import JsonLog

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from proa.linux.loop import Loop

    class Log(Protocol):
        """A log driver at work. `path` is its file that can be read again, "" if there is none."""

        path: str

        @property
        def full(self) -> bool:
            """Whether the container should wait."""

        @property
        def lost(self) -> int:
            """Bytes that could not be kept so far."""

        def write(self, stream: str, data: bytes) -> None:
            """Keep a chunk of output. Never raises, whatever happens to disks and servers."""

        def flush(self, stream: str) -> None:
            """Keep an incomplete last line: the stream has ended."""

        def incomplete(self) -> dict[str, bytes]:
            """Return what of each stream is not in the file yet, once everything else is."""

        def reaped(self, pid: int, status: int) -> None:
            """Take note of a child process's end."""

        def close(self) -> None:
            """Keep what is left, as far as that takes little time."""


def open_log(description: dict[str, Any] | None, loop: Loop, on_drained: Callable[[], None]) -> Log | None:
    """Open the log that the engine describes (`engine/logs/destination.py`), None for none.

    `on_drained` is called when a log that was `full` is no longer. Raises `Unavailable` with the driver's reason.
    """
    if not description:
        return None
    if not description.get("driver"):
        return JsonLog(**description["file"])
    from proa.shim.logprocess import LogProcess

    return LogProcess(description, loop, on_drained)
