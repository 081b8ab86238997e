"""What every cgroup version promises (`cgroups/interface.py`), on the version that this host has."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proa import cgroups
from proa.cgroups.interface import Cgroup
from proa.cgroups.resources import FEATURES
from proa.errors import InvalidArgument
from proa.ids import new_id

pytestmark = pytest.mark.usefixtures("root")

PARENT = f"/proa-test-{os.getpid()}"
NULL_ONLY = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"},
]
EVERYTHING = [{"allow": True, "access": "rwm"}]


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    made = cgroups.open(f"{PARENT}/{new_id()}")
    yield made
    made.kill(signal.SIGKILL)
    made.remove()
    assert not made.exists()
    cgroups.open(PARENT).remove()


def inside(cgroup: Cgroup, action: Callable[[], Any]) -> str:
    """Run `action` in a child in the cgroup; return the repr of its result, or its error."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        try:
            cgroup.enter()
            answer = repr(action())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return answer


@pytest.fixture
def member(cgroup: Cgroup) -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """Start programs in the cgroup; they are killed and reaped at the end."""
    started = []

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, preexec_fn=cgroup.enter)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited: {what}"
        time.sleep(0.01)


def test_create_enter_and_remove(cgroup: Cgroup) -> None:
    assert not cgroup.exists()
    assert cgroup.create({}) == []
    assert cgroup.exists()
    answer = inside(cgroup, lambda: (cgroups.of_process(os.getpid()), cgroup.processes() == [os.getpid()]))
    assert answer == repr((cgroup.path, True))
    cgroup.remove()
    assert not cgroup.exists()
    assert cgroup.processes() == []
    assert cgroup.oom_count() == 0
    cgroup.remove()


def test_enter_joins_every_hierarchy(cgroup: Cgroup) -> None:
    cgroup.create({})
    own = inside(cgroup, lambda: Path("/proc/self/cgroup").read_text())
    lines = [line for line in eval(own).splitlines() if not line.startswith("0::") or cgroups.detect() == "v2"]
    assert lines
    assert [line for line in lines if not line.endswith(f":{cgroup.path}")] == []


def test_existing_directory_is_an_error_unless_reused(cgroup: Cgroup) -> None:
    cgroup.create({})
    with pytest.raises(FileExistsError):
        cgroups.open(cgroup.path).create({})
    assert cgroup.exists(), "a failed create must not remove what it did not make"
    assert cgroups.open(cgroup.path).create({"pids": {"limit": 7}}, reuse=True) == []
    assert cgroup.stats()["pids"]["limit"] == 7


def test_failed_create_leaves_nothing(cgroup: Cgroup) -> None:
    with pytest.raises(InvalidArgument, match="valid range is 0-100"):
        cgroup.create({"memory": {"swappiness": 101}})
    assert not cgroup.exists()


def test_refused_limit_names_file_and_value(cgroup: Cgroup) -> None:
    with pytest.raises(Exception, match=r"cpuset\.cpus of cgroup .* to '4000'"):
        cgroup.create({"cpu": {"cpus": "4000"}})
    assert not cgroup.exists()


@pytest.mark.parametrize("path", ["", "/", "a", "a/b", "/a/../b", "/a//b", "/./a", "/a/", "/a\0b"])
def test_paths_that_escape_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="invalid cgroup path"):
        cgroups.open(path)


def test_limits_are_set_and_updated_in_any_direction(cgroup: Cgroup) -> None:
    mib = 1 << 20
    for memory, swap in ((64, 128), (256, 512), (32, 48), (400, 400), (16, 16)):
        resources = {"memory": {"limit": memory * mib, "swap": swap * mib}}
        cgroup.update(resources) if cgroup.exists() else cgroup.create(resources)
        stats = cgroup.stats()["memory"]
        assert stats["limit"] == memory * mib
        assert stats["swap_limit"] in (None, (swap - memory) * mib)  # None: no swap accounting
    for quota, period in ((50_000, 100_000), (500_000, 1_000_000), (1_000, 1_000), (-1, 100_000)):
        assert cgroup.update({"cpu": {"quota": quota, "period": period}}) == []
    assert cgroup.update({"memory": {"limit": -1}, "pids": {"limit": -1}}) == []
    assert cgroup.stats()["memory"]["limit"] is None
    assert cgroup.stats()["pids"]["limit"] is None


def test_pids_limit_stops_forks(cgroup: Cgroup) -> None:
    cgroup.create({"pids": {"limit": 1}})
    assert inside(cgroup, os.fork).startswith("BlockingIOError")


