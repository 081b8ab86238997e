"""Which limits this host can set, known before any container is made: for warnings and `docker info`.

Features are the keys of `resources.FEATURES`.
"""

from __future__ import annotations

import os

from proa.cgroups import files, mounts, v1_resources, v2_resources
from proa.cgroups.resources import FEATURES, WITHOUT_SWAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# v1: (controller, file in the hierarchy's root; "" where the root has none and the controller is enough)
_V1 = {
    "memory": ("memory", "memory.limit_in_bytes"),
    "swap": ("memory", "memory.memsw.limit_in_bytes"),
    "swappiness": ("memory", "memory.swappiness"),
    "reservation": ("memory", "memory.soft_limit_in_bytes"),
    "oom_kill_disable": ("memory", "memory.oom_control"),
    "pids": ("pids", ""),
    "shares": ("cpu", "cpu.shares"),
    "cfs": ("cpu", "cpu.cfs_quota_us"),
    "burst": ("cpu", "cpu.cfs_burst_us"),
    "idle": ("cpu", "cpu.idle"),
    "realtime": ("cpu", "cpu.rt_runtime_us"),
    "cpuset": ("cpuset", "cpuset.cpus"),
    "blkio_weight": ("blkio", "blkio.weight"),
    "blkio_weight_device": ("blkio", "blkio.weight_device"),
    "read_bps": ("blkio", "blkio.throttle.read_bps_device"),
    "write_bps": ("blkio", "blkio.throttle.write_bps_device"),
    "read_iops": ("blkio", "blkio.throttle.read_iops_device"),
    "write_iops": ("blkio", "blkio.throttle.write_iops_device"),
    "hugepages": ("hugetlb", ""),
    "rdma": ("rdma", ""),
    "network": ("net_cls", ""),
    "devices": ("devices", "devices.list"),
}
# v2: (controller, a file of any cgroup below the root that has it; "" where the controller is enough).
# What is not here v2 does not have.
_V2 = {
    "memory": ("memory", ""),
    "swap": ("memory", "memory.swap.max"),
    "reservation": ("memory", ""),
    "pids": ("pids", ""),
    "shares": ("cpu", ""),
    "cfs": ("cpu", ""),
    "burst": ("cpu", "cpu.max.burst"),
    "idle": ("cpu", "cpu.idle"),
    "cpuset": ("cpuset", ""),
    "blkio_weight": ("io", "io.weight"),
    "blkio_weight_device": ("io", "io.weight"),
    "read_bps": ("io", ""),
    "write_bps": ("io", ""),
    "read_iops": ("io", ""),
    "write_iops": ("io", ""),
    "hugepages": ("hugetlb", ""),
    "rdma": ("rdma", ""),
}

_host: list[tuple[bool, dict[str, bool]]] = []  # (whether v2, features), once known


def _look() -> tuple[bool, dict[str, bool]]:
    if not _host:
        v1, v2 = mounts.find()
        unified = mounts.version(v1, v2) == "v2"
        _host.append((unified, _v2_features(v2 or mounts.UNIFIED) if unified else _v1_features(v1)))
    return _host[0]


def features() -> dict[str, bool]:
    """Return {feature: whether limits of its kind can be set here}, looked up once."""
    return dict(_look()[1])


def _v1_features(mounted: dict[str, str]) -> dict[str, bool]:
    found = {
        feature: controller in mounted and os.path.exists(f"{mounted[controller]}/{file}")
        for feature, (controller, file) in _V1.items()
    }
    if not found["blkio_weight"] and "blkio" in mounted:
        # Without CFQ the weights are BFQ's. Their files are not in the root, but its counters are.
        bfq = os.path.exists(f"{mounted['blkio']}/blkio.bfq.io_service_bytes")
        found["blkio_weight"] = found["blkio_weight_device"] = bfq
    return found


def _v2_features(root: str) -> dict[str, bool]:
    controllers = files.read(f"{root}/cgroup.controllers").split()
    found = dict.fromkeys(FEATURES, False) | {
        feature: controller in controllers and (not file or _below(root, file))
        for feature, (controller, file) in _V2.items()
    }
    if "io" in controllers and _below(root, "io.bfq.weight"):
        found["blkio_weight"] = found["blkio_weight_device"] = True
    return found | {"devices": True}  # a BPF program: no controller, no file; tried when a container starts


def _below(root: str, file: str) -> bool:
    """Whether cgroups have the file (the root has no limits); yes if there are none, `create` will tell."""
    with os.scandir(root) as entries:
        cgroups = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return not cgroups or any(os.path.exists(f"{path}/{file}") for path in cgroups)


def unsupported(resources: dict[str, Any]) -> list[str]:
    """Return the warnings that `Cgroup.create` would give for OCI `linux.resources`, without making anything.

    InvalidArgument for values out of range.
    """
    unified, able = _look()
    writes = v2_resources.plan(resources) if unified else v1_resources.plan(resources)
    lost = {
        FEATURES[feature]: None
        for _, _, value, feature in writes
        if not able.get(feature, True) and not (feature == "swap" and value in WITHOUT_SWAP)
    }
    return list(lost)
