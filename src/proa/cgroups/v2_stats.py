"""What a v2 cgroup uses, in the units of `interface.Stats`."""

from __future__ import annotations

import os

from proa.cgroups import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cgroups.interface import CpuStats, IoEntry, MemoryStats, Stats


def read(directory: str) -> Stats:
    """Return the counters of a cgroup; raise OSError when it is gone."""
    stats: Stats = {"cpu": _cpu(directory)}  # type: ignore[typeddict-item]  # parts come as controllers allow
    if os.path.exists(f"{directory}/memory.current"):
        stats["memory"] = _memory(directory)
    if os.path.exists(f"{directory}/pids.current"):
        current, limit = files.number(f"{directory}/pids.current"), files.number(f"{directory}/pids.max")
        stats["pids"] = {"current": current or 0, "limit": limit}
    if os.path.exists(f"{directory}/io.stat"):
        text = files.read(f"{directory}/io.stat")
        stats["io"] = {
            "service_bytes": parse_io(text, {"rbytes": "Read", "wbytes": "Write"}),
            "serviced": parse_io(text, {"rios": "Read", "wios": "Write"}),
        }
    return stats


def _cpu(directory: str) -> CpuStats:
    """cpu.stat exists without the cpu controller, too; then it lacks the throttling fields."""
    values = files.table(f"{directory}/cpu.stat")
    return {
        "usage": values.get("usage_usec", 0) * 1000,
        "user": values.get("user_usec", 0) * 1000,
        "system": values.get("system_usec", 0) * 1000,
        "per_cpu": [],
        "periods": values.get("nr_periods", 0),
        "throttled_periods": values.get("nr_throttled", 0),
        "throttled_time": values.get("throttled_usec", 0) * 1000,
    }


def _memory(directory: str) -> MemoryStats:
    prefix = f"{directory}/memory"
    try:
        swap_limit = files.number(f"{prefix}.swap.max")
    except FileNotFoundError:
        swap_limit = None
    return {
        "usage": files.number(f"{prefix}.current") or 0,
        "max_usage": files.optional_number(f"{prefix}.peak"),
        "limit": files.number(f"{prefix}.max"),
        "failures": files.table(f"{prefix}.events").get("oom", 0),
        "swap_usage": files.optional_number(f"{prefix}.swap.current"),
        "swap_limit": swap_limit,
        "stat": files.table(f"{prefix}.stat"),
    }


def parse_io(text: str, operations: dict[str, str]) -> list[IoEntry]:
    """Parse "8:0 rbytes=4096 wbytes=0 …" lines, keeping the keys of `operations` under their names."""
    entries: list[IoEntry] = []
    for line in text.splitlines():
        device, *fields = line.split()
        major, _, minor = device.partition(":")
        for field in fields:
            key, _, value = field.partition("=")
            if key in operations and minor.isdecimal():
                entries.append((int(major), int(minor), operations[key], int(value)))
    return entries
