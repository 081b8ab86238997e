"""docker-py: containers, from what `create` is told to what `inspect` tells."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.types import Healthcheck, LogConfig, Ulimit
from docker.utils.proxy import ProxyConfig

from rig.engine import eventually

BUSYBOX = "busybox"
FOREVER = "sleep 1000"


def test_run(sdk: docker.DockerClient) -> None:
    assert sdk.containers.run(BUSYBOX, "echo hello", remove=True) == b"hello\n"
    with pytest.raises(ContainerError) as failed:
        sdk.containers.run(BUSYBOX, ["sh", "-c", "echo bad >&2; exit 4"], remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (4, b"bad\n")
    with pytest.raises(ImageNotFound):
        sdk.containers.create("nosuch:1")
    assert sdk.containers.list(all=True) == []


def test_life(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, FOREVER, detach=True, name="life", labels={"a": "b"})
    assert container.status == "created" or container.status == "running"
    container.reload()
    assert (container.status, container.labels, container.name) == ("running", {"a": "b"}, "life")
    assert container.attrs["NetworkSettings"]["IPAddress"]
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.rename("other")
    assert sdk.containers.get("other").id == container.id
    assert container.top()["Titles"][0] == "UID"
    assert FOREVER in container.top(ps_args="-eo pid,args")["Processes"][0][1]
    container.restart(timeout=0)
    container.stop(timeout=0)
    assert container.wait() == {"StatusCode": 137}
    container.start()
    container.kill()
    eventually(lambda: container.reload() or container.status == "exited")
    container.remove(v=True)
    with pytest.raises(NotFound):
        sdk.containers.get("other")


# What is said to docker-py -> where `inspect` shows it. Each is created, none is started.
SAID: dict[str, tuple[dict[str, Any], str, Any]] = {
    "hostname": ({"hostname": "h", "domainname": "d"}, "Config.Domainname", "d"),
    "user-number": ({"user": 1000}, "Config.User", "1000"),
    "group-numbers": ({"group_add": [1000, 1001]}, "HostConfig.GroupAdd", ["1000", "1001"]),
    "group-words": ({"group_add": ["1000", "www-data"]}, "HostConfig.GroupAdd", ["1000", "www-data"]),
    "entrypoint": ({"entrypoint": "cat", "command": "-v"}, "Config.Entrypoint", ["cat"]),
    "working-dir": ({"working_dir": "/tmp"}, "Config.WorkingDir", "/tmp"),
    "tty": ({"tty": True, "stdin_open": True}, "Config.OpenStdin", True),
    "labels-as-a-list": ({"labels": ["a", "b"]}, "Config.Labels", {"a": "", "b": ""}),
    "stop-signal": ({"stop_signal": "SIGINT"}, "Config.StopSignal", "SIGINT"),
    "environment": (
        {"environment": {"Foo": None, "Other": "one", "Blank": ""}},
        "Config.Env",
        ["Foo", "Other=one", "Blank=", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    ),
    "memory-text": ({"mem_limit": "64m", "memswap_limit": "1g"}, "HostConfig.MemorySwap", 1 << 30),
    "memory-number": ({"mem_limit": 64 << 20, "mem_reservation": "8m"}, "HostConfig.Memory", 64 << 20),
    "cpu": ({"cpu_shares": 512, "cpuset_cpus": "0"}, "HostConfig.CpuShares", 512),
    "cpuset": ({"cpuset_cpus": "0"}, "HostConfig.CpusetCpus", "0"),
    "cpu-quota": ({"cpu_period": 100_000, "cpu_quota": 50_000}, "HostConfig.CpuQuota", 50_000),
    "cpus": ({"nano_cpus": 500_000_000}, "HostConfig.NanoCpus", 500_000_000),
    "pids": ({"pids_limit": 50}, "HostConfig.PidsLimit", 50),
    "restart": (
        {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 5}},
        "HostConfig.RestartPolicy",
        {"Name": "on-failure", "MaximumRetryCount": 5},
    ),
    "auto-remove": ({"auto_remove": True}, "HostConfig.AutoRemove", True),
    "init": ({"init": True}, "HostConfig.Init", True),
    "tmpfs-list": ({"tmpfs": {"/run": "size=1m"}}, "HostConfig.Tmpfs", {"/run": "size=1m"}),
    "shared-memory": ({"shm_size": "1m"}, "HostConfig.ShmSize", 1 << 20),
    "isolation": ({"isolation": "default"}, "HostConfig.Isolation", "default"),
    "capabilities": ({"cap_add": ["NET_ADMIN"], "cap_drop": ["ALL"]}, "HostConfig.CapDrop", ["ALL"]),
    "security": ({"security_opt": ["no-new-privileges"]}, "HostConfig.SecurityOpt", ["no-new-privileges"]),
    "read-only": ({"read_only": True}, "HostConfig.ReadonlyRootfs", True),
    "privileged": ({"privileged": True}, "HostConfig.Privileged", True),
    "device-rules": (
        {"device_cgroup_rules": ["c 1:5 r"]}, "HostConfig.DeviceCgroupRules", ["c 1:5 r"],
    ),
    "devices": (
        {"devices": ["/dev/null:/dev/nothing:rw"]},
        "HostConfig.Devices",
        [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rw"}],
    ),
    "ulimits": (
        {"ulimits": [Ulimit(name="nofile", soft=100, hard=200)]},
        "HostConfig.Ulimits",
        [{"Name": "nofile", "Soft": 100, "Hard": 200}],
    ),
    "sysctls": ({"sysctls": {"net.core.somaxconn": 10}}, "HostConfig.Sysctls", {"net.core.somaxconn": "10"}),
    "names": ({"dns": ["10.0.0.1"], "dns_search": ["a.b"]}, "HostConfig.Dns", ["10.0.0.1"]),
    "hosts": ({"extra_hosts": {"a": "10.0.0.1"}}, "HostConfig.ExtraHosts", ["a:10.0.0.1"]),
    "pid": ({"pid_mode": "host"}, "HostConfig.PidMode", "host"),
    "uts": ({"uts_mode": "host"}, "HostConfig.UTSMode", "host"),
    "ipc": ({"ipc_mode": "shareable"}, "HostConfig.IpcMode", "shareable"),
    "cgroupns": ({"cgroupns": "private"}, "HostConfig.CgroupnsMode", "private"),
    "network": ({"network_mode": "none"}, "HostConfig.NetworkMode", "none"),
    "mac-address": ({"mac_address": "02:42:ac:11:00:77"}, "Config.MacAddress", "02:42:ac:11:00:77"),
    "log": (
        {"log_config": LogConfig(type="json-file", config={"max-size": "1m"})},
        "HostConfig.LogConfig",
        {"Type": "json-file", "Config": {"max-size": "1m"}},
    ),
    "no-log": ({"log_config": LogConfig(type="none")}, "HostConfig.LogConfig.Type", "none"),
    "volume-driver": ({"volume_driver": "local", "volumes": ["va:/a"]}, "HostConfig.VolumeDriver", "local"),
    "healthcheck": (
        {"healthcheck": Healthcheck(test="true", interval=10**9)},
        "Config.Healthcheck.Test",
        ["CMD-SHELL", "true"],
    ),
    "oom": ({"oom_score_adj": 100}, "HostConfig.OomScoreAdj", 100),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_inspect_shows_what_create_was_told(sdk: docker.DockerClient, case: str) -> None:
    said, path, expected = SAID[case]
    value = sdk.containers.create(BUSYBOX, **({"command": FOREVER} | said)).attrs
    for step in path.split("."):
        value = value[step]
    assert value == expected


def test_stop_timeout(sdk: docker.DockerClient) -> None:
    """Only the lower half of docker-py knows it."""
    made = sdk.api.create_container(BUSYBOX, FOREVER, stop_timeout=0)
    assert sdk.api.inspect_container(made)["Config"]["StopTimeout"] == 0
    sdk.api.start(made)
    begun = time.monotonic()
    sdk.api.stop(made)
    assert time.monotonic() - begun < 5


def test_no_variable_and_an_empty_one(sdk: docker.DockerClient) -> None:
    environment = {"PATH": None, "EMPTY": "", "A": "b=c"}
    said = sdk.containers.run(BUSYBOX, ["/bin/env"], environment=environment, hostname="h", remove=True)
    assert sorted(said.split()) == [b"A=b=c", b"EMPTY=", b"HOME=/root", b"HOSTNAME=h"]


def test_proxies_of_the_client_s_configuration(sdk: docker.DockerClient) -> None:
    sdk.api._proxy_configs = ProxyConfig(ftp="a", https="b", http="c", no_proxy="d")
    said = sdk.containers.run(BUSYBOX, "env", remove=True, use_config_proxy=True).split()
    assert {b"ftp_proxy=a", b"HTTPS_PROXY=b", b"http_proxy=c", b"NO_PROXY=d"} <= set(said)


def test_the_letter_of_commands(sdk: docker.DockerClient) -> None:
    """docker-py splits a command as a shell would."""
    for command, expected in {
        'echo "a  b"': b"a  b\n",
        "echo '$HOME'": b"$HOME\n",
        'sh -c "echo a b; exit 0"': b"a b\n",
        'echo \\"quoted\\"': b'"quoted"\n',
        'echo "\u2705"': "\u2705\n".encode(),
    }.items():
        assert sdk.containers.run(BUSYBOX, command, remove=True) == expected, command


def test_lists(sdk: docker.DockerClient) -> None:
    running = sdk.containers.run(BUSYBOX, FOREVER, detach=True, labels={"kind": "x"}, name="running")
    ended = sdk.containers.create(BUSYBOX, "true", name="ended")
    assert [one.id for one in sdk.containers.list()] == [running.id]
    assert [one.id for one in sdk.containers.list(all=True)] == [ended.id, running.id]
    assert [one.id for one in sdk.containers.list(limit=1)] == [ended.id]
    for filters, expected in (
        ({"label": "kind=x"}, [running.id]),
        ({"label": ["kind=y"]}, []),
        ({"status": "created"}, [ended.id]),
        ({"name": "^/end"}, [ended.id]),
        ({"since": "running"}, [ended.id]),
        ({"before": "ended"}, [running.id]),
        ({"ancestor": BUSYBOX, "id": running.id[:10]}, [running.id]),
    ):
        assert [one.id for one in sdk.containers.list(all=True, filters=filters)] == expected, filters
    sparse = sdk.containers.list(sparse=True)[0]
    assert sparse.status.startswith(("Up", "running")) and sparse.attrs["Image"] == BUSYBOX
    (row,) = sdk.api.containers(quiet=False, size=True)
    assert row["Command"] == FOREVER and row["SizeRootFs"] > 0
    assert sdk.api.containers(trunc=True)[0]["Id"] == running.id[:12], "the client's own doing"


def test_wait(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, ["sh", "-c", "sleep 0.2; exit 3"])
    container.start()
    assert container.wait(timeout=20) == {"StatusCode": 3}
    assert container.wait(condition="not-running") == {"StatusCode": 3}
    lasting = sdk.containers.run(BUSYBOX, FOREVER, detach=True)
    with pytest.raises(Exception, match="Read timed out"):
        lasting.wait(timeout=0.2)
    with pytest.raises(APIError, match="invalid condition"):
        lasting.wait(condition="nosuch")


@pytest.mark.parametrize(("signal", "code"), [(None, 137), (9, 137), ("SIGTERM", 0), ("term", 0), (15, 0)])
def test_kill(sdk: docker.DockerClient, signal: str | int | None, code: int) -> None:
    script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    container = sdk.containers.run(BUSYBOX, ["sh", "-c", script], detach=True)
    eventually(lambda: container.logs() == b"ready\n")
    container.kill(signal)
    assert container.wait(timeout=20) == {"StatusCode": code}
    with pytest.raises(APIError, match="is not running") as failed:
        container.kill()
    assert failed.value.status_code == 409


def test_start_and_stop_once_more_are_no_errors(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, FOREVER, detach=True)
    container.start()
    container.stop(timeout=0)
    container.stop(timeout=0)
    sdk.api.stop(container.id, timeout=None)


def test_removal(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, FOREVER, detach=True, name="removed")
    with pytest.raises(APIError, match="stop the container before removing or force remove") as failed:
        container.remove()
    assert failed.value.status_code == 409
    container.remove(force=True)
    with pytest.raises(NotFound, match="No such container: removed"):
        sdk.api.remove_container("removed")


def test_auto_removal(sdk: docker.DockerClient) -> None:
    assert sdk.containers.run(BUSYBOX, "sh -c 'sleep 0.3; echo late'", auto_remove=True) == b"late\n"
    with pytest.raises(ContainerError, match="returned non-zero exit status 3"):
        sdk.containers.run(BUSYBOX, "sh -c 'sleep 0.3; exit 3'", auto_remove=True)
    eventually(lambda: sdk.containers.list(all=True) == [])


def test_prune(sdk: docker.DockerClient) -> None:
    kept = sdk.containers.run(BUSYBOX, FOREVER, detach=True)
    gone = sdk.containers.create(BUSYBOX, "true", labels={"gone": "1"})
    assert sdk.containers.prune({"label": ["other"]})["ContainersDeleted"] is None
    pruned = sdk.containers.prune({"label": ["gone"]})
    assert pruned["ContainersDeleted"] == [gone.id] and pruned["SpaceReclaimed"] >= 0
    assert [one.id for one in sdk.containers.list(all=True)] == [kept.id]


def test_update(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, FOREVER, detach=True, mem_limit="64m", cpu_shares=2)
    assert container.update(cpu_shares=3, mem_limit="32m", memswap_limit="64m") == {"Warnings": None}
    assert container.update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})["Warnings"] is None
    container.reload()
    seen = container.attrs["HostConfig"]
    assert (seen["CpuShares"], seen["Memory"], seen["MemorySwap"]) == (3, 32 << 20, 64 << 20)
    assert seen["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    with pytest.raises(APIError, match=r"(?i)minimum memory limit allowed"):
        container.update(mem_limit="1k")


def test_restarts(sdk: docker.DockerClient) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    container = sdk.containers.run(BUSYBOX, "false", detach=True, restart_policy=policy)

    def given_up() -> bool:
        container.reload()
        return bool(container.status == "exited" and container.attrs["RestartCount"] == 2)

    eventually(given_up)
    assert container.attrs["State"]["ExitCode"] == 1


def test_stats(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, FOREVER, detach=True)
    once = sdk.api.stats(container.id, stream=False, one_shot=True)
    assert once["memory_stats"]["usage"] > 0 and once["pids_stats"]["current"] == 1
    stream = container.stats(decode=True)
    first, second = next(stream), next(stream)
    assert second["precpu_stats"]["cpu_usage"] == first["cpu_stats"]["cpu_usage"]
    stream.close()
    with pytest.raises(docker.errors.InvalidArgument):
        sdk.api.stats(container.id, stream=True, one_shot=True)


HEALTH: dict[str, tuple[dict[str, Any], str]] = {
    "passes": ({"test": "true"}, "healthy"),
    "fails": ({"test": ["CMD", "false"], "retries": 1}, "unhealthy"),
}


@pytest.mark.parametrize("case", HEALTH)
def test_health(sdk: docker.DockerClient, case: str) -> None:
    said, expected = HEALTH[case]
    healthcheck = Healthcheck(interval=300_000_000, timeout=10**9, **said)
    container = sdk.containers.run(BUSYBOX, FOREVER, detach=True, healthcheck=healthcheck)
    assert container.health == "unknown", "docker-py has not asked since it was created"
    eventually(lambda: container.reload() or container.health == expected)
    assert container.attrs["State"]["Health"]["Log"][-1]["ExitCode"] == (0 if expected == "healthy" else 1)


def test_diff_and_commit(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(BUSYBOX, "touch /new", detach=True)
    container.wait()
    assert container.diff() == [{"Path": "/new", "Kind": 1}]
    image = container.commit("mine", "2", changes=["ENV A=1", "LABEL l=m"], message="why", author="who")
    assert image.attrs["Config"]["Labels"] == {"l": "m"} and "A=1" in image.attrs["Config"]["Env"]
    assert (image.attrs["Comment"], image.attrs["Author"]) == ("why", "who")
    assert image.attrs["Parent"] == container.image.id
    assert sdk.containers.run(image, "ls /new", remove=True) == b"/new\n"
    container.remove()
    sdk.images.remove("mine:2")


def test_namespaces_of_others(sdk: docker.DockerClient) -> None:
    first = sdk.containers.run(BUSYBOX, FOREVER, detach=True, ipc_mode="shareable")
    joined = {"network_mode": f"container:{first.id}", "pid_mode": f"container:{first.name}"}
    look = ["sh", "-c", "for name in net pid ipc; do readlink /proc/self/ns/$name; done"]
    theirs = sdk.containers.run(BUSYBOX, look, remove=True, ipc_mode=f"container:{first.id}", **joined)
    assert theirs == first.exec_run(look).output
    own = sdk.containers.run(BUSYBOX, look, remove=True)
    assert not set(own.split()) & set(theirs.split())


def test_no_shared_memory_without_ipc(sdk: docker.DockerClient) -> None:
    command = "grep -c /dev/shm /proc/mounts || true"
    assert sdk.containers.run(BUSYBOX, ["sh", "-c", command], ipc_mode="none", remove=True) == b"0\n"


# What is wrong -> status and words.
WRONG: dict[str, tuple[Callable[[docker.DockerClient], Any], int, str]] = {
    "log-driver": (
        lambda sdk: sdk.containers.create(BUSYBOX, log_config=LogConfig(type="nosuch")),
        400, 'error looking up logging plugin nosuch: plugin "nosuch" not found',
    ),
    "name": (lambda sdk: sdk.containers.create(BUSYBOX, name="no good"), 400, "Invalid container name"),
    "start": (lambda sdk: sdk.api.start("nosuch"), 404, "No such container: nosuch"),
    "network": (
        lambda sdk: sdk.containers.run(BUSYBOX, "true", network="nosuch"), 404, "network nosuch not found",
    ),
    "program": (
        lambda sdk: sdk.containers.run(BUSYBOX, "nosuch"), 400, 'exec: "nosuch": executable file not found in',
    ),
    "runtime": (lambda sdk: sdk.containers.create(BUSYBOX, runtime="nosuch"), 400, "nosuch"),
    "memory": (lambda sdk: sdk.containers.create(BUSYBOX, mem_limit="1k"), 400, "(?i)minimum memory limit"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_errors(sdk: docker.DockerClient, case: str) -> None:
    do, status, match = WRONG[case]
    with pytest.raises(APIError) as failed:
        do(sdk)
    assert failed.value.status_code == status
    assert re.search(match, failed.value.explanation), failed.value.explanation


def test_a_name_that_is_taken(sdk: docker.DockerClient) -> None:
    sdk.containers.create(BUSYBOX, name="twice")
    with pytest.raises(APIError) as conflict:
        sdk.containers.create(BUSYBOX, name="twice")
    assert conflict.value.status_code == 409 and "is already in use" in conflict.value.explanation
