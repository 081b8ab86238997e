"""What directories of both cgroup versions have in common: sub-cgroups, members, removal."""

from __future__ import annotations

import errno
import os
import time

from proa.cgroups import files

REMOVAL_TIMEOUT = 1.0  # seconds


def check_path(path: str) -> str:
    """Return `path` if it is absolute and names a cgroup below the root; else raise ValueError."""
    parts = path.split("/")
    if parts[0] or len(parts) == 1 or any(part in ("", ".", "..") for part in parts[1:]) or "\0" in path:
        raise ValueError(f"invalid cgroup path {path!r}")
    return path


def directories(top: str) -> list[str]:
    """Return `top` and every directory below it, children before their parents; [] when it is gone.

    Not recursive: a container that may make cgroups decides how deep they nest.
    """
    found = [top]
    for directory in found:
        try:
            with os.scandir(directory) as entries:
                found += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            if directory is top:
                return []
    found.reverse()
    return found


def processes(top: str) -> list[int]:
    """Return the members of `top` and of everything below it, in the order of their ids."""
    found: set[int] = set()
    for directory in directories(top):
        try:
            found.update(map(int, files.read(f"{directory}/cgroup.procs").split()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno == errno.ENODEV:  # removed while it was read
                continue
            if error.errno != errno.EOPNOTSUPP:
                raise
            # A threaded cgroup (v2) lists its members by thread only.
            found.update(map(int, files.read(f"{directory}/cgroup.threads").split()))
    return sorted(found - {0})  # 0: a process of a pid namespace that we cannot see


def signal_all(top: str, signal: int) -> None:
    """Send `signal` to every member once."""
    for pid in processes(top):
        try:
            os.kill(pid, signal)
        except ProcessLookupError:
            pass


def remove(*tops: str) -> None:
    """Remove cgroups with their empty sub-cgroups; being gone is success.

    EBUSY is retried: an exiting process leaves its cgroup a moment after its parent has reaped it. All are
    tried, then the first failure is raised.
    """
    deadline = time.monotonic() + REMOVAL_TIMEOUT
    failure = None
    for top in tops:
        try:
            _remove(top, deadline)
        except OSError as error:
            failure = failure or error
    if failure:
        raise failure


def _remove(top: str, deadline: float) -> None:
    delay = 0.0005
    while True:
        try:
            os.rmdir(top)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY) or time.monotonic() > deadline:
                raise
        for directory in directories(top):
            try:
                os.rmdir(directory)
            except OSError:
                break  # the next round tells whether it still matters
        if os.path.isdir(top):
            time.sleep(delay)
            delay *= 2


def make_parents(mount_point: str, path: str, made: list[str]) -> None:
    """Make the missing ancestors of `path`, appending each new directory to `made`, topmost first."""
    current = mount_point
    for part in path.split("/")[1:-1]:
        current = f"{current}/{part}"
        try:
            os.mkdir(current, 0o755)
        except FileExistsError:
            continue
        made.append(current)
