"""A process that waits for the container it will be process 1 of, seen by its parent.

    parent (the shim)                     child
    -----------------                     -----
    Sandbox() clones ───────────────────▶ prepares: cgroup, namespaces, /proc, /dev
      ◀─────────── where it is ────────── waits
    start() ────────────────────────────▶ enters the rest: namespaces, root, terminal
      ◀─────────── terminal's master ────
      ◀─────────── end of file, or why ── execve closes the channel

On cgroup v2, and in another container's pid namespace, the child clones a sibling that was born in the
right place and continues. Next hop of `run`: `init.py`.
"""

from __future__ import annotations

import os
import signal

from proa import cgroups
from proa.cgroups import prepared as prepared_cgroups
from proa.linux import namespaces, packets, process
from proa.runtime import defaults, init
from proa.runtime.channel import Channel, Outcome
from proa.runtime.failure import step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.cgroups.interface import Cgroup


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

    def make_cgroup(self, cgroup: Cgroup, resources: dict[str, Any]) -> tuple[list[str], bool]:
        """Create the container's cgroup; return warnings, and whether the child is in it already."""
        self._cgroup = self._channel.prepared()
        with step("create the cgroup"):
            if not self._cgroup or not prepared_cgroups.can_take_over(self._cgroup, cgroup):
                return cgroup.create(resources), False
            rules = list(defaults.DEVICE_RULES)
            warnings = prepared_cgroups.take_over(self._cgroup, cgroup, resources, rules)
            self._cgroup = ""
            return warnings, True

    def start(
        self, spec_path: str, streams: tuple[int, int, int], cgroup: Cgroup, *, entered: bool, fork: bool
    ) -> Started:
        """Let the child run the program that the specification file says; raises `SetupError`.

        The child is gone then, its cgroup is the caller's to remove. `fork`: it joins another's pid namespace.
        """
        outcome = Outcome(self._pid)
        directory = cgroup.directory_fd
        try:
            request = {
                "spec": spec_path,
                "enter": cgroup.path if directory is None and not entered else "",
                "fork": fork or directory is not None,
            }
            with step("start the container's first process"):
                self._channel.send(request, streams if directory is None else (*streams, directory))
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
            self._remove_cgroup()
        return Started(outcome.pid, self._pidfd, outcome.terminal)

    def discard(self) -> None:
        """End a child that has not been started, with what it prepared."""
        end(self._pid, self._pidfd)
        self._channel.close()
        self._remove_cgroup()

    def _remove_cgroup(self) -> None:
        """Remove the prepared one if nobody took it."""
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
