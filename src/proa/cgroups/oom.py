"""What the kernel's OOM killer did in a cgroup: counters, and descriptors that become readable."""

from __future__ import annotations

import os
import select

from proa.cgroups import files


def count_v1(directory: str | None) -> int:
    """`oom_kill` of memory.oom_control (since Linux 4.13)."""
    return _field(directory, "memory.oom_control")


def count_v2(directory: str) -> int:
    """`oom_kill` of memory.events."""
    return _field(directory, "memory.events")


def _field(directory: str | None, file: str) -> int:
    if directory is None:
        return 0
    try:
        return files.table(f"{directory}/{file}").get("oom_kill", 0)
    except OSError:  # ENOENT, or ENODEV when the cgroup goes while it is read
        return 0


class WatchV1:
    """An eventfd registered in cgroup.event_control (cgroup-v1/memory.rst, sections 9 and 10)."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            try:
                files.write(f"{directory}/cgroup.event_control", f"{self._event} {control}")
            except BaseException:
                os.close(self._event)
                raise
        finally:
            os.close(control)  # the kernel needs it only while registering

    def fileno(self) -> int:
        return self._event

    def acknowledge(self) -> int:
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            pass
        return count_v1(self._directory)

    def close(self) -> None:
        os.close(self._event)


class WatchV2:
    """An epoll descriptor that waits for the change (POLLPRI) of memory.events.

    Not inotify: its 128 instances per user (fs.inotify.max_user_instances) would bound the containers.
    """

    def __init__(self, directory: str) -> None:
        self._events = os.open(f"{directory}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        self._epoll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._epoll.register(self._events, select.EPOLLPRI)
        self.acknowledge()  # a file that was never read counts as changed

    def fileno(self) -> int:
        return self._epoll.fileno()

    def acknowledge(self) -> int:
        try:
            data = os.pread(self._events, 4096, 0)
        except OSError:  # ENODEV: the cgroup is gone
            self._epoll.unregister(self._events)
            return 0
        for line in data.splitlines():
            key, _, value = line.partition(b" ")
            if key == b"oom_kill":
                return int(value)
        return 0

    def close(self) -> None:
        self._epoll.close()
        os.close(self._events)
