"""Samples as `stats` shows them, by Docker's names; what a cgroup version does not count is null or absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proa import times
from proa.engine.containers.stats import Sample
from proa.engine.records import Container

if TYPE_CHECKING:
    from proa.cgroups.interface import CpuStats, IoEntry, MemoryStats, PidsStats

_IO_TABLES = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip


def document(record: Container, sample: Sample, before: Sample | None, memory: int) -> dict[str, Any]:
    """Return one object of the stream; `before` is the sample of a second ago, `memory` the host's, in bytes."""
    usage: Any = sample.usage or {}
    answer: dict[str, Any] = {
        "name": f"/{record.name}",
        "id": record.id,
        "read": times.format_time(sample.time),
        "preread": times.format_time(before.time if before else 0),
        "pids_stats": _pids(usage.get("pids")),
        "blkio_stats": _io(usage.get("io"), v1=bool(usage) and _is_v1(usage)),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(sample),
        "precpu_stats": _cpu(before or Sample()),
        "memory_stats": _memory(usage.get("memory"), memory),
    }
    if sample.networks:
        answer["networks"] = sample.networks
    return answer


def _is_v1(usage: Any) -> bool:
    return bool(usage["cpu"]["per_cpu"])


def _pids(pids: PidsStats | None) -> dict[str, int]:
    if pids is None:
        return {}
    return {"current": pids["current"]} | ({"limit": pids["limit"]} if pids["limit"] else {})


def _cpu(sample: Sample) -> dict[str, Any]:
    cpu: CpuStats | None = sample.usage["cpu"] if sample.usage and "cpu" in sample.usage else None
    usage: dict[str, Any] = {"total_usage": cpu["usage"] if cpu else 0}
    if cpu and cpu["per_cpu"]:
        usage["percpu_usage"] = cpu["per_cpu"]
    usage["usage_in_kernelmode"] = cpu["system"] if cpu else 0
    usage["usage_in_usermode"] = cpu["user"] if cpu else 0
    host = {"system_cpu_usage": sample.system, "online_cpus": sample.processors} if sample.processors else {}
    return {
        "cpu_usage": usage,
        **host,
        "throttling_data": {
            "periods": cpu["periods"] if cpu else 0,
            "throttled_periods": cpu["throttled_periods"] if cpu else 0,
            "throttled_time": cpu["throttled_time"] if cpu else 0,
        },
    }


def _memory(memory: MemoryStats | None, host: int) -> dict[str, Any]:
    if memory is None:
        return {}
    answer: dict[str, Any] = {"usage": memory["usage"]}
    if memory["max_usage"]:
        answer["max_usage"] = memory["max_usage"]
    answer["stats"] = dict(sorted(memory["stat"].items()))
    if memory["failures"]:
        answer["failcnt"] = memory["failures"]
    answer["limit"] = min(memory["limit"] or host, host)
    return answer


def _io(io: Any, *, v1: bool) -> dict[str, Any]:
    """On v2 only bytes are counted in Docker's answer, and operations have small letters."""
    tables: dict[str, Any] = dict.fromkeys(_IO_TABLES, [] if v1 else None)
    if io is None:
        return tables
    tables["io_service_bytes_recursive"] = [_entry(entry, v1=v1) for entry in io["service_bytes"]]
    if v1:
        tables["io_serviced_recursive"] = [_entry(entry, v1=v1) for entry in io["serviced"]]
    return tables


def _entry(entry: IoEntry, *, v1: bool) -> dict[str, Any]:
    major, minor, operation, value = entry
    return {"major": major, "minor": minor, "op": operation if v1 else operation.lower(), "value": value}
