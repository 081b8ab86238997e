"""What only one cgroup version has."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proa import cgroups
from proa.cgroups.v1 import CgroupV1, hierarchies
from proa.cgroups.v2 import CgroupV2
from proa.errors import Unsupported
from proa.ids import new_id
from proa.linux import bpf, process
from rig.needs import need, pure_cgroup2

pytestmark = pytest.mark.usefixtures("root")
PARENT = f"/proa-test-{os.getpid()}"
TOP = Path("/sys/fs/cgroup")


@pytest.fixture
def v2() -> Iterator[CgroupV2]:
    need(pure_cgroup2(), "pure cgroup v2")
    made = CgroupV2(f"{PARENT}/{new_id()}")
    yield made
    made.kill(signal.SIGKILL)
    made.remove()
    CgroupV2(PARENT).remove()


@pytest.fixture
def v1() -> Iterator[CgroupV1]:
    need(not pure_cgroup2(), "cgroup v1")
    made = CgroupV1(f"{PARENT}/{new_id()}")
    yield made
    made.remove()
    CgroupV1(PARENT).remove()


@pytest.mark.cgroup2
def test_a_process_is_born_in_the_cgroup(v2: CgroupV2) -> None:
    v2.create({})
    reading, writing = os.pipe()
    if not (pid := process.fork(cgroup_fd=v2.directory_fd)):
        os.write(writing, Path("/proc/self/cgroup").read_bytes())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        assert file.read() == f"0::{v2.path}\n"
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.cgroup2
def test_every_controller_reaches_the_cgroup(v2: CgroupV2) -> None:
    v2.create({})
    available = (TOP / "cgroup.controllers").read_text().split()
    assert (TOP / v2.path[1:] / "cgroup.controllers").read_text().split() == available
    (TOP / PARENT[1:] / "cgroup.subtree_control").write_text("-memory")
    again = CgroupV2(f"{PARENT}/again")
    assert again.create({"memory": {"limit": 64 << 20}}) == [], "taken away by somebody, enabled again"
    assert again.stats()["memory"]["limit"] == 64 << 20
    again.remove()


@pytest.mark.cgroup2
def test_conversions_are_what_the_kernel_keeps(v2: CgroupV2) -> None:
    v2.create(
        {
            "cpu": {"shares": 512, "quota": 30_000, "period": 60_000},
            "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
            "pids": {"limit": 12},
            "unified": {"memory.high": str(48 << 20), "cpu.weight": "77"},
        }
    )
    directory = TOP / v2.path[1:]
    kept = {
        "cpu.weight": "77",
        "cpu.max": "30000 60000",
        "memory.max": str(64 << 20),
        "memory.low": str(32 << 20),
        "memory.high": str(48 << 20),
        "pids.max": "12",
    }
    assert {name: (directory / name).read_text().strip() for name in kept} == kept
    v2.update({"cpu": {"shares": 512}})
    assert (directory / "cpu.weight").read_text() == "59\n"


@pytest.mark.cgroup2
def test_a_limit_below_usage_can_be_refused(v2: CgroupV2) -> None:
    v2.create({})
    if not (pid := process.fork(cgroup_fd=v2.directory_fd)):
        held = bytearray(16 << 20)
        held[::4096] = bytes(len(held) // 4096)
        held[::4096] = b"x" * (len(held) // 4096)
        signal.pause()
    deadline = time.monotonic() + 30
    while v2.stats()["memory"]["usage"] < 16 << 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(OSError, match="rejecting memory limit 1048576 because current usage is"):
        v2.update({"memory": {"limit": 1 << 20, "checkBeforeUpdate": True}})
    assert v2.oom_count() == 0
    v2.kill(signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.cgroup2
def test_one_device_program_at_a_time(v2: CgroupV2) -> None:
    v2.create({"devices": [{"allow": False}]})
    first = bpf.attached(v2.directory_fd)
    v2.update({"devices": [{"allow": False}, {"allow": True, "type": "c", "major": 1, "minor": 3}]})
    second = bpf.attached(v2.directory_fd)
    assert len(first) == len(second) == 1
    assert first != second
    v2.update({"devices": [{"allow": True}]})
    assert bpf.attached(v2.directory_fd) == []


@pytest.mark.cgroup2
def test_inner_cgroups_take_no_process(v2: CgroupV2) -> None:
    """Why `of_process` exists: a container that made cgroups of its own is joined where its init is."""
    v2.create({})
    inner = CgroupV2(f"{v2.path}/inner")
    inner.create({})
    if not (pid := process.fork(cgroup_fd=inner.directory_fd)):
        signal.pause()
    with pytest.raises(OSError, match="busy"):
        process.fork(cgroup_fd=v2.directory_fd)
    assert cgroups.of_process(pid) == inner.path
    assert v2.processes() == [pid]
    inner.close()
    v2.kill(signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_host_without_cgroups_is_told_so() -> None:
    with pytest.raises(Unsupported, match="no cgroup hierarchy is mounted"):
        CgroupV1("/proa/x", {"net_cls": "/mnt"})


def test_v1_has_no_directory_for_clone3(v1: CgroupV1) -> None:
    assert v1.directory_fd is None


def test_v1_parents_hand_their_cpus_down(v1: CgroupV1) -> None:
    v1.create({})
    top = Path(hierarchies()["cpuset"])
    directory = top / v1.path[1:]
    for file in ("cpuset.cpus", "cpuset.mems"):
        assert (directory / file).read_text() == (top / file).read_text()
    assert (directory.parent / "cgroup.clone_children").read_text() == "1\n"
    (directory.parent / "cgroup.clone_children").write_text("0")
    other = CgroupV1(f"{PARENT}/other")
    other.create({})
    assert (top / other.path[1:] / "cpuset.mems").read_text() == (top / "cpuset.mems").read_text()
    other.remove()


def test_v1_directories(v1: CgroupV1) -> None:
    v1.create({})
    shown = cgroups.directories(v1.path)
    assert set(shown.values()) == {mount_point + v1.path for mount_point in hierarchies().values()}
    assert all(Path(place).is_dir() and place.split("/")[-3] == name for name, place in shown.items())


def test_v1_swap_bounds_both_ways(v1: CgroupV1) -> None:
    need(cgroups.features()["swap"], "swap accounting")
    v1.create({"memory": {"limit": 64 << 20, "swap": 64 << 20}})
    assert v1.stats()["memory"]["swap_limit"] == 0
    v1.update({"memory": {"limit": 256 << 20, "swap": -1}})
    stats = v1.stats()["memory"]
    assert (stats["limit"], stats["swap_limit"]) == (256 << 20, None)
