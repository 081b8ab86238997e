"""The socket between a process on its way into a container and its parent.

    child → parent   {"cgroup": path or ""}                       prepared, and where
    parent → child   {"spec", "enter", "fork"} and its streams    what to become
    child → parent   {"pid"}                                      another process continues in its place
                     {} and the master of its terminal
                     {"error": {"message", "errno"}}              it will not come about
                     end of file                                  execve closed the child's end

Next hop of `run`: `init.py`.
"""

from __future__ import annotations

import os
import socket

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

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    # --- the parent's side ------------------------------------------------------------------------------

    def prepared(self) -> str:
        """Wait until the child has prepared itself; return the path of the cgroup it is in, or ""."""
        message, _ = packets.receive(self._socket)
        if message is None:
            raise SetupError("the container's first process was killed")
        if fault := message.get("error"):
            raise SetupError(fault["message"], fault["errno"])
        cgroup: str = message["cgroup"]
        return cgroup

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

    def receive_after(self, cgroup: str) -> tuple[dict[str, Any], list[int]]:
        """Tell that everything is prepared, in which cgroup, and wait for what to become.

        Ends the process if its parent ends.
        """
        try:
            packets.send(self._socket, {"cgroup": cgroup})
            message, descriptors = packets.receive(self._socket)
        except ConnectionError:
            message = None
        if message is None:
            os._exit(0)
        return message, descriptors

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