def test_cpu_quota_throttles(cgroup: Cgroup) -> None:
    cgroup.create({"cpu": {"quota": 2_000, "period": 20_000}})

    def spin() -> None:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass

    inside(cgroup, spin)
    cpu = cgroup.stats()["cpu"]
    assert cpu["throttled_periods"] > 0 < cpu["throttled_time"]
    assert cpu["periods"] >= cpu["throttled_periods"]
    assert 0 < cpu["usage"] < 200_000_000
    assert cpu["user"] + cpu["system"] > 0


def test_cpuset_pins(cgroup: Cgroup) -> None:
    last = max(os.sched_getaffinity(0))
    cgroup.create({"cpu": {"cpus": str(last)}})
    assert inside(cgroup, lambda: os.sched_getaffinity(0)) == repr({last})


def test_cpuset_is_inherited_without_a_limit(cgroup: Cgroup) -> None:
    cgroup.create({})
    assert inside(cgroup, lambda: os.cpu_count() is not None) == "True"
    assert inside(cgroup, lambda: len(os.sched_getaffinity(0)) > 0) == "True"


OPENERS: list[tuple[str, int, bool]] = [
    ("/dev/null", os.O_RDWR, True),
    ("/dev/zero", os.O_RDONLY, True),
    ("/dev/zero", os.O_RDWR, False),
    ("/dev/full", os.O_RDONLY, False),
    ("/dev/urandom", os.O_RDONLY, False),
]


@pytest.mark.parametrize(("path", "flags", "allowed"), OPENERS)
def test_device_rules_decide(cgroup: Cgroup, path: str, flags: int, allowed: bool) -> None:
    cgroup.create({"devices": NULL_ONLY})
    answer = inside(cgroup, lambda: os.open(path, flags) > 0)
    assert answer == "True" if allowed else answer.startswith("PermissionError")


def test_device_rules_with_wildcards_and_mknod(cgroup: Cgroup, tmp_path: Path) -> None:
    cgroup.create({"devices": [{"allow": False}, {"allow": True, "type": "c", "access": "m"}, NULL_ONLY[1]]})

    def make(kind: int) -> str:
        return inside(cgroup, lambda: os.mknod(tmp_path / str(kind), kind | 0o600, os.makedev(1, 7)))

    assert make(stat.S_IFCHR) == "None"
    assert make(stat.S_IFBLK).startswith("PermissionError")
    assert inside(cgroup, lambda: os.open(tmp_path / str(stat.S_IFCHR), os.O_RDONLY)).startswith("PermissionError")


def test_device_rules_are_replaced_by_update(cgroup: Cgroup) -> None:
    cgroup.create({"devices": NULL_ONLY})
    opening = lambda: os.open("/dev/urandom", os.O_RDONLY) > 0  # noqa: E731
    assert inside(cgroup, opening).startswith("PermissionError")
    cgroup.update({"devices": EVERYTHING})
    assert inside(cgroup, opening) == "True"
    cgroup.update({"devices": [*EVERYTHING, {"allow": False, "type": "c", "major": 1, "minor": 9, "access": "r"}]})
    assert inside(cgroup, opening).startswith("PermissionError")
    assert inside(cgroup, lambda: os.open("/dev/urandom", os.O_WRONLY) > 0) == "True"
    cgroup.update({"devices": NULL_ONLY})
    assert inside(cgroup, lambda: os.open("/dev/full", os.O_RDONLY)).startswith("PermissionError")


def test_freeze_and_thaw(cgroup: Cgroup, member: Any) -> None:
    cgroup.create({})
    process = member([sys.executable, "-c", "while True: pass"])
    wait_for(lambda: cgroup.stats()["cpu"]["usage"] > 0, "the process to run")
    cgroup.freeze()
    assert cgroup.frozen()
    used = cgroup.stats()["cpu"]["usage"]
    time.sleep(0.1)
    assert cgroup.stats()["cpu"]["usage"] - used < 1_000_000
    cgroup.thaw()
    assert not cgroup.frozen()
    wait_for(lambda: cgroup.stats()["cpu"]["usage"] - used > 10_000_000, "the process to go on")
    assert process.poll() is None


@pytest.mark.parametrize("frozen", [False, True])
def test_kill_reaches_every_process(cgroup: Cgroup, member: Any, frozen: bool) -> None:
    cgroup.create({})
    member(["sh", "-c", "sleep 100 & (sleep 100 & sleep 100) & wait"])
    wait_for(lambda: len(cgroup.processes()) >= 4, "the processes")
    if frozen:
        cgroup.freeze()
    cgroup.kill(signal.SIGKILL)
    wait_for(lambda: not cgroup.processes(), "the processes to die")


