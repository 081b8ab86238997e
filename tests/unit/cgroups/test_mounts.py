"""Finding the hierarchies in /proc/self/mountinfo."""

from __future__ import annotations

import pytest

from proa.cgroups import mounts

LEGACY = """\
23 28 0:21 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
30 23 0:26 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct
32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,favordynmods,memory
33 23 0:29 / /run/other rw - cgroup cgroup rw,name=other
34 23 0:28 / /mnt/again rw - cgroup cgroup rw,memory
35 23 0:30 / /sys/fs/odd\\040name rw - cgroup cgroup rw,pids
"""
HYBRID = LEGACY + "36 23 0:31 / /sys/fs/cgroup/unified rw shared:13 - cgroup2 cgroup2 rw,nsdelegate\n"
UNIFIED = "28 22 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_legacy_hierarchies() -> None:
    v1, v2 = mounts.parse(LEGACY)
    assert v1 == {
        "name=systemd": "/sys/fs/cgroup/systemd",
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
        "pids": "/sys/fs/odd name",
    }
    assert v2 is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (LEGACY, "v1"),
        (HYBRID, "v1"),
        (UNIFIED, "v2"),
        (UNIFIED.replace("/sys/fs/cgroup", "/cg"), "v2"),
        ("", "v1"),
    ],
)
def test_version(text: str, version: str) -> None:
    assert mounts.version(*mounts.parse(text)) == version
