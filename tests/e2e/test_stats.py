"""`stats`: figures that are true, once, streamed, for one and for many."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually

BUSYBOX = "busybox"
BUSY = "while :; do :; done"


def sample(api: Api, name: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/stats", stream=0, **query).json
    return found


@pytest.mark.cgroup2
def test_figures(client: Client, api: Api) -> None:
    work = "head -c 20000000 /dev/zero | tail -c 20000000 >/dev/null; " + BUSY
    name = client.detached("-m", "64m", "--pids-limit", "50", "--cpus", "0.5", BUSYBOX, "sh", "-c", work)
    eventually(lambda: sample(api, name, **{"one-shot": 1})["pids_stats"]["current"] == 1)  # the pipe is done
    found = sample(api, name)
    before, now = found["precpu_stats"], found["cpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now["system_cpu_usage"] - before["system_cpu_usage"]
    assert 0.1 < used / passed * now["online_cpus"] < 0.9, "half a processor"
    assert now["throttling_data"]["throttled_periods"] > 0
    memory = found["memory_stats"]
    assert memory["limit"] == 64 << 20
    assert 100_000 < memory["usage"] < 64 << 20
    assert {"inactive_file", "active_anon"} <= set(memory["stats"])
    assert found["pids_stats"] == {"current": 1, "limit": 50}
    assert set(found["networks"]) == {"eth0"}
    assert isinstance(found["blkio_stats"]["io_service_bytes_recursive"], list)
    assert found["preread"] < found["read"]
    client.ok("pause", name)
    assert sample(api, name)["pids_stats"]["current"] == 1


def test_network_traffic_is_counted(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    before = sample(api, name, **{"one-shot": 1})["networks"]["eth0"]["tx_packets"]
    gateway = api.get(f"/containers/{name}/json").json["NetworkSettings"]["Gateway"]
    client.ok("exec", name, "ping", "-c", "3", "-i", "0.1", gateway)
    assert sample(api, name, **{"one-shot": 1})["networks"]["eth0"]["tx_packets"] >= before + 3
    alone = client.detached("--network", "none", BUSYBOX, "sleep", "1000")
    assert "networks" not in sample(api, alone, **{"one-shot": 1})


def test_what_does_not_run_has_zeros(client: Client, api: Api) -> None:
    name = client.ok("create", BUSYBOX, "true").strip()
    found = sample(api, name)
    assert (found["read"], found["memory_stats"], found["pids_stats"]) == ("0001-01-01T00:00:00Z", {}, {})
    assert found["blkio_stats"]["io_service_bytes_recursive"] is None
    client.fails("stats", "--no-stream", "nosuch", code=1, match="No such container: nosuch")
    assert api.get(f"/containers/{name}/stats", **{"one-shot": 1}).status == 400


def test_a_stream_goes_on_until_the_container_is_removed(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "1000")
    with api.stream("GET", f"/containers/{name}/stats") as answer:
        first, second = (json.loads(answer.readline()) for _ in range(2))
        assert first["precpu_stats"]["cpu_usage"]["total_usage"] == 0
        assert second["preread"] == first["read"]
        client.ok("rm", "-f", name)
        rest = answer.read()
    assert rest.count(b"\n") <= 2


def test_command_line(client: Client) -> None:
    name = client.detached("--name", "lively", "-m", "64m", BUSYBOX, "sleep", "1000")
    client.ok("create", "--name", "asleep", BUSYBOX, "true")
    table = client.ok("stats", "--no-stream").splitlines()
    assert table[0].split("  ")[0] == "CONTAINER ID"
    assert [line.split()[:2] for line in table[1:]] == [[name[:12], "lively"]]
    assert "/ 64MiB" in table[1]
    everybody = client.ok("stats", "--no-stream", "-a", "--format", "{{.Name}} {{.PIDs}}").splitlines()
    assert sorted(everybody) == ["asleep 0", "lively 1"]
    one = json.loads(client.ok("stats", "--no-stream", "--format", "json", "lively"))
    assert sorted(one) == [
        "BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs",
    ]  # fmt: skip
    assert client.ok("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", "lively").strip() == name


def test_a_screen_follows_containers(engine: Engine) -> None:
    engine.proa.detached("--name", "first", BUSYBOX, "sleep", "1000")
    with engine.proa.start("stats", "--format", "{{.Name}} {{.PIDs}}") as running:
        assert running.stdout
        assert running.stdout.readline() == b"first 1\n"
        engine.proa.detached("--name", "second", BUSYBOX, "sleep", "1000")
        eventually(lambda: running.stdout and running.stdout.readline() == b"second 1\n")
        engine.proa.ok("rm", "-f", "second", "first")
