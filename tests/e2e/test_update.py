"""`update`: limits of containers that run and of others, and their restart policies."""

from __future__ import annotations

from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import eventually

BUSYBOX = "busybox"
# What a container sees of its memory limit, v1 and v2.
LIMIT = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
PIDS = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"


def host_config(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json").json["HostConfig"]
    return found


@pytest.mark.cgroup2
def test_a_running_container(client: Client, api: Api) -> None:
    name = client.detached("-m", "64m", BUSYBOX, "sleep", "1000")
    assert client.ok("update", "-m", "96m", name) == f"{name}\n"
    assert client.ok("exec", name, "sh", "-c", f"{LIMIT}; true") == f"{96 << 20}\n"
    client.ok("update", "-m", "400m", "--memory-swap", "800m", "--pids-limit", "33", "--cpu-shares", "77", name)
    assert client.ok("exec", name, "sh", "-c", f"{LIMIT}; {PIDS}; true") == f"{400 << 20}\n33\n"
    config = host_config(api, name)
    assert (config["Memory"], config["MemorySwap"], config["PidsLimit"]) == (400 << 20, 800 << 20, 33)
    assert config["CpuShares"] == 77
    client.ok("update", "--pids-limit", "-1", name)
    assert client.ok("exec", name, "sh", "-c", f"{PIDS}; true") == "max\n"


def test_limits_stay_for_the_next_start(client: Client) -> None:
    name = client.ok("create", BUSYBOX, "sh", "-c", f"{LIMIT}; true").strip()
    client.ok("update", "-m", "48m", name)
    assert client.ok("start", "-a", name) == f"{48 << 20}\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-m", "200m"), "Memory limit should be smaller than already set memoryswap limit"),
        (("-m", "1m"), "Minimum memory limit allowed is 6MB"),
        (("--cpu-quota", "5000"), "CPU Quota cannot be updated as NanoCPUs has already been set"),
        (("--cpuset-cpus", "999"), "Requested CPUs are not available"),
        (("--restart", "bogus"), "unknown policy 'bogus'"),
        ((), "you must provide one or more flags"),
    ],
)
def test_nonsense_changes_nothing(client: Client, api: Api, flags: tuple[str, ...], message: str) -> None:
    name = client.detached("-m", "64m", "--cpus", "0.5", BUSYBOX, "sleep", "1000")
    before = host_config(api, name)
    client.fails("update", *flags, name, code=1, match=message)
    assert host_config(api, name) == before


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("update", {"Memory": 1}, 400),
        ("update", {"RestartPolicy": {"Name": "bogus"}}, 400),
        ("update", {"CpusetCpus": "a"}, 400),
        ("update", {"Memory": "x"}, 400),
        ("update", {"MemorySwap": 100 << 20}, 404),  # may make sense with the memory that a container has
        ("update", {}, 404),
        ("kill?signal=NOPE", None, 400),
        ("kill?signal=99", None, 400),
        ("kill?signal=HUP", None, 404),
        ("stop?signal=NOPE", None, 404),
    ],
)
def test_nonsense_comes_before_a_missing_container(api: Api, path: str, body: Any, status: int) -> None:
    """The order is dockerd 28.5's."""
    answer = api.request("POST", f"/containers/nosuch/{path}", body)
    assert answer.status == status, answer
    assert ("No such container" in answer.json["message"]) == (status == 404), answer


def test_an_update_of_nothing(docker: Client, api: Api) -> None:
    name = docker.detached(BUSYBOX, "sleep", "1000")
    assert api.request("POST", f"/containers/{name}/update").json == {"Warnings": None}


def test_what_the_kernel_refuses_is_taken_back(client: Client, api: Api) -> None:
    """A limit below what is used; v2 would rather kill, so only v1 refuses: either way record and kernel agree."""
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=30 2>/dev/null; echo full; sleep 1000"
    name = client.detached("-m", "200m", "--memory-swap", "200m", BUSYBOX, "sh", "-c", fill)
    eventually(lambda: client.ok("logs", name) == "full\n")
    result = client("update", "-m", "8m", "--memory-swap", "8m", "--pids-limit", "20", name)
    if result.code:
        assert "Cannot update container" in result.err
        assert (host_config(api, name)["Memory"], host_config(api, name)["PidsLimit"]) == (200 << 20, None)
        assert client.ok("exec", name, "sh", "-c", f"{LIMIT}; {PIDS}; true") == f"{200 << 20}\nmax\n"
    else:
        assert host_config(api, name)["Memory"] == 8 << 20


def test_restart_policies(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "sleep 0.5; exit 3")
    client.ok("update", "--restart", "on-failure:1", name)
    eventually(lambda: api.get(f"/containers/{name}/json").json["RestartCount"] == 1)
    assert host_config(api, name)["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 1}
    gone = client.detached("--rm", BUSYBOX, "sleep", "1000")
    client.fails("update", "--restart", "always", gone, code=1, match="because AutoRemove is enabled")
    client.fails("update", "--restart", "no", "nosuch", code=1, match="No such container: nosuch")
