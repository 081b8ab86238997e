"""The parent's side of a container: fork its first process, or one more, and learn whether it came about.

    parent (the shim)                          child
    -----------------                          -----
    cgroup made, pid namespace set for
    children, pipes ready
    fork ────────────────────────────────────▶ enters the cgroup, closes what is not its own
      ◀─────────── terminal's master ───────── makes or joins namespaces, root, terminal
      ◀─────────── end of file, or why not ─── execve closes the pipe

Next hop of `run`: `init.py`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from proa import cgroups
from proa.linux import namespaces, process
from proa.runtime import console, failure, init, join
from proa.runtime.failure import SetupError, step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FAILED = 255


class ChildChannels:
    """What a child keeps besides its standard streams."""

    __slots__ = ("failure", "terminal")

    def __init__(self, failure: int, terminal: int) -> None:
        self.failure = failure
        self.terminal = terminal


class Started:
    """A process that runs the user's program. `terminal` is the master of its terminal, or -1."""

    __slots__ = ("pid", "pidfd", "terminal")

    def __init__(self, pid: int, pidfd: int, terminal: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.terminal = terminal


class Container:
    """One run of a container by the process that made it; a second start takes a new process."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.cgroup = cgroups.open(spec["linux"]["cgroupsPath"])
        self.init: Started | None = None
        self.warnings: list[str] = []
        self._filter = _read_filter(spec)

    def start(self, streams: tuple[int, int, int]) -> Started:
        """Create the cgroup, fork process 1 and wait until it runs the program.

        `streams` become its standard streams unless it has a terminal. Raises `SetupError`; nothing is left.
        """
        with step("create the cgroup"):
            self.warnings = self.cgroup.create(self.spec["linux"].get("resources", {}))
        try:
            self._prepare_pid_namespace()
            directories = self._cgroup_directories()
            self.init = self._spawn(
                self.spec,
                streams,
                lambda channels: init.run(self.spec, directories, self._filter, channels),
            )
        except BaseException:
            self.cgroup.remove()
            raise
        return self.init

    def execute(self, spec: dict[str, Any], streams: tuple[int, int, int]) -> Started:
        """Start one more process in the container; `spec` has the keys `process` and `proa`."""
        assert self.init is not None
        pidfd = self.init.pidfd
        return self._spawn(spec, streams, lambda channels: join.run(spec, pidfd, self._filter, channels))

    def _prepare_pid_namespace(self) -> None:
        """Let every child of this process from now on be born in the container's pid namespace."""
        for entry in self.spec["linux"].get("namespaces", ()):
            if entry["type"] != "pid":
                continue
            if entry.get("path"):
                with step(f"join the pid namespace {entry['path']}"):
                    fd = os.open(entry["path"], os.O_RDONLY | os.O_CLOEXEC)
                    namespaces.setns(fd, namespaces.CLONE_NEWPID)
                    os.close(fd)
            else:
                with step("make a pid namespace"):
                    _leave_pid_namespace()
                    namespaces.unshare(namespaces.CLONE_NEWPID)

    def _cgroup_directories(self) -> dict[str, str]:
        """What a cgroup mount shows on v1: the container's directory in each hierarchy, by its name."""
        if not any(entry.get("type") == "cgroup" for entry in self.spec.get("mounts", ())):
            return {}
        return cgroups.directories(self.cgroup.path)

    def _spawn(
        self, spec: dict[str, Any], streams: tuple[int, int, int], work: Callable[[ChildChannels], None]
    ) -> Started:
        read_end, write_end = os.pipe()
        ours, theirs = socket.socketpair() if spec["process"].get("terminal") else (None, None)
        channels = ChildChannels(write_end, theirs.fileno() if theirs else -1)
        pid = self._fork()
        if pid == 0:
            _run_child(self.cgroup, channels, streams, work, self.init)
        os.close(write_end)
        terminal = -1
        try:
            pidfd = os.pidfd_open(pid)
            if ours and theirs:
                theirs.close()
                terminal = console.receive(ours.detach())
            failure.receive(read_end)
        except BaseException:
            _abandon(pid, terminal)
            raise
        finally:
            os.close(read_end)
        return Started(pid, pidfd, terminal)

    def _fork(self) -> int:
        directory = self.cgroup.directory_fd
        if directory is None:
            return os.fork()
        return process.fork_into_cgroup(directory)


def _leave_pid_namespace() -> None:
    """Undo an earlier run's: the children of a process that starts a container again need a new one."""
    fd = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    namespaces.setns(fd, namespaces.CLONE_NEWPID)
    os.close(fd)


def _run_child(
    cgroup: Any,
    channels: ChildChannels,
    streams: tuple[int, int, int],
    work: Callable[[ChildChannels], None],
    joined: Started | None,
) -> None:
    """Everything the child does; it never returns."""
    try:
        gc.disable()
        signal.set_wakeup_fd(-1)
        if cgroup.directory_fd is None:
            cgroup.enter()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        keep = [channels.failure, channels.terminal]
        process.close_all_but(keep + ([joined.pidfd] if joined else []))
        work(channels)
    except BaseException as error:
        failure.report(channels.failure, error)
    finally:
        os._exit(_FAILED)


def _abandon(pid: int, terminal: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it reported and ended by itself
    os.waitpid(pid, 0)
    if terminal >= 0:
        os.close(terminal)


def _read_filter(spec: dict[str, Any]) -> bytes:
    path = spec.get("proa", {}).get("seccomp")
    if not path:
        return b""
    with step(f"read the seccomp program {path}"), open(path, "rb") as file:  # noqa: PTH123 - lean
        return file.read()


__all__ = ["ChildChannels", "Container", "SetupError", "Started"]
