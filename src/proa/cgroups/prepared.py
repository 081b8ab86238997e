"""A cgroup that is there before its container is known: v1 alone can rename one, and there it pays.

Making a directory in each hierarchy, entering it and writing device rules takes milliseconds, renaming them
0.2. On v2 there is one directory, and clone3(CLONE_INTO_CGROUP) enters it at birth.
"""

from __future__ import annotations

import os

from proa.cgroups.v1 import CgroupV1, hierarchies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cgroups.interface import Cgroup, Resources

_PREFIX = "prepared-"


def path(parent: str, owner: int) -> str:
    """Return the path below the cgroup `parent` of what the process `owner` prepares."""
    return f"{parent}/{_PREFIX}{owner}"


def enter(path: str, rules: list[dict[str, Any]]) -> None:
    """Make the cgroup with device rules and move the calling process in; `OSError`, and nothing is left."""
    cgroup = CgroupV1(path)
    cgroup.create({"devices": rules})
    try:
        cgroup.enter()
    except BaseException:
        cgroup.remove()
        raise


def take_over(path: str, cgroup: Cgroup, resources: Resources, rules: list[dict[str, Any]]) -> list[str]:
    """Make the prepared one `cgroup`, as its `create` would; `rules` are those that it has already."""
    CgroupV1(path).rename(cgroup.path)
    if resources.get("devices") == rules:
        resources = {key: value for key, value in resources.items() if key != "devices"}
    try:
        return cgroup.update(resources)
    except BaseException:
        CgroupV1(cgroup.path).rename(path)
        raise


def can_take_over(path: str, cgroup: Cgroup) -> bool:
    """Whether the two have the same parent: rename(2) of cgroups stays within a directory."""
    return os.path.dirname(path) == os.path.dirname(cgroup.path)


def remove(path: str) -> None:
    """Remove a prepared cgroup that nobody took, also one that was not complete."""
    CgroupV1(path).remove()


def sweep(parent: str) -> None:
    """Remove what is below the cgroup `parent` although its owner is dead."""
    for mount_point in set(hierarchies().values()):
        try:
            names = os.listdir(f"{mount_point}{parent}")
        except FileNotFoundError:
            continue
        for name in names:
            owner = name.removeprefix(_PREFIX)
            if owner != name and owner.isdecimal() and not os.path.exists(f"/proc/{owner}"):
                try:
                    os.rmdir(f"{mount_point}{parent}/{name}")
                except OSError:
                    continue  # another engine's, which is faster, or a process on its way out