def test_kill_with_a_mild_signal(cgroup: Cgroup, member: Any) -> None:
    cgroup.create({})
    process = member(["sleep", "100"])
    wait_for(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", "sleep to run")
    cgroup.kill(signal.SIGTERM)
    assert process.wait(timeout=10) == -signal.SIGTERM


def test_remove_takes_subcgroups_and_waits_for_the_dying(cgroup: Cgroup, member: Any) -> None:
    cgroup.create({})
    nested = cgroups.open(f"{cgroup.path}/a")
    nested.create({})
    nested = cgroups.open(f"{cgroup.path}/a/b")  # v2 allows processes in leaves only
    nested.create({})
    process = subprocess.Popen(["sleep", "100"], preexec_fn=nested.enter)
    assert cgroup.processes() == [process.pid]
    with pytest.raises(OSError, match="busy"):
        cgroup.remove()
    process.kill()
    process.wait()
    cgroup.remove()
    assert not cgroup.exists()


def eat(size: int) -> int:
    data = bytearray(size)
    for place in range(0, size, 4096):
        data[place] = 1
    return len(data)


def test_oom_is_counted_and_watched(cgroup: Cgroup) -> None:
    limit = 24 << 20
    cgroup.create({"memory": {"limit": limit, "swap": limit + (1 << 20)}})
    assert cgroup.oom_count() == 0
    watch = cgroup.watch_oom()
    assert watch is not None
    poll = select.poll()
    poll.register(watch.fileno(), select.POLLIN)
    try:
        assert inside(cgroup, lambda: eat(1 << 20)) == repr(1 << 20)
        assert poll.poll(0) == []
        assert inside(cgroup, lambda: eat(256 << 20)) == ""
        assert [fd for fd, _ in poll.poll(10_000)] == [watch.fileno()]
        wait_for(lambda: cgroup.oom_count() == 1, "the count")
        wait_for(lambda: watch.acknowledge() == 1 and not poll.poll(0), "the watch to calm down")
        assert inside(cgroup, lambda: eat(256 << 20)) == ""
        assert poll.poll(10_000) != []
    finally:
        watch.close()
    assert cgroup.stats()["memory"]["failures"] > 0


def test_stats_are_complete(cgroup: Cgroup, tmp_path: Path) -> None:
    cgroup.create({"memory": {"limit": 64 << 20}, "pids": {"limit": 9}})

    def work() -> int:
        fd = os.open(tmp_path / "data", os.O_RDWR | os.O_CREAT)
        os.write(fd, bytes(1 << 20))
        os.fsync(fd)
        return eat(8 << 20)

    assert inside(cgroup, work) == repr(8 << 20)
    stats = cgroup.stats()
    assert stats["cpu"]["usage"] > 0
    assert stats["memory"]["max_usage"] >= 8 << 20 or cgroups.detect() == "v2"
    assert stats["memory"]["usage"] < 64 << 20
    assert {"pgfault", "inactive_file", "active_anon"} <= set(stats["memory"]["stat"])
    assert stats["pids"] == {"current": 0, "limit": 9}
    assert set(stats["io"]) == {"service_bytes", "serviced"}
    for major, minor, operation, value in [*stats["io"]["service_bytes"], *stats["io"]["serviced"]]:
        assert major >= 0 <= minor and operation.isalpha() and value >= 0


def test_stats_of_a_cgroup_that_is_gone(cgroup: Cgroup) -> None:
    with pytest.raises(OSError, match="No such file"):
        cgroup.stats()


def test_an_unsupported_limit_is_a_warning_in_dockers_words(cgroup: Cgroup) -> None:
    warnings = cgroup.create({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}], "pids": {"limit": 5}})
    assert len(warnings) == 1
    assert warnings[0].startswith("Your kernel does not support huge page limits")
    assert cgroup.stats()["pids"]["limit"] == 5, "the other limits must be set all the same"


ASKED: list[dict[str, Any]] = [
    {},
    {"memory": {"limit": 64 << 20, "swap": 128 << 20, "reservation": 32 << 20}},
    {"memory": {"limit": 64 << 20, "disableOOMKiller": True, "swappiness": 10}},
    {"cpu": {"shares": 512, "quota": 10_000, "period": 20_000, "cpus": "0", "mems": "0"}},
    {"cpu": {"realtimePeriod": 1_000_000, "realtimeRuntime": 0, "idle": 0, "burst": 0}},
    {"pids": {"limit": 100}},
    {"blockIO": {"weight": 300}},
    {"hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}]},
    {"network": {"classID": 7}},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_what_cannot_be_set_is_known_beforehand(cgroup: Cgroup, asked: dict[str, Any]) -> None:
    foretold = cgroups.unsupported(asked)
    assert cgroup.create(asked) == foretold
    assert all(line.startswith("Your kernel does not support ") for line in foretold)


def test_features_cover_every_warning() -> None:
    assert set(cgroups.features()) == set(FEATURES)
    assert cgroups.features()["pids"]
    assert cgroups.features()["oom_kill_disable"] == (cgroups.detect() == "v1")
