"""What process 1 makes before its container is known: the default mounts, detached, as far as the kernel lets it.

A start takes what its specification asks for in the very same words and makes the rest itself. Nothing here
shows in the host's mount table, and nothing of the host's file systems is held: what is mounted where is
looked at when the container starts.
"""

from __future__ import annotations

import os

from proa import cgroups
from proa.runtime import covers, defaults, devices, mounts
from proa.runtime.failure import SetupError

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

# By destination; sysfs is not among them: it shows the network namespace of who mounts it.
_DEV, _PROC, _CGROUP = "/dev", "/proc", "/sys/fs/cgroup"
_PLAIN = ("/dev/pts", "/dev/mqueue", "/dev/shm")


class Prepared:
    """Detached mounts by destination. `cgroup`: the v1 cgroup that the process has entered, or ""."""

    def __init__(self, cgroup: str) -> None:
        self._trees: dict[str, int] = {}
        self._entries = {entry["destination"]: entry for entry in defaults.MOUNTS}
        self._covered: set[str] = set()
        self._try(_DEV, self._make_dev)
        for destination in _PLAIN:
            self._try(destination, self._make)
        if os.getpid() == 1:  # /proc shows the pid namespace of who makes it, not of the children to come
            self._try(_PROC, self._make_proc)
        if cgroup:
            self._try(_CGROUP, lambda entry: mounts.cgroup_tree(entry, cgroups.directories(cgroup)))

    def take(self, entry: dict[str, Any], linux: dict[str, Any]) -> int:
        """Return the mount that `entry` describes, the caller's from now on, or -1."""
        destination = entry["destination"]
        if destination not in self._trees or entry != self._entries[destination]:
            return -1
        if destination == _PROC and not self._proc_suits(linux):
            return -1
        return self._trees.pop(destination)

    def _proc_suits(self, linux: dict[str, Any]) -> bool:
        """Whether everything covered is to be so, and nothing below it is to be written first."""
        to_cover = {*linux.get("maskedPaths", ()), *linux.get("readonlyPaths", ())}
        return self._covered <= to_cover and not linux.get("sysctl")

    def covers(self, path: str) -> bool:
        """Whether `path` is masked or read-only in a /proc that was taken."""
        return path in self._covered and _PROC not in self._trees

    def drop(self, destination: str) -> None:
        """Give up a mount that the container will not want."""
        if (tree := self._trees.pop(destination, -1)) >= 0:
            os.close(tree)

    def close(self) -> None:
        """Let go of what nobody took."""
        for destination in list(self._trees):
            self.drop(destination)

    def _try(self, destination: str, make: Any) -> None:
        """What fails now is tried again, and reported, by the container that wants it."""
        try:
            self._trees[destination] = make(self._entries[destination])
        except (OSError, SetupError):
            pass

    @staticmethod
    def _make(entry: dict[str, Any]) -> int:
        return mounts.detached(entry, mounts.Options(entry["options"]))[0]

    def _make_dev(self, entry: dict[str, Any]) -> int:
        tree = self._make(entry)
        try:
            devices.make_defaults(tree)
            for path in _PLAIN:
                os.mkdir(path.rpartition("/")[2], 0o755, dir_fd=tree)
        except BaseException:
            os.close(tree)
            raise
        return tree

    def _make_proc(self, entry: dict[str, Any]) -> int:
        """/proc with its covers; bare where only an attached mount can be covered: before Linux 6.15."""
        tree = self._make(entry)
        read_only = [path for path in defaults.READONLY_PATHS if path.startswith(_PROC)]
        masked = [path for path in defaults.MASKED_PATHS if path.startswith(_PROC)]
        try:
            null_fd = os.open("null", os.O_PATH | os.O_CLOEXEC, dir_fd=self._trees[_DEV])
            for path in read_only:
                covers.make_read_only(tree, path.removeprefix(_PROC))
            for path in masked:
                covers.mask(tree, path.removeprefix(_PROC), null_fd)
            os.close(null_fd)
        except (KeyError, OSError, SetupError):
            os.close(tree)
            return self._make(entry)
        self._covered.update(read_only, masked)
        return tree
