"""Where the cgroup hierarchies are mounted, from /proc/self/mountinfo (proc(5), cgroups(7))."""

from __future__ import annotations

from proa.cgroups import files

_NAMES = """
blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids rdma
"""
V1_CONTROLLERS = frozenset(_NAMES.split())
SYSTEMD = "name=systemd"  # joined too: systemd takes the processes in it for the unit's
UNIFIED = "/sys/fs/cgroup"


def unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo (\\040 for a space, …)."""
    if "\\" not in text:
        return text
    first, *rest = text.split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def parse(mountinfo: str) -> tuple[dict[str, str], str | None]:
    """Return ({v1 controller or "name=systemd": mount point}, mount point of cgroup2 or None).

    Of several mounts of one hierarchy the first counts; co-mounted controllers share a mount point.
    """
    v1: dict[str, str] = {}
    v2 = None
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        if not separator or not right.startswith("cgroup"):
            continue
        kind, _, options = right.split(" ", 2)
        mount_point = unescape(left.split(" ", 5)[4])
        if kind == "cgroup2":
            v2 = v2 or mount_point
        elif kind == "cgroup":
            for option in options.split(","):
                if option in V1_CONTROLLERS or option == SYSTEMD:
                    v1.setdefault(option, mount_point)
    return v1, v2


def find() -> tuple[dict[str, str], str | None]:
    """`parse` of this process's mount namespace."""
    return parse(files.read("/proc/self/mountinfo"))


def version(v1: dict[str, str], v2: str | None) -> str:
    """Return "v2" when /sys/fs/cgroup itself is cgroup2 or there is no v1, else "v1" (legacy and hybrid)."""
    return "v2" if v2 == UNIFIED or (v2 is not None and not v1) else "v1"
