"""The socket between a process on its way into a container and its parent.

    parent → child   {"cgroup", "resources"}                      where it belongs
    child → parent   {"warnings"}                                 the cgroup is made
    parent → child   {"spec", "joins_pids"} and its streams       what to become
    child → parent   {"pid"}                                      another process continues in its place
                     {} and the master of its terminal
                     {"error": {"message", "errno"}}              it will not come about
                     end of file                                  execve closed the child's end

Next hop of `run`: `init.py`.
"""

from __future__ import annotations

import os

from proa.linux import packets
from proa.runtime.failure import SetupError, describe

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

_FAILED = 255
_LONGEST = 4000  # characters of an error


class Outcome:
    """What became of a child. `terminal` is the master of its terminal, or -1; `pid` as its parent sees it."""

    __slots__ = ("pid", "terminal")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.terminal = -1


class Channel:
    """Either end; the child's goes with its execve."""

    def __init__(self, connection: packets.Socket) -> None:
        self._socket = connection

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    # --- the parent's side ------------------------------------------------------------------------------

    def made(self) -> list[str]:
        """Wait until the child has prepared itself and made the cgroup; return warnings."""
        message, _ = packets.receive(self._socket)
        if message is None:
            raise SetupError("the container's first process was killed")
        if fault := message.get("error"):
            raise SetupError(fault["message"], fault["errno"])
        warnings: list[str] = message["warnings"]
        return warnings

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        packets.send(self._socket, message, descriptors)

    def wait(self, outcome: Outcome) -> None:
        """Fill `outcome` in until the child's execve; raises `SetupError` if that does not come about."""
        while True:
            try:
                message, descriptors = packets.receive(self._socket)
            except ConnectionError:
                message = None  # killed before it had read everything
            if message is None:
                return
            if descriptors:
                outcome.terminal = descriptors[0]
            if "pid" in message:
                outcome.pid = message["pid"]
            if fault := message.get("error"):
                raise SetupError(fault["message"], fault["errno"])

    # --- the child's side -------------------------------------------------------------------------------

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """Wait for what the parent wants. Ends the process if its parent ends."""
        try:
            message, descriptors = packets.receive(self._socket)
        except ConnectionError:
            message = None
        if message is None:
            os._exit(0)
        return message, descriptors

    def tell_made(self, warnings: list[str]) -> None:
        packets.send(self._socket, {"warnings": warnings})

    def send_terminal(self, master: int) -> None:
        packets.send(self._socket, {}, (master,))

    def continue_as(self, pid: int) -> NoReturn:
        """Leave the rest to the process `pid`, which has this channel, too."""
        try:
            packets.send(self._socket, {"pid": pid})
        finally:
            os._exit(0)

    def fail(self, error: BaseException) -> NoReturn:
        """Say why, and end; a parent that is gone needs no reason."""
        message, number = describe(error)
        try:
            packets.send(self._socket, {"error": {"message": message[:_LONGEST], "errno": number}})
        except OSError:
            pass
        finally:
            os._exit(_FAILED)
