"""cgroup v1, also in the hybrid layout: one directory in each mounted hierarchy."""

from __future__ import annotations

import errno
import os
import time

from proa.cgroups import devices, files, mounts, oom, tree, v1_resources, v1_stats
from proa.cgroups.resources import FEATURES, apply
from proa.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from proa.cgroups.interface import OomWatch, Resources, Stats

FREEZE_TIMEOUT = 10.0  # seconds
# Membership is read here: the first of these that is mounted.
MEMBER_LISTS = ("freezer", "pids", "memory", "cpu", mounts.SYSTEMD)

_hierarchies: dict[str, str] = {}


def hierarchies() -> dict[str, str]:
    """Return {controller: mount point}, read once: the launcher asks before it forks."""
    if not _hierarchies:
        _hierarchies.update(mounts.find()[0])
    return _hierarchies


class CgroupV1:
    """See `interface.Cgroup`."""

    def __init__(self, path: str, controllers: dict[str, str] | None = None) -> None:
        self.path = tree.check_path(path)
        mounted = hierarchies() if controllers is None else controllers
        self._directories = {controller: mount_point + path for controller, mount_point in mounted.items()}
        self._mount_points = list(dict.fromkeys(mounted.values()))
        lists = [self._directories[name] for name in MEMBER_LISTS if name in self._directories]
        if not lists:
            raise Unsupported("no cgroup hierarchy is mounted", hint="mount cgroup2 on /sys/fs/cgroup")
        self._members = lists[0]

    @property
    def _unique(self) -> Iterable[str]:
        """Each hierarchy's directory once, however many controllers are mounted together."""
        return [mount_point + self.path for mount_point in self._mount_points]

    @property
    def directory_fd(self) -> None:
        return None

    def create(self, resources: Resources, *, reuse: bool = False) -> list[str]:
        made: list[str] = []
        try:
            for mount_point in self._mount_points:
                self._make(mount_point, made, reuse)
            return self._apply(resources)
        except BaseException:
            for directory in reversed(made):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass  # what failed first is what the caller must see
            raise

    def _make(self, mount_point: str, made: list[str], reuse: bool) -> None:
        directory = mount_point + self.path
        try:
            os.mkdir(directory, 0o755)
        except FileNotFoundError:
            self._make_parents(mount_point)
            os.mkdir(directory, 0o755)
        except FileExistsError:
            if not reuse:
                raise
            return
        made.append(directory)
        if mount_point + self.path == self._directories.get("cpuset"):
            _inherit_cpuset(directory)

    def rename(self, path: str) -> None:
        """Give the cgroup, with everything in it, another name below the same parent: all or nothing.

        FileExistsError if the name is taken. This object goes on to mean the old name.
        """
        tree.check_path(path)
        done: list[str] = []
        try:
            for mount_point in self._mount_points:
                if os.path.isdir(mount_point + path):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), mount_point + path)
                os.rename(mount_point + self.path, mount_point + path)
                done.append(mount_point)
        except BaseException:
            for mount_point in done:
                os.rename(mount_point + path, mount_point + self.path)
            raise

    def _make_parents(self, mount_point: str) -> None:
        made: list[str] = []
        tree.make_parents(mount_point, self.path, made)
        if self._directories.get("cpuset") == mount_point + self.path:
            for directory in made:
                _inherit_cpuset(directory)
                # Cgroups made below get their parent's cpus and mems from the kernel.
                files.write(f"{directory}/cgroup.clone_children", "1")

    def _apply(self, resources: Resources) -> list[str]:
        bfq = "blockIO" in resources and self._has_bfq_weight()
        warnings = apply(v1_resources.plan(resources, bfq=bfq), self._directories.get)
        rules = resources.get("devices")
        if rules:
            warnings += self._apply_devices(rules)
        return warnings

    def _has_bfq_weight(self) -> bool:
        return os.path.exists(f"{self._directories.get('blkio')}/blkio.bfq.weight")

    def _apply_devices(self, rules: list[dict[str, object]]) -> list[str]:
        directory = self._directories.get("devices")
        if directory is None:
            return [FEATURES["devices"]]
        wanted = devices.parse(rules)
        commands = devices.v1_commands(wanted)
        if wanted.allow_by_default and files.read(f"{directory}/devices.list") == "a *:* rwm":
            commands = commands[1:]  # EPERM for it if the parent restricts devices, so not without need
        for file, value in commands:
            files.write(f"{directory}/{file}", value)
        return []

    def enter(self) -> None:
        # "0" in `tasks` moves the calling thread without the global lock that a pid in cgroup.procs takes:
        # that one waits 5-12 ms for an RCU grace period on an idle machine (kernel/cgroup/cgroup.c,
        # cgroup_procs_write_start).
        for directory in self._unique:
            files.write(f"{directory}/tasks", "0")

    def update(self, resources: Resources) -> list[str]:
        return self._apply(resources)

    def exists(self) -> bool:
        return os.path.isdir(self._members)

    def freeze(self) -> None:
        directory = self._freezer()
        deadline = time.monotonic() + FREEZE_TIMEOUT
        files.write(f"{directory}/freezer.state", "FROZEN")
        while (state := files.read(f"{directory}/freezer.state")) != "FROZEN":
            if time.monotonic() > deadline:
                files.write(f"{directory}/freezer.state", "THAWED")
                raise TimeoutError(errno.ETIMEDOUT, f"cgroup {self.path} does not freeze: {state.lower()}")
            # A process that forked meanwhile holds the state at FREEZING until the request is repeated
            # (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
            time.sleep(0.001)
            files.write(f"{directory}/freezer.state", "FROZEN")

    def thaw(self) -> None:
        files.write(f"{self._freezer()}/freezer.state", "THAWED")

    def frozen(self) -> bool:
        try:
            return files.read(f"{self._freezer()}/freezer.state") != "THAWED"
        except FileNotFoundError:
            return False

    def _freezer(self) -> str:
        if (directory := self._directories.get("freezer")) is None:
            raise OSError(errno.EOPNOTSUPP, "the freezer cgroup is not mounted")
        return directory

    def kill(self, signal: int) -> None:
        if "freezer" not in self._directories:
            tree.signal_all(self._members, signal)
            return
        was_frozen = self.frozen()
        try:
            self.freeze()
        except (FileNotFoundError, TimeoutError):
            pass  # gone, or stuck in the kernel: the signal is delivered whenever it returns
        tree.signal_all(self._members, signal)
        # v1 delivers nothing to frozen processes, so a fatal signal must thaw even a paused container.
        if self.exists() and (not was_frozen or signal == 9):
            self.thaw()

    def processes(self) -> list[int]:
        return tree.processes(self._members)

    def stats(self) -> Stats:
        return v1_stats.read(self._directories)

    def oom_count(self) -> int:
        return oom.count_v1(self._directories.get("memory"))

    def watch_oom(self) -> OomWatch | None:
        directory = self._directories.get("memory")
        return None if directory is None else oom.WatchV1(directory)

    def remove(self) -> None:
        tree.remove(*self._unique)

    def close(self) -> None:
        """Nothing is held open."""


def _inherit_cpuset(directory: str) -> None:
    """Give a new cpuset its parent's cpus and memory nodes: without them no process may enter.

    The kernel has done so already where the parent's cgroup.clone_children is set.
    """
    parent = os.path.dirname(directory)
    for file in ("cpuset.cpus", "cpuset.mems"):
        if not files.read(f"{directory}/{file}"):
            files.write(f"{directory}/{file}", files.read(f"{parent}/{file}"))
