"""OCI linux.resources as the writes of each version, with the values that runc and crun would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proa.cgroups import resources, v1_resources, v2_resources
from proa.errors import InvalidArgument, KernelError

GIB = 1 << 30


def written(plan: list[tuple[str, str, str, str]]) -> dict[str, str]:
    return {file: value for _, file, value, _ in plan}


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(2, 1), (1, 1), (1024, 100), (262144, 10000), (10**9, 10000), (512, 59), (2048, 174)],
)
def test_cpu_weight(shares: int, weight: int) -> None:
    assert v2_resources.weight_of_shares(shares) == weight


def test_cpu_weight_keeps_the_order() -> None:
    weights = [v2_resources.weight_of_shares(shares) for shares in range(2, 262145, 97)]
    assert weights == sorted(weights)
    assert all(1 <= weight <= 10000 for weight in weights)


@pytest.mark.parametrize(("weight", "io_weight"), [(10, 1), (1000, 10000), (500, 4950), (100, 910)])
def test_io_weight(weight: int, io_weight: int) -> None:
    assert v2_resources.io_weight_of_blkio(weight) == io_weight


@pytest.mark.parametrize(
    ("swap", "memory", "alone"),
    [
        (0, 0, None),
        (0, GIB, None),
        (0, -1, -1),
        (-1, GIB, -1),
        (2 * GIB, GIB, GIB),
        (GIB, GIB, 0),
        (GIB, -1, GIB),
    ],
)
def test_swap_alone(swap: int, memory: int, alone: int | None) -> None:
    assert v2_resources.swap_alone(swap, memory) == alone


@pytest.mark.parametrize(("swap", "memory", "why"), [(GIB, 0, "without memory"), (GIB, 2 * GIB, ">= memory")])
def test_swap_that_makes_no_sense(swap: int, memory: int, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        v2_resources.swap_alone(swap, memory)


CASES: list[tuple[dict[str, Any], dict[str, str], dict[str, str]]] = [
    ({}, {}, {}),
    ({"memory": None, "cpu": {}, "pids": {"limit": 0}}, {}, {}),
    (
        {"memory": {"limit": GIB, "swap": 3 * GIB, "reservation": 5, "swappiness": 0}},
        {
            "memory.limit_in_bytes": str(GIB),
            "memory.memsw.limit_in_bytes": str(3 * GIB),
            "memory.soft_limit_in_bytes": "5",
            "memory.swappiness": "0",
        },
        {
            "memory.max": str(GIB),
            "memory.swap.max": str(2 * GIB),
            "memory.low": "5",
            "memory.swappiness": "0",
        },
    ),
    (
        {"memory": {"limit": -1, "disableOOMKiller": True, "swappiness": -1}},
        {"memory.limit_in_bytes": "-1", "memory.memsw.limit_in_bytes": "-1", "memory.oom_control": "1"},
        {"memory.max": "max", "memory.swap.max": "max", "memory.oom_control": "1"},
    ),
    (
        {"cpu": {"shares": 1024, "quota": 50000, "period": 25000, "cpus": "0-1", "mems": "0", "burst": 0}},
        {
            "cpu.shares": "1024",
            "cpu.cfs_period_us": "25000",
            "cpu.cfs_quota_us": "50000",
            "cpu.cfs_burst_us": "0",
            "cpuset.cpus": "0-1",
            "cpuset.mems": "0",
        },
        {
            "cpu.weight": "100",
            "cpu.max": "50000 25000",
            "cpu.max.burst": "0",
            "cpuset.cpus": "0-1",
            "cpuset.mems": "0",
        },
    ),
    ({"cpu": {"quota": -1}}, {"cpu.cfs_quota_us": "-1"}, {"cpu.max": "max 100000"}),
    ({"cpu": {"period": 5000}}, {"cpu.cfs_period_us": "5000"}, {"cpu.max": "max 5000"}),
    ({"cpu": {"idle": 1, "shares": 9}}, {"cpu.shares": "9", "cpu.idle": "1"}, {"cpu.idle": "1"}),
    ({"pids": {"limit": 100}}, {"pids.max": "100"}, {"pids.max": "100"}),
    ({"pids": {"limit": -1}}, {"pids.max": "max"}, {"pids.max": "max"}),
    (
        {
            "blockIO": {
                "weight": 500,
                "weightDevice": [{"major": 8, "minor": 16, "weight": 1000}],
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}],
            }
        },
        {
            "blkio.weight": "500",
            "blkio.weight_device": "8:16 1000",
            "blkio.throttle.read_bps_device": "8:0 1048576",
            "blkio.throttle.write_iops_device": "8:0 0",
        },
        {
            "io.weight": "8:16 10000",
            "io.max": "8:0 wiops=max",
        },  # later writes to the same file hide earlier ones
    ),
    (
        {
            "hugepageLimits": [{"pageSize": "2MB", "limit": 7}],
            "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10}},
        },
        {"hugetlb.2MB.limit_in_bytes": "7", "rdma.max": "mlx5_1 hca_handle=3 hca_object=10"},
        {"hugetlb.2MB.max": "7", "rdma.max": "mlx5_1 hca_handle=3 hca_object=10"},
    ),
    ({"unified": {"memory.high": "1024"}}, {}, {"memory.high": "1024"}),
]


@pytest.mark.parametrize(("asked", "v1", "v2"), CASES)
def test_plans(asked: dict[str, Any], v1: dict[str, str], v2: dict[str, str]) -> None:
    assert written(v1_resources.plan(asked)) == v1
    assert written(v2_resources.plan(asked)) == v2


def test_v1_without_cfq() -> None:
    plan = v1_resources.plan({"blockIO": {"weight": 500}}, bfq=True)
    assert written(plan) == {"blkio.bfq.weight": "500"}


def test_bfq_takes_the_weights_of_v1() -> None:
    asked = {"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 16, "weight": 100}]}}
    plan = v2_resources.plan(asked, bfq=True)
    assert [(file, value) for _, file, value, _ in plan] == [
        ("io.bfq.weight", "500"),
        ("io.bfq.weight", "8:16 100"),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {"memory": {"swappiness": 101}},
        {"blockIO": {"weight": 5}},
        {"blockIO": {"weight": 1001}},
        {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 9}]}},
    ],
)
def test_values_out_of_range(asked: dict[str, Any]) -> None:
    for plan in (v1_resources.plan, v2_resources.plan):
        with pytest.raises(InvalidArgument, match="valid range is"):
            plan(asked)


@pytest.mark.parametrize("name", ["../x.y", "a/b.c", "nodot"])
def test_unified_names(name: str) -> None:
    with pytest.raises(InvalidArgument, match="file name"):
        v2_resources.plan({"unified": {name: "1"}})


def test_missing_files_warn_once_and_the_rest_is_written(tmp_path: Path) -> None:
    (tmp_path / "pids.max").touch()
    writes = [
        ("cpu", "cpu.max", "1", "cfs"),
        ("cpu", "cpu.max.other", "1", "cfs"),
        ("memory", "memory.swap.max", "max", "swap"),
        ("memory", "memory.swap.max", "5", "swap"),
        ("pids", "pids.max", "9", "pids"),
        ("rdma", "rdma.max", "9", "rdma"),
    ]
    warnings = resources.apply(writes, lambda controller: None if controller == "rdma" else str(tmp_path))
    assert warnings == [resources.FEATURES[feature] for feature in ("cfs", "swap", "rdma")]
    assert (tmp_path / "pids.max").read_text() == "9"


def test_a_cgroup_that_is_gone_is_no_warning(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        resources.apply([("pids", "pids.max", "9", "pids")], lambda controller: str(tmp_path / "gone"))


def test_a_missing_unified_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"set pids\.other of cgroup .* to '9'"):
        resources.apply([("pids", "pids.other", "9", "unified")], lambda controller: str(tmp_path))


def test_dockers_wording() -> None:
    assert resources.FEATURES["swap"] == (
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap."
    )
    assert resources.FEATURES["blkio_weight"] == (
        "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
    )
