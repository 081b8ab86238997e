"""cgroup v2: one directory for all controllers, device rules as a BPF program."""

from __future__ import annotations

import errno
import os
import select
import time

from proa.cgroups import devices, files, mounts, oom, tree, v2_resources, v2_stats
from proa.cgroups.resources import FEATURES, apply
from proa.linux import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cgroups.interface import OomWatch, Resources, Stats

FREEZE_TIMEOUT = 10.0  # seconds
SIGKILL = 9


class CgroupV2:
    """See `interface.Cgroup`."""

    def __init__(self, path: str, mount_point: str = mounts.UNIFIED) -> None:
        self.path = tree.check_path(path)
        self._mount_point = mount_point
        self._directory = mount_point + path
        self._descriptor: int | None = None

    @property
    def directory_fd(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._descriptor

    def create(self, resources: Resources, *, reuse: bool = False) -> list[str]:
        made = True
        try:
            os.mkdir(self._directory, 0o755)
        except FileNotFoundError:
            tree.make_parents(self._mount_point, self.path, [])
            os.mkdir(self._directory, 0o755)
        except FileExistsError:
            if not reuse:
                raise
            made = False
        try:
            self._enable_controllers()
            return self._apply(resources)
        except BaseException:
            self.close()
            if made:
                os.rmdir(self._directory)
            raise

    def _enable_controllers(self) -> None:
        """Make every controller of the top reach this cgroup, as far as the cgroups between allow.

        Asked anew each time: systemd takes controllers away that no unit of its own uses. One that cannot be
        had (processes in an inner cgroup, a domain made threaded) shows as a missing file, hence a warning.
        """
        here = set(files.read(f"{self._directory}/cgroup.controllers").split())
        top = files.read(f"{self._mount_point}/cgroup.controllers").split()
        if here.issuperset(top):
            return
        current = self._mount_point
        for part in self.path.split("/")[1:]:
            enabled = files.read(f"{current}/cgroup.subtree_control").split()
            for controller in top:
                if controller not in enabled:
                    try:
                        files.write(f"{current}/cgroup.subtree_control", f"+{controller}")
                    except OSError as error:
                        if error.errno not in (errno.EBUSY, errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL):
                            raise
            current = f"{current}/{part}"

    def _apply(self, resources: Resources) -> list[str]:
        bfq = os.path.exists(f"{self._directory}/io.bfq.weight")
        memory = resources.get("memory") or {}
        if memory.get("checkBeforeUpdate"):
            self._check_usage(memory)
        warnings = apply(v2_resources.plan(resources, bfq=bfq), lambda controller: self._directory)
        if rules := resources.get("devices"):
            warnings += self._apply_devices(rules)
        return warnings

    def _check_usage(self, memory: dict[str, Any]) -> None:
        """Refuse a limit below what is used: writing it would call the OOM killer."""
        limit = memory.get("limit") or 0
        usage = files.optional_number(f"{self._directory}/memory.current")
        if 0 < limit < usage:
            raise OSError(errno.EBUSY, f"rejecting memory limit {limit} because current usage is {usage}")

    def _apply_devices(self, rules: list[dict[str, Any]]) -> list[str]:
        wanted = devices.parse(rules)
        if wanted.allow_by_default and not wanted.exceptions:
            program = b""  # privileged: nothing to check
        else:
            program = bpf.device_program(wanted.allow_by_default, list(wanted.exceptions.items()))
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            old = bpf.attached(directory)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EINVAL):
                return [FEATURES["devices"]]
            raise
        else:
            bpf.replace_device_program(directory, program, old)
        finally:
            os.close(directory)
        return []

    def enter(self) -> None:
        # Takes the global lock (milliseconds on an idle machine): clone3(CLONE_INTO_CGROUP) is better.
        files.write(f"{self._directory}/cgroup.procs", "0")

    def update(self, resources: Resources) -> list[str]:
        return self._apply(resources)

    def exists(self) -> bool:
        return os.path.isdir(self._directory)

    def freeze(self) -> None:
        files.write(f"{self._directory}/cgroup.freeze", "1")
        if not self._wait_frozen(FREEZE_TIMEOUT):
            self.thaw()
            raise TimeoutError(errno.ETIMEDOUT, f"cgroup {self.path} does not freeze")

    def _wait_frozen(self, timeout: float) -> bool:
        """Wait for "frozen 1" in cgroup.events, which reports changes as POLLPRI."""
        deadline = time.monotonic() + timeout
        events = os.open(f"{self._directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while b"frozen 1" not in os.pread(events, 4096, 0):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                poll.poll(left * 1000)
        finally:
            os.close(events)
        return True

    def thaw(self) -> None:
        files.write(f"{self._directory}/cgroup.freeze", "0")

    def frozen(self) -> bool:
        try:
            return files.read(f"{self._directory}/cgroup.freeze") == "1"
        except FileNotFoundError:
            return False

    def kill(self, signal: int) -> None:
        if signal == SIGKILL:
            try:
                files.write(f"{self._directory}/cgroup.kill", "1")  # Linux 5.14, atomic against fork
                return
            except FileNotFoundError:
                if not self.exists():
                    return
        was_frozen = self.frozen()
        try:
            self.freeze()
        except (FileNotFoundError, TimeoutError):
            pass  # gone, or stuck in the kernel: the signal is delivered whenever it returns
        tree.signal_all(self._directory, signal)
        if self.exists() and not was_frozen:
            self.thaw()

    def processes(self) -> list[int]:
        return tree.processes(self._directory)

    def stats(self) -> Stats:
        return v2_stats.read(self._directory)

    def oom_count(self) -> int:
        return oom.count_v2(self._directory)

    def watch_oom(self) -> OomWatch | None:
        try:
            return oom.WatchV2(self._directory)
        except FileNotFoundError:
            if not self.exists():
                raise
            return None

    def remove(self) -> None:
        self.close()
        tree.remove(self._directory)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
