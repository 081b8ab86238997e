"""Limits take effect: asked of the kernel from within and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rig.api import Api
from rig.clients import Client
from rig.needs import pure_cgroup2

BUSYBOX = "busybox"
# option, file under v1, what it holds, file under v2, what it holds
LIMITS = {
    "memory": (("-m", "64m"), "memory/memory.limit_in_bytes", "67108864", "memory.max", "67108864"),
    "reservation": (
        ("--memory-reservation", "32m"),
        "memory/memory.soft_limit_in_bytes", "33554432", "memory.low", "33554432",
    ),
    "cpus": (("--cpus", "1.5"), "cpu/cpu.cfs_quota_us", "150000", "cpu.max", "150000 100000"),
    "quota": (
        ("--cpu-period", "50000", "--cpu-quota", "25000"),
        "cpu/cpu.cfs_period_us", "50000", "cpu.max", "25000 50000",
    ),
    "shares": (("--cpu-shares", "512"), "cpu/cpu.shares", "512", "cpu.weight", "59"),
    "cpuset": (("--cpuset-cpus", "0"), "cpuset/cpuset.cpus", "0", "cpuset.cpus", "0"),
    "pids": (("--pids-limit", "77"), "pids/pids.max", "77", "pids.max", "77"),
}  # fmt: skip


def control_group(api: Api, name: str, controller: str) -> Path:
    """The directory of a container's control group, seen from the host."""
    pid = api.get(f"/containers/{name}/json").json["State"]["Pid"]
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if pure_cgroup2() and not controllers:
            return Path("/sys/fs/cgroup" + path)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}")
    raise AssertionError(f"no {controller} in the control groups of {name}")


@pytest.mark.cgroup2
@pytest.mark.parametrize("limit", LIMITS)
def test_limit_is_set(client: Client, api: Api, limit: str) -> None:
    options, v1, old, v2, new = LIMITS[limit]
    name = client.detached(*options, BUSYBOX, "sleep", "100")
    controller, file = v1.split("/")
    group = control_group(api, name, controller)
    expected = new if pure_cgroup2() else old
    assert (group / (v2 if pure_cgroup2() else file)).read_text().strip() == expected


@pytest.mark.cgroup2
def test_out_of_memory(client: Client) -> None:
    script = "dd if=/dev/zero of=/dev/null bs=200M count=1"
    name = client.ok("create", "-m", "32m", "--memory-swap", "32m", BUSYBOX, "sh", "-c", script).strip()
    client("start", "-a", name)
    state = json.loads(client.inspect(name, "{{json .State}}"))
    assert state["ExitCode"] == 137 and state["OOMKilled"] is True


@pytest.mark.cgroup2
def test_pids_limit_stops_forks(client: Client) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait"
    result = client("run", "--rm", "--pids-limit", "5", BUSYBOX, "sh", "-c", script)
    assert "can't fork" in result.err


@pytest.mark.cgroup2
def test_cpuset_inside(client: Client) -> None:
    assert client.ok("run", "--rm", "--cpuset-cpus", "0", BUSYBOX, "nproc") == "1\n"


@pytest.mark.cgroup2
def test_groups_disappear(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "100")
    group = control_group(api, name, "pids")
    client.ok("rm", "-f", name)
    assert not group.exists()


@pytest.mark.parametrize(
    ("option", "file", "value"),
    [
        (("--ulimit", "nofile=123:456"), "Max open files", "123 456"),
        (("--ulimit", "core=0"), "Max core file size", "0 0"),
        (("--ulimit", "nproc=50"), "Max processes", "50 50"),
    ],
)
def test_ulimit(client: Client, option: tuple[str, ...], file: str, value: str) -> None:
    out = client.ok("run", "--rm", *option, BUSYBOX, "grep", file, "/proc/self/limits")
    assert " ".join(out.removeprefix(file).split()[:2]) == value


def test_sysctl(client: Client) -> None:
    options = ["--sysctl", "net.ipv4.ip_unprivileged_port_start=1234", "--sysctl", "kernel.msgmax=4321"]
    files = ["/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/msgmax"]
    assert client.ok("run", "--rm", *options, BUSYBOX, "cat", *files) == "1234\n4321\n"
    client.fails("run", "--rm", "--sysctl", "kernel.panic=1", BUSYBOX, "true", code=125, match="kernel.panic")


def test_oom_score_adj(client: Client) -> None:
    assert (
        client.ok("run", "--rm", "--oom-score-adj", "321", BUSYBOX, "cat", "/proc/self/oom_score_adj") == "321\n"
    )


def test_blkio_weight_is_kept_or_warned_about(client: Client) -> None:
    result = client("create", "--blkio-weight", "300", BUSYBOX)
    assert result.code == 0, result
    assert client.inspect(result.out.strip(), "{{.HostConfig.BlkioWeight}}") == "300" or "discarded" in result.err


@pytest.mark.parametrize("control", ["private", "host"])
def test_cgroup_namespace(client: Client, control: str) -> None:
    out = client.ok("run", "--rm", "--cgroupns", control, BUSYBOX, "cat", "/proc/self/cgroup")
    groups = [line.split(":", 2)[2] for line in out.splitlines() if ":pids:" in line or line.startswith("0::")]
    deep = [group for group in groups if len(group) > 60]
    assert bool(deep) is (control == "host"), out


@pytest.mark.parametrize(
    ("option", "namespace"),
    [(("--pid", "host"), "pid"), (("--ipc", "host"), "ipc"), (("--uts", "host"), "uts"),
     (("--network", "host"), "net"), (("--cgroupns", "host"), "cgroup")],
)  # fmt: skip
def test_the_hosts_namespaces_on_request(client: Client, option: tuple[str, ...], namespace: str) -> None:
    link = f"/proc/self/ns/{namespace}"
    host = Path(link).readlink().as_posix()
    privileged = ["--privileged"]  # else reading the links of a host's process is refused
    assert client.ok("run", "--rm", *privileged, *option, BUSYBOX, "readlink", link).strip() == host
    own = "private" if namespace == "cgroup" else None
    options = ["--cgroupns", own] if own else []
    assert client.ok("run", "--rm", *privileged, *options, BUSYBOX, "readlink", link).strip() != host


def test_another_containers_namespaces(client: Client) -> None:
    client.detached("--name", "first", "--ipc", "shareable", "--hostname", "first", BUSYBOX, "sleep", "100")
    options = ["--pid", "container:first", "--ipc", "container:first", "--network", "container:first"]
    links = "for n in pid ipc net; do readlink /proc/self/ns/$n; done; hostname"
    there = client.ok("exec", "first", "sh", "-c", links)
    assert client.ok("run", "--rm", *options, BUSYBOX, "sh", "-c", links) == there
    assert "sleep 100" in client.ok("run", "--rm", "--pid", "container:first", BUSYBOX, "ps")
