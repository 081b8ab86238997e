"""What a v1 cgroup uses, in the units of `interface.Stats`."""

from __future__ import annotations

from proa.cgroups import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cgroups.interface import CpuStats, IoEntry, MemoryStats, Stats

# PAGE_COUNTER_MAX in bytes, a little below 2^63, stands for "no limit".
UNLIMITED = 1 << 62


def read(directory_of: dict[str, str]) -> Stats:
    """Return the counters of a cgroup, given its directory per controller; OSError when it is gone."""
    stats: Stats = {}  # type: ignore[typeddict-item]  # parts come as controllers allow
    if (accounts := directory_of.get("cpuacct")) is not None:
        stats["cpu"] = _cpu(accounts, directory_of.get("cpu"))
    if (memory := directory_of.get("memory")) is not None:
        stats["memory"] = _memory(memory)
    if (pids := directory_of.get("pids")) is not None:
        current, limit = files.number(f"{pids}/pids.current"), files.number(f"{pids}/pids.max")
        stats["pids"] = {"current": current or 0, "limit": limit}
    if (io := directory_of.get("blkio")) is not None:
        stats["io"] = {"service_bytes": _io(io, "io_service_bytes"), "serviced": _io(io, "io_serviced")}
    return stats


def _cpu(accounts: str, scheduler: str | None) -> CpuStats:
    throttling = files.table(f"{scheduler}/cpu.stat") if scheduler else {}
    return {
        "usage": files.number(f"{accounts}/cpuacct.usage") or 0,
        "user": files.number(f"{accounts}/cpuacct.usage_user") or 0,
        "system": files.number(f"{accounts}/cpuacct.usage_sys") or 0,
        "per_cpu": [int(word) for word in files.read(f"{accounts}/cpuacct.usage_percpu").split()],
        "periods": throttling.get("nr_periods", 0),
        "throttled_periods": throttling.get("nr_throttled", 0),
        "throttled_time": throttling.get("throttled_time", 0),
    }


def _memory(directory: str) -> MemoryStats:
    prefix = f"{directory}/memory"
    usage = files.number(f"{prefix}.usage_in_bytes") or 0
    limit = files.number(f"{prefix}.limit_in_bytes") or 0
    both_usage = files.optional_number(f"{prefix}.memsw.usage_in_bytes", usage)
    both_limit = files.optional_number(f"{prefix}.memsw.limit_in_bytes", UNLIMITED)
    return {
        "usage": usage,
        "max_usage": files.number(f"{prefix}.max_usage_in_bytes") or 0,
        "limit": None if limit >= UNLIMITED else limit,
        "failures": files.number(f"{prefix}.failcnt") or 0,
        "swap_usage": max(0, both_usage - usage),  # two reads: the difference may be off by what changed
        "swap_limit": None if both_limit >= UNLIMITED else max(0, both_limit - limit),
        "stat": files.table(f"{prefix}.stat"),
    }


def _io(directory: str, name: str) -> list[IoEntry]:
    """Read BFQ's counters where it has counted, else those of the throttling layer."""
    for file in (f"bfq.{name}_recursive", f"throttle.{name}_recursive", f"throttle.{name}"):
        try:
            entries = parse_io(files.read(f"{directory}/blkio.{file}"))
        except FileNotFoundError:
            continue
        if entries:
            return entries
    return []


def parse_io(text: str) -> list[IoEntry]:
    """Parse "8:0 Read 4096" lines; the grand total at the end is left out."""
    entries: list[IoEntry] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3:
            major, _, minor = fields[0].partition(":")
            entries.append((int(major), int(minor), fields[1], int(fields[2])))
    return entries
