"""OCI `linux.resources` as writes to cgroup v1 control files (Documentation/admin-guide/cgroup-v1/)."""

from __future__ import annotations

from proa.cgroups.resources import IO_THROTTLES, check_range, check_shares, part, plan_common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cgroups.resources import Write


def plan(resources: dict[str, Any], *, bfq: bool = False) -> list[Write]:
    """Return what to write for everything but devices, in an order that fits a new cgroup.

    `bfq`: the weights are those of the BFQ scheduler, as on kernels without CFQ (from 5.0 on).
    """
    return [
        *_memory(part(resources, "memory")),
        *_cpu(part(resources, "cpu")),
        *_block_io(part(resources, "blockIO"), "blkio.bfq" if bfq else "blkio"),
        *_others(resources),
        *plan_common(resources),
    ]


def _memory(memory: dict[str, Any]) -> list[Write]:
    writes: list[Write] = []
    limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
    if limit == -1 and swap == 0:
        swap = -1  # unlimited memory below a memory+swap limit would be no such thing
    if limit:
        writes.append(("memory", "memory.limit_in_bytes", str(limit), "memory"))
    if swap:
        writes.append(("memory", "memory.memsw.limit_in_bytes", str(swap), "swap"))
    if reservation := memory.get("reservation"):
        writes.append(("memory", "memory.soft_limit_in_bytes", str(reservation), "reservation"))
    if memory.get("disableOOMKiller"):
        writes.append(("memory", "memory.oom_control", "1", "oom_kill_disable"))
    swappiness = memory.get("swappiness")
    if swappiness is not None and swappiness != -1:
        check_range("memory swappiness", swappiness, 0, 100)
        writes.append(("memory", "memory.swappiness", str(swappiness), "swappiness"))
    return writes


def _cpu(cpu: dict[str, Any]) -> list[Write]:
    writes: list[Write] = []
    if shares := cpu.get("shares"):
        writes.append(("cpu", "cpu.shares", str(check_shares(shares)), "shares"))
    table = (
        ("period", "cpu.cfs_period_us", "cfs"),
        ("quota", "cpu.cfs_quota_us", "cfs"),
        ("realtimePeriod", "cpu.rt_period_us", "realtime"),
        ("realtimeRuntime", "cpu.rt_runtime_us", "realtime"),
    )
    writes += [("cpu", file, str(value), feature) for key, file, feature in table if (value := cpu.get(key))]
    if (burst := cpu.get("burst")) is not None:
        writes.append(("cpu", "cpu.cfs_burst_us", str(burst), "burst"))
    if (idle := cpu.get("idle")) is not None:
        writes.append(("cpu", "cpu.idle", str(idle), "idle"))
    for key in ("cpus", "mems"):
        if cpu.get(key):
            writes.append(("cpuset", f"cpuset.{key}", cpu[key], "cpuset"))
    return writes


def _block_io(io: dict[str, Any], prefix: str) -> list[Write]:
    writes: list[Write] = []
    for key, file in (("weight", f"{prefix}.weight"), ("leafWeight", "blkio.leaf_weight")):
        if io.get(key):
            check_range("block I/O weight", io[key], 10, 1000)
            writes.append(("blkio", file, str(io[key]), "blkio_weight"))
    for entry in io.get("weightDevice") or []:
        device = f"{entry['major']}:{entry['minor']}"
        for key, file in (("weight", f"{prefix}.weight_device"), ("leafWeight", "blkio.leaf_weight_device")):
            if entry.get(key):
                check_range("block I/O weight", entry[key], 10, 1000)
                writes.append(("blkio", file, f"{device} {entry[key]}", "blkio_weight_device"))
    for key, feature, _, file in IO_THROTTLES:
        for entry in io.get(key) or []:
            writes.append(("blkio", file, f"{entry['major']}:{entry['minor']} {entry['rate']}", feature))
    return writes


def _others(resources: dict[str, Any]) -> list[Write]:
    writes: list[Write] = []
    for entry in resources.get("hugepageLimits") or []:
        file = f"hugetlb.{entry['pageSize']}.limit_in_bytes"
        writes.append(("hugetlb", file, str(entry["limit"]), "hugepages"))
    network = part(resources, "network")
    if network.get("classID"):
        writes.append(("net_cls", "net_cls.classid", str(network["classID"]), "network"))
    for entry in network.get("priorities") or []:
        writes.append(("net_prio", "net_prio.ifpriomap", f"{entry['name']} {entry['priority']}", "network"))
    return writes
