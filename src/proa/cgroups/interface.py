"""What every cgroup version can do: the Protocol that `v1.py` and `v2.py` implement.

Imported only while type checking, so that the launcher and the shims never load `typing`.

A cgroup's life: `open(path)` names it and touches nothing; `create` makes its directories and applies
limits; `enter` moves the calling process in (on v2 `clone3(CLONE_INTO_CGROUP)` with `directory_fd` does so
without waiting); `update`, `freeze`, `stats`, `kill` while it runs; `remove` when its processes are gone.
"""

from __future__ import annotations

from typing import Any, Protocol, TypedDict

Resources = dict[str, Any]
"""`linux.resources` of an OCI configuration (runtime-spec, config-linux.md, "Control groups")."""

IoEntry = tuple[int, int, str, int]
"""(major, minor, operation, value), operation as the kernel writes it: Read, Write, Sync, Total…"""


class CpuStats(TypedDict):
    usage: int  # nanoseconds, user + system
    user: int  # nanoseconds
    system: int  # nanoseconds
    per_cpu: list[int]  # nanoseconds; v1 only, empty on v2
    periods: int  # enforcement periods that passed
    throttled_periods: int
    throttled_time: int  # nanoseconds


class MemoryStats(TypedDict):
    usage: int  # bytes, page cache included
    max_usage: int  # bytes; 0 where the kernel does not keep it (v2 before 5.19)
    limit: int | None  # bytes; None: unlimited
    failures: int  # v1: failcnt (the limit was hit); v2: `oom` of memory.events, as Docker reports it
    swap_usage: int  # bytes of swap alone, on both versions; 0 without swap accounting
    swap_limit: int | None  # bytes of swap alone; None: unlimited or no swap accounting
    stat: dict[str, int]  # memory.stat as it stands; the names differ between v1 and v2


class PidsStats(TypedDict):
    current: int
    limit: int | None  # None: unlimited


class IoStats(TypedDict):
    service_bytes: list[IoEntry]
    serviced: list[IoEntry]  # operations


class Stats(TypedDict):
    """A part is absent when its controller is not there."""

    cpu: CpuStats
    memory: MemoryStats
    pids: PidsStats
    io: IoStats


class OomWatch(Protocol):
    """Readable (poll, select, asyncio) when the kernel's OOM killer was at work in the cgroup."""

    def fileno(self) -> int: ...

    def acknowledge(self) -> int:
        """Clear the readiness and return `oom_count()`. On v1 the end of the cgroup wakes the watch, too."""
        ...

    def close(self) -> None: ...


class Cgroup(Protocol):
    """One cgroup, on every hierarchy that holds it. Methods raise `OSError`; limits that make no sense
    InvalidArgument, limits that the kernel refuses KernelError."""

    path: str
    """Absolute in the cgroup file system, e.g. /proa/<id>."""

    def create(self, resources: Resources, *, reuse: bool = False) -> list[str]:
        """Make the cgroup and apply `resources`; return warnings for limits that this host cannot set.

        Missing parents are made (and kept). An existing cgroup is FileExistsError unless `reuse`; after any
        failure nothing of a new cgroup is left.
        """
        ...

    @property
    def directory_fd(self) -> int | None:
        """For clone3(CLONE_INTO_CGROUP); opened on first use, close-on-exec. None on v1."""
        ...

    def enter(self) -> None:
        """Move the calling process, which must have a single thread."""
        ...

    def update(self, resources: Resources) -> list[str]:
        """Change the limits that `resources` names; return warnings as `create` does."""
        ...

    def exists(self) -> bool: ...

    def freeze(self) -> None:
        """Stop every process and wait until the kernel says so (TimeoutError after 10 s)."""
        ...

    def thaw(self) -> None: ...

    def frozen(self) -> bool: ...

    def kill(self, signal: int) -> None:
        """Signal every process, of sub-cgroups too, so that none escapes by forking."""
        ...

    def processes(self) -> list[int]:
        """Process ids in the caller's pid namespace, of sub-cgroups too; [] when the cgroup is gone."""
        ...

    def stats(self) -> Stats: ...

    def oom_count(self) -> int:
        """How many processes the OOM killer has killed; 0 when the cgroup is gone or does not count."""
        ...

    def watch_oom(self) -> OomWatch | None:
        """None without a memory controller."""
        ...

    def remove(self) -> None:
        """Remove the cgroup and empty sub-cgroups; a cgroup that is gone already is no error.

        Waits up to about a second for dying processes, then raises OSError(EBUSY).
        """
        ...

    def close(self) -> None:
        """Close descriptors held for this cgroup; it can still be used."""
        ...
