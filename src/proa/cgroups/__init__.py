"""Control groups: limits, membership and accounting of a container, v1 and v2 behind one Protocol.

`interface.py` tells the life cycle. Next hop on the way of `run`: `v1.py` or `v2.py`.
"""

from __future__ import annotations

import os

from proa.cgroups import files, mounts, tree
from proa.cgroups.support import features, unsupported
from proa.cgroups.v1 import CgroupV1, hierarchies
from proa.cgroups.v2 import CgroupV2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cgroups.interface import Cgroup

_version = ""


def detect() -> str:
    """Return "v2" when /sys/fs/cgroup is the unified hierarchy, else "v1" (legacy or hybrid). Read once."""
    global _version
    if not _version:
        _version = mounts.version(*mounts.find())
    return _version


def open(path: str) -> Cgroup:
    """Return the cgroup at `path` (/proa/<id>), which need not exist; ValueError for a bad path."""
    return CgroupV2(path) if detect() == "v2" else CgroupV1(path)


def of_process(pid: int) -> str:
    """Return the path of the cgroup that a process is in: on v1 that of the pids (else memory) hierarchy.

    For joining a container whose init moved itself deeper: on v2 a cgroup whose children have controllers
    takes no process of its own (EBUSY).
    """
    paths = {}
    for line in files.read(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    if detect() == "v2":
        return paths[""]
    return paths.get("pids") or paths.get("memory") or "/"


def remove_unified(path: str) -> None:
    """Remove a cgroup from the unified hierarchy of a hybrid host: other runtimes make it there, too."""
    unified = mounts.find()[1]
    if detect() == "v1" and unified:
        tree.remove(unified + path)


def remove_parent(path: str) -> None:
    """Remove the cgroup above containers' in every hierarchy, unless something of anybody's is in it."""
    points = {*hierarchies().values(), mounts.find()[1]} if detect() == "v1" else {mounts.find()[1]}
    for point in filter(None, points):
        try:
            os.rmdir(point + path)
        except OSError:
            pass  # EBUSY: it has sub-cgroups or members; ENOENT: nobody made it here


def directories(path: str) -> dict[str, str]:
    """Return the directory of a v1 cgroup in each hierarchy, by the name its mount point has; {} on v2."""
    if detect() == "v2":
        return {}
    return {point.rpartition("/")[2]: point + path for point in hierarchies().values()}


__all__ = [
    "CgroupV1", "CgroupV2", "detect", "directories", "features", "of_process", "open", "remove_parent",
    "remove_unified", "unsupported",
]  # fmt: skip
