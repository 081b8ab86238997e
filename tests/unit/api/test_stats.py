"""Samples of both cgroup versions in Docker's shape."""

from __future__ import annotations

from typing import Any

from proa.api.translate.stats import document
from proa.cli.commands.stats import cpu_percent, memory_used
from proa.engine.containers.stats import Sample
from proa.engine.options import ContainerOptions
from proa.engine.records import Container

BOX = Container(id="a" * 64, name="box", created=1, image_id="", layers=[], options=ContainerOptions(image="x"))
HOST = 8 << 30


def usage(**changes: Any) -> Any:
    """What a v2 cgroup says."""
    return {
        "cpu": {"usage": 3000, "user": 2000, "system": 1000, "per_cpu": [], "periods": 4, "throttled_periods": 2,
                "throttled_time": 9},
        "memory": {"usage": 5000, "max_usage": 0, "limit": None, "failures": 0, "swap_usage": 0,
                   "swap_limit": None, "stat": {"inactive_file": 1000, "anon": 7}},
        "pids": {"current": 2, "limit": None},
        "io": {"service_bytes": [(8, 0, "Read", 10), (8, 0, "Write", 20)], "serviced": [(8, 0, "Read", 1)]},
        **changes,
    }  # fmt: skip


def test_version_2() -> None:
    found = document(BOX, Sample(time=2, usage=usage(), system=100, processors=4), None, HOST)
    assert found["cpu_stats"] == {
        "cpu_usage": {"total_usage": 3000, "usage_in_kernelmode": 1000, "usage_in_usermode": 2000},
        "system_cpu_usage": 100,
        "online_cpus": 4,
        "throttling_data": {"periods": 4, "throttled_periods": 2, "throttled_time": 9},
    }
    assert found["memory_stats"] == {"usage": 5000, "stats": {"anon": 7, "inactive_file": 1000}, "limit": HOST}
    assert found["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 8, "minor": 0, "op": "read", "value": 10},
        {"major": 8, "minor": 0, "op": "write", "value": 20},
    ]
    assert found["blkio_stats"]["io_serviced_recursive"] is None
    assert found["pids_stats"] == {"current": 2}
    assert memory_used(found) == 4000


def test_version_1() -> None:
    cpu = {**usage()["cpu"], "per_cpu": [1000, 2000]}
    memory = {**usage()["memory"], "max_usage": 6000, "failures": 3, "limit": 1 << 20}
    found = document(BOX, Sample(time=2, usage=usage(cpu=cpu, memory=memory), system=1, processors=2), None, HOST)
    assert found["cpu_stats"]["cpu_usage"]["percpu_usage"] == [1000, 2000]
    assert (found["memory_stats"]["max_usage"], found["memory_stats"]["failcnt"]) == (6000, 3)
    assert found["memory_stats"]["limit"] == 1 << 20
    assert found["blkio_stats"]["io_serviced_recursive"] == [{"major": 8, "minor": 0, "op": "Read", "value": 1}]
    assert found["blkio_stats"]["sectors_recursive"] == []


def test_processor_shares() -> None:
    before = Sample(time=1, usage=usage(), system=1_000_000, processors=2)
    later = {**usage()["cpu"], "usage": 3000 + 250_000}
    now = Sample(time=2, usage=usage(cpu=later), system=2_000_000, processors=2)
    assert cpu_percent(document(BOX, now, before, HOST)) == 50.0
    assert cpu_percent(document(BOX, now, None, HOST)) == 0.0
    assert cpu_percent(document(BOX, Sample(), None, HOST)) == 0.0
