"""A process that waits for the container it will be process 1 of, seen by its parent.

    parent (the shim)                     child
    -----------------                     -----
    Sandbox() clones ───────────────────▶ prepares: cgroup, namespaces, /proc, /dev; waits
    make_cgroup() ──────────────────────▶ makes the container's cgroup, or renames its own
      ◀─────────── warnings ───────────── waits
    start() ────────────────────────────▶ enters the rest: namespaces, root, terminal
      ◀─────────── terminal's master ────
      ◀─────────── end of file, or why ── execve closes the channel

On cgroup v2, and in another container's pid namespace, the child clones a sibling that was born in the
right place and continues. What the child does, the parent, which stays as long as the container, need not
have in memory. Next hop of `run`: `init.py`.
"""

from __future__ import annotations

import os
import signal

from proa import cgroups
from proa.cgroups import prepared as prepared_cgroups
from proa.linux import namespaces, packets, process
from proa.runtime import init
from proa.runtime.channel import Channel, Outcome
from proa.runtime.failure import step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any


class Started:
    """A process that runs the user's program. `terminal` is the master of its terminal, or -1.

    `pidfd` is -1 for other processes than the first.
    """

    __slots__ = ("pid", "pidfd", "terminal")

    def __init__(self, pid: int, pidfd: int, terminal: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.terminal = terminal


class Sandbox:
    """Prepared for containers with a new pid namespace, or (`own_pids=False`) for those that share one.

    `cgroup_parent` is where most containers have their cgroups; "" prepares none.
    """

    def __init__(self, *, own_pids: bool = True, cgroup_parent: str = "") -> None:
        self.own_pids = own_pids
        self._v1 = cgroups.detect() == "v1"
        self._cgroup = prepared_cgroups.path(cgroup_parent, os.getpid()) if self._v1 and cgroup_parent else ""
        ours, theirs = packets.pair()
        self._channel = Channel(ours)
        flags = 0
        for flag in init.BORN_IN.values():
            flags |= flag
        if self._v1 and own_pids:
            flags |= namespaces.CLONE_NEWPID
        parent = os.getpid()
        self._pid = process.fork(flags)
        if self._pid == 0:
            init.run(Channel(theirs), parent, own_pids=own_pids, cgroup=self._cgroup)
        theirs.close()
        self._pidfd = os.pidfd_open(self._pid)

    @property
    def usable(self) -> bool:
        """Whether the child is still there: it is a process as any, that anything may have killed."""
        try:
            signal.pidfd_send_signal(self._pidfd, 0)
        except ProcessLookupError:
            return False
        return True

    def make_cgroup(self, path: str, resources: dict[str, Any]) -> list[str]:
        """Have the child create the container's cgroup; return warnings, raises `SetupError`."""
        with step("create the cgroup"):
            self._channel.send({"cgroup": path, "resources": resources})
        warnings = self._channel.made()
        self._cgroup = ""
        return warnings

    def start(self, spec_path: str, streams: tuple[int, int, int], *, joins_pids: bool) -> Started:
        """Let the child run the program that the specification file says; raises `SetupError`.

        The child is gone then, its cgroup is the caller's to remove. `joins_pids`: another's pid namespace.
        """
        outcome = Outcome(self._pid)
        try:
            with step("start the container's first process"):
                self._channel.send({"spec": spec_path, "joins_pids": joins_pids}, streams)
            self._channel.wait(outcome)
            if outcome.pid != self._pid:
                end(self._pid, self._pidfd)
                self._pidfd = os.pidfd_open(outcome.pid)
        except BaseException:
            end(self._pid, self._pidfd)
            if outcome.pid != self._pid:
                end(outcome.pid, os.pidfd_open(outcome.pid))
            if outcome.terminal >= 0:
                os.close(outcome.terminal)
            raise
        finally:
            self._channel.close()
        return Started(outcome.pid, self._pidfd, outcome.terminal)

    def discard(self) -> None:
        """End a child that has not been started, with what it prepared."""
        end(self._pid, self._pidfd)
        self._channel.close()
        if self._cgroup:
            prepared_cgroups.remove(self._cgroup)


def end(pid: int, pidfd: int) -> None:
    """Kill a child that is of no use any more, take its exit status, close its pidfd."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # it ended by itself
    finally:
        os.close(pidfd)
