"""The parent's side of a container: start its first process, or one more, and hear how it went.

Next hop of `run`: `sandbox.py`.
"""

from __future__ import annotations

import os

from proa import cgroups
from proa.linux import namespaces, packets, process
from proa.runtime import join
from proa.runtime.channel import Channel, Outcome
from proa.runtime.failure import SetupError, step
from proa.runtime.sandbox import Sandbox, Started, end

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.cgroups.interface import Cgroup


class Container:
    """One run of a container by the process that made it.

    `outline` is what this process must know of the specification, which only the container's own reads:

        cgroup      path of its cgroup
        resources   linux.resources
        pids        "": a new pid namespace; None: the host's; else the path of another one
    """

    def __init__(self, outline: dict[str, Any], sandbox: Sandbox | None) -> None:
        self.init: Started | None = None
        self.warnings: list[str] = []
        self._outline = outline
        self._sandbox = sandbox
        self._cgroup: Cgroup | None = None
        self._has_cgroup = False

    @property
    def cgroup(self) -> Cgroup:
        """Its cgroup. Most containers are never asked for it."""
        if self._cgroup is None:
            self._cgroup = cgroups.open(self._outline["cgroup"])
        return self._cgroup

    def prepare(self) -> None:
        """Create the cgroup; raises `SetupError`, and what it took is left to `close`."""
        own_pids = self._outline["pids"] == ""
        if self._sandbox and (self._sandbox.own_pids != own_pids or not self._sandbox.usable):
            self._sandbox.discard()
            self._sandbox = None
        self._sandbox = self._sandbox or Sandbox(own_pids=own_pids)
        self._has_cgroup = True  # or a part of it, if that fails
        self.warnings = self._sandbox.make_cgroup(self._outline["cgroup"], self._outline["resources"])

    def start(self, spec_path: str, streams: tuple[int, int, int]) -> Started:
        """Let process 1 run the program that the specification file says.

        `streams` become its standard streams unless it has a terminal. Raises `SetupError`.
        """
        assert self._sandbox is not None
        sandbox, self._sandbox = self._sandbox, None
        joins = bool(self._outline["pids"])
        self.init = sandbox.start(spec_path, streams, joins_pids=joins)
        return self.init

    def close(self) -> None:
        """Let go of a container that has ended, or that never began."""
        if self._sandbox:
            self._sandbox.discard()
            self._sandbox = None
        if self._has_cgroup:
            self.cgroup.remove()
            self._has_cgroup = False
        if self.init:
            os.close(self.init.pidfd)
            self.init = None

    def execute(self, spec_path: str, streams: tuple[int, int, int]) -> Started:
        """Start one more process in the container; its specification has the keys `process` and `proa`."""
        assert self.init is not None
        ours, theirs = packets.pair()
        channel = Channel(ours)
        pid = self._fork_inside(self.init.pidfd)
        if pid == 0:
            join.run(Channel(theirs), self.cgroup, streams, self.init.pidfd, spec_path)
        theirs.close()
        outcome, pidfd = Outcome(pid), os.pidfd_open(pid)
        try:
            channel.wait(outcome)
        except BaseException:
            end(pid, pidfd)
            if outcome.terminal >= 0:
                os.close(outcome.terminal)
            raise
        finally:
            channel.close()
        os.close(pidfd)
        return Started(pid, -1, outcome.terminal)

    def _fork_inside(self, init: int) -> int:
        """Fork with the child born in the pid namespace of the pidfd `init`, and on v2 in the cgroup."""
        directory = self.cgroup.directory_fd
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        pid = -1
        try:
            with step("join the container's pid namespace"):
                namespaces.setns(init, namespaces.CLONE_NEWPID)
            pid = process.fork(0, -1 if directory is None else directory)
        finally:
            if pid != 0:
                namespaces.setns(own, namespaces.CLONE_NEWPID)
            os.close(own)
        return pid


__all__ = ["Container", "SetupError", "Started"]
