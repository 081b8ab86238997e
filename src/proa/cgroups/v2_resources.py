"""OCI `linux.resources`, which speak of v1, as writes to cgroup v2 control files (cgroup-v2.rst).

The conversions are those that runc and crun agree on; each is a function of its own.
"""

from __future__ import annotations

import math

from proa.cgroups.resources import IO_THROTTLES, check_range, part, plan_common
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cgroups.resources import Write

UNLIMITED = -1


def weight_of_shares(shares: int) -> int:
    """Convert cpu.shares (2-262144, default 1024) to cpu.weight (1-10000, default 100).

    A quadratic in log2(shares) through the ends and the defaults of both ranges; the linear conversion of
    older runtimes gave 39 for the default and too little resolution below it (opencontainers/cgroups#20).
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    exponent = math.log2(shares)
    return math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612 - 7 / 34))


def io_weight_of_blkio(weight: int) -> int:
    """Convert a v1 weight (10-1000) linearly to io.weight (1-10000)."""
    return 1 + (weight - 10) * 9999 // 990


def swap_alone(swap: int, memory: int) -> int | None:
    """Convert a limit of memory+swap to one of swap: bytes, UNLIMITED, or None when none is asked for."""
    if swap == 0:
        return UNLIMITED if memory == UNLIMITED else None
    if swap == UNLIMITED or memory == UNLIMITED:
        return swap
    if memory <= 0:
        raise InvalidArgument("unable to set swap limit without memory limit")
    if swap < memory:
        raise InvalidArgument("memory+swap limit should be >= memory limit")
    return swap - memory


def amount(value: int) -> str:
    return "max" if value == UNLIMITED else str(value)


def plan(resources: dict[str, Any], *, bfq: bool = False) -> list[Write]:
    """Return what to write for everything but devices. `bfq`: the cgroup has io.bfq.weight (v1's range)."""
    return [
        *_memory(part(resources, "memory")),
        *_cpu(part(resources, "cpu")),
        *_block_io(part(resources, "blockIO"), bfq),
        *_others(resources),
        *plan_common(resources),
        *_unified(part(resources, "unified")),
    ]


def _memory(memory: dict[str, Any]) -> list[Write]:
    writes: list[Write] = []
    limit = memory.get("limit") or 0
    if (swap := swap_alone(memory.get("swap") or 0, limit)) is not None:
        writes.append(("memory", "memory.swap.max", amount(swap), "swap"))
    if limit:
        writes.append(("memory", "memory.max", amount(limit), "memory"))
    if reservation := memory.get("reservation"):
        writes.append(("memory", "memory.low", amount(reservation), "reservation"))
    # v2 has neither knob: the names of the absent files make `apply` say so.
    if memory.get("disableOOMKiller"):
        writes.append(("memory", "memory.oom_control", "1", "oom_kill_disable"))
    swappiness = memory.get("swappiness")
    if swappiness is not None and swappiness != -1:
        check_range("memory swappiness", swappiness, 0, 100)
        writes.append(("memory", "memory.swappiness", str(swappiness), "swappiness"))
    return writes


def _cpu(cpu: dict[str, Any]) -> list[Write]:
    writes: list[Write] = []
    if (idle := cpu.get("idle")) is not None:
        writes.append(("cpu", "cpu.idle", str(idle), "idle"))
    if (shares := cpu.get("shares")) and idle != 1:  # the kernel keeps the weight of an idle cgroup fixed
        writes.append(("cpu", "cpu.weight", str(weight_of_shares(shares)), "shares"))
    if (burst := cpu.get("burst")) is not None:
        writes.append(("cpu", "cpu.max.burst", str(burst), "burst"))
    quota, period = cpu.get("quota") or 0, cpu.get("period") or 0
    if quota or period:
        writes.append(("cpu", "cpu.max", f"{quota if quota > 0 else 'max'} {period or 100000}", "cfs"))
    if cpu.get("realtimeRuntime") or cpu.get("realtimePeriod"):
        writes.append(("cpu", "cpu.rt_runtime_us", str(cpu.get("realtimeRuntime") or 0), "realtime"))
    for key in ("cpus", "mems"):
        if cpu.get(key):
            writes.append(("cpuset", f"cpuset.{key}", cpu[key], "cpuset"))
    return writes


def _block_io(io: dict[str, Any], bfq: bool) -> list[Write]:
    writes: list[Write] = []
    if weight := io.get("weight"):
        check_range("block I/O weight", weight, 10, 1000)
        write = ("io.bfq.weight", weight) if bfq else ("io.weight", io_weight_of_blkio(weight))
        writes.append(("io", write[0], str(write[1]), "blkio_weight"))
    for entry in io.get("weightDevice") or []:
        if weight := entry.get("weight"):
            check_range("block I/O weight", weight, 10, 1000)
            write = ("io.bfq.weight", weight) if bfq else ("io.weight", io_weight_of_blkio(weight))
            value = f"{entry['major']}:{entry['minor']} {write[1]}"
            writes.append(("io", write[0], value, "blkio_weight_device"))
    for key, feature, word, _ in IO_THROTTLES:
        for entry in io.get(key) or []:
            value = f"{entry['major']}:{entry['minor']} {word}={entry['rate'] or 'max'}"
            writes.append(("io", "io.max", value, feature))
    return writes


def _others(resources: dict[str, Any]) -> list[Write]:
    writes: list[Write] = []
    for entry in resources.get("hugepageLimits") or []:
        writes.append(("hugetlb", f"hugetlb.{entry['pageSize']}.max", str(entry["limit"]), "hugepages"))
    network = part(resources, "network")
    if network.get("classID") or network.get("priorities"):
        writes.append(("net_cls", "net_cls.classid", str(network.get("classID") or 0), "network"))
    return writes


def _unified(unified: dict[str, Any]) -> list[Write]:
    """Files of v2 as they are, one write a line; a missing file is an error (runtime-spec)."""
    writes: list[Write] = []
    for file, value in unified.items():
        if "/" in file or "." not in file:
            raise InvalidArgument(f"unified resource {file!r} must be a file name without slashes")
        controller = file.partition(".")[0]
        writes += [(controller, file, line, "unified") for line in str(value).splitlines() or [""]]
    return writes
