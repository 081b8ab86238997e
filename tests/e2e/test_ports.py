"""Published ports, as users name, see and reach them."""

from __future__ import annotations

import json
import os
import random
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.ports import SERVE, ask, fetch, free_ports, led, served
from rig.private_network import echo_datagrams, inside, nft, other_host, private_network

BUSYBOX = "busybox"


def ports(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/containers/{name}/json").json["NetworkSettings"]["Ports"]
    return found


def gateway(api: Api) -> str:
    return str(api.get("/networks/bridge").json["IPAM"]["Config"][0]["Gateway"])


@pytest.fixture
def machine() -> Iterator[tuple[int, str, str]]:
    """Another host: its namespace, and this host's addresses on the wire between them."""
    number = random.randrange(1, 1 << 14)
    v4, v6 = f"198.18.{number >> 8}.{number & 0xFC}", f"2001:db8:{number:x}"
    net = v4.rpartition(".")[0], int(v4.rpartition(".")[2])
    here, there = f"{net[0]}.{net[1] + 1}", f"{net[0]}.{net[1] + 2}"
    with other_host(
        f"wire{os.urandom(3).hex()}", [f"{here}/30", f"{v6}::1/64"], [f"{there}/30", f"{v6}::2/64"]
    ) as namespace:
        yield namespace, here, f"{v6}::1"


def test_everybody_reaches_a_port(client: Client, api: Api, machine: tuple[int, str, str]) -> None:
    namespace, here4, here6 = machine
    port = free_ports()
    name = client.detached("-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    assert ports(api, name) == {
        "80/tcp": [{"HostIp": address, "HostPort": str(port)} for address in ("0.0.0.0", "::")]
    }
    for host in ("127.0.0.1", "::1", gateway(api), here4, here6):
        served(host, port)
    for host in (here4, here6):
        assert inside(namespace, lambda: fetch(host, port)) == "served\n", host  # noqa: B023
    for one in (["exec", name], ["run", "--rm", BUSYBOX]):
        for host in (gateway(api), here4):
            assert client.ok(*one, "wget", "-qO-", f"http://{host}:{port}/file") == "served\n", (one, host)


def test_a_loopback_port_is_this_hosts_alone(client: Client, api: Api, machine: tuple[int, str, str]) -> None:
    namespace, here4, here6 = machine
    port = free_ports()
    name = client.detached("-p", f"127.0.0.1:{port}:80", "-p", f"[::1]:{port}:80", BUSYBOX, "sh", "-c", SERVE)
    assert [each["HostIp"] for each in ports(api, name)["80/tcp"]] == ["127.0.0.1", "::1"]
    served("127.0.0.1", port)
    served("::1", port)
    for host in (here4, here6):
        assert not inside(namespace, lambda: fetch(host, port, 0.5))  # noqa: B023
        assert not fetch(host, port, 0.5)


def test_datagrams(client: Client, api: Api, machine: tuple[int, str, str]) -> None:
    namespace, here4, here6 = machine
    port = free_ports()
    name = client.detached("-p", f"{port}:53/udp", BUSYBOX, "sleep", "100")
    pid = api.get(f"/containers/{name}/json").json["State"]["Pid"]
    with Path(f"/proc/{pid}/ns/net").open("rb") as own, echo_datagrams(own.fileno(), 53) as clients:
        for host in ("127.0.0.1", "::1", here4, here6):
            assert ask(host, port), host
        for host in (here4, here6):
            assert inside(namespace, lambda: ask(host, port)), host  # noqa: B023
        assert len(clients) == 6 and clients[4] not in (clients[0], here4)  # the other host's own address
    client.ok("kill", name)
    assert not ask("127.0.0.1", port)


def test_any_port(client: Client, api: Api) -> None:
    name = client.detached(
        "-P", "--expose", "80", "--expose", "53/udp", "-p", "127.0.0.1::81", BUSYBOX, "sh", "-c", SERVE
    )
    published = ports(api, name)
    assert set(published) == {"80/tcp", "53/udp", "81/tcp"}
    numbers = {key: {each["HostPort"] for each in value} for key, value in published.items()}
    assert all(len(each) == 1 for each in numbers.values())
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(low <= int(number) <= high for each in numbers.values() for number in each)
    served("127.0.0.1", *numbers["80/tcp"])
    # The next start has others: nobody is sent to a port that was somebody else's a moment ago.
    client.ok("restart", "-t", "0", name)
    assert ports(api, name)["80/tcp"][0]["HostPort"] not in numbers["80/tcp"]


def test_the_first_free_of_a_range(client: Client, api: Api) -> None:
    first = free_ports(4)
    with socket.create_server(("127.0.0.1", first)):
        got = [
            int(
                ports(api, client.detached("-p", f"{first}-{first + 3}:80", BUSYBOX, "sleep", "100"))["80/tcp"][0][
                    "HostPort"
                ]
            )
            for _ in range(3)
        ]
        assert got == [first + 1, first + 2, first + 3]
    client.detached("-p", f"{first}-{first + 3}:80", BUSYBOX, "sleep", "100")
    client.fails("run", "-d", "-p", f"{first}-{first + 3}:80", BUSYBOX, "true", match="all ports are allocated")


def test_a_port_of_a_program_is_found_before_the_start(client: Client, api: Api) -> None:
    port = free_ports()
    with socket.create_server(("::", port), family=socket.AF_INET6):
        client.fails(
            "run", "-d", "--name", "late", "-p", f"{port}:80", BUSYBOX, "true", code=125,
            match=r"failed to set up container networking: driver failed programming external connectivity on "
            rf"endpoint late \([0-9a-f]{{64}}\): failed to bind host port for \[::\]:{port}:[0-9.]+:80/tcp: "
            "address already in use",
        )  # fmt: skip
    found = api.get("/containers/late/json").json
    assert found["State"]["Status"] == "created" and found["State"]["ExitCode"] == 128
    assert found["NetworkSettings"]["Ports"] == {}
    client.ok("start", "late")  # the program has gone


def test_a_port_of_another_container(client: Client, api: Api) -> None:
    port = free_ports()
    first = client.detached("-p", f"127.0.0.1:{port}:80", BUSYBOX, "sleep", "100")
    client.fails(
        "run", "-d", "-p", f"{port}:80", BUSYBOX, "true", code=125,
        match=rf"Bind for 127.0.0.1:{port} failed: port is already allocated",
    )  # fmt: skip
    client.fails(
        "run", "-d", "-p", f"{port + 1}:80", "-p", f"{port + 1}:81", BUSYBOX, "true", code=125,
        match=rf"Bind for 0.0.0.0:{port + 1} failed: port is already allocated",
    )  # fmt: skip
    with closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
    client.ok("stop", "-t", "0", first)
    with socket.create_server(("127.0.0.1", port)):
        assert ports(api, first) == {}
    client.ok("start", first)
    assert ports(api, first)["80/tcp"][0]["HostPort"] == str(port)


def test_how_ports_are_shown(client: Client) -> None:
    port = free_ports(3)
    name = client.detached(
        "-p", f"{port}-{port + 1}:80-81", "-p", f"127.0.0.1:{port + 2}:53/udp", "--expose", "90-91", BUSYBOX,
        "sleep", "100",
    )  # fmt: skip
    assert client.ok("ps", "--no-trunc", "--format", "{{.Ports}}", "--filter", f"id={name}").strip() == (
        f"90-91/tcp, 127.0.0.1:{port + 2}->53/udp, 0.0.0.0:{port}->80/tcp, [::]:{port}->80/tcp, "
        f"0.0.0.0:{port + 1}->81/tcp, [::]:{port + 1}->81/tcp"
    )
    assert client.ok("ps", "-q", "--no-trunc", "--filter", f"publish={port + 2}/udp").split() == [name]
    assert client.ok("ps", "-q", "--no-trunc", "--filter", f"publish={port + 1}-{port + 2}").split() == [name]
    assert client.ok("ps", "-q", "--filter", f"publish={port + 2}", "--filter", "publish=80") == ""
    assert client.ok("port", name, "81").splitlines() == [f"0.0.0.0:{port + 1}", f"[::]:{port + 1}"]
    assert client.ok("port", name, "53/udp") == f"127.0.0.1:{port + 2}\n"
    assert client.ok("port", name).splitlines() == [
        f"53/udp -> 127.0.0.1:{port + 2}",
        f"80/tcp -> 0.0.0.0:{port}",
        f"80/tcp -> [::]:{port}",
        f"81/tcp -> 0.0.0.0:{port + 1}",
        f"81/tcp -> [::]:{port + 1}",
    ]
    client.fails("port", name, "53", match="No public port '53' published for")
    client.fails("port", name, "abc", match=re.escape("invalid port (abc)"))
    client.ok("kill", name)
    assert client.ok("port", name) == ""


def test_networks_without_ports(client: Client) -> None:
    done = client("run", "-d", "--network", "host", "-p", "80:80", BUSYBOX, "true")
    assert done.code == 0 and "Published ports are discarded when using host network mode" in done.err
    client.ok("run", "--network", "none", "-p", "80:80", BUSYBOX, "true")
    other = client.detached(BUSYBOX, "sleep", "100")
    for option in (["-p", "80:80"], ["-P"]):
        client.fails(
            "run", "--network", f"container:{other}", *option, BUSYBOX, "true", code=125,
            match="conflicting options: port publishing and the container type network mode",
        )  # fmt: skip


def test_docker_py(sdk: docker_sdk.DockerClient, api: Api) -> None:
    port = free_ports(4)
    container = sdk.containers.run(
        BUSYBOX, ["sh", "-c", SERVE], detach=True,
        ports={"80/tcp": port, "81/tcp": ("127.0.0.1", port + 1), "53/udp": [port + 2, port + 3], "82/tcp": None},
    )  # fmt: skip
    container.reload()
    assert container.ports["80/tcp"][0] == {"HostIp": "0.0.0.0", "HostPort": str(port)}
    assert container.ports["81/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port + 1)}]
    assert {each["HostPort"] for each in container.ports["53/udp"]} == {str(port + 2), str(port + 3)}
    assert sdk.api.port(container.id, 80)[0]["HostPort"] == str(port)
    assert container.ports["82/tcp"][0]["HostPort"].isdecimal()
    served("127.0.0.1", port)


def test_a_thousand_ports_are_no_processes(client: Client, api: Api) -> None:
    port = free_ports(1000)
    name = client.detached("-p", f"{port}-{port + 999}:2000-2999", BUSYBOX, "sleep", "100")
    published = ports(api, name)
    assert len(published) == 1000
    assert published["2999/tcp"][0]["HostPort"] == str(port + 999)
    client.ok("exec", "-d", name, "sh", "-c", SERVE.replace("-p 80", "-p 2999"))
    served("127.0.0.1", port + 999)
    served("::1", port + 999)
    client.ok("kill", name)
    socket.create_server(("127.0.0.1", port + 999)).close()


def test_ports_outlive_the_engine(fresh_engine: Engine) -> None:
    engine, docker = fresh_engine, fresh_engine.docker
    docker.ok("pull", "-q", BUSYBOX)
    port = free_ports(2)
    name = docker.detached("-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
    ends = docker.detached("-p", f"{port + 1}:80", BUSYBOX, "sh", "-c", SERVE)
    served("127.0.0.1", port)
    pid = engine.api.get(f"/containers/{ends}/json").json["State"]["Pid"]
    engine.kill()
    served("127.0.0.1", port)
    served("::1", port)
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", port))
    os.kill(pid, 9)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    engine.start()
    served("127.0.0.1", port)
    served("::1", port)
    assert ports(engine.api, name)["80/tcp"][0]["HostPort"] == str(port)
    assert set(led(engine)) == {("tcp", port)}
    docker.ok("start", ends)
    served("127.0.0.1", port + 1)
    docker.ok("rm", "-f", name, ends)
    assert not led(engine)
    socket.create_server(("127.0.0.1", port)).close()


def test_inspect_keeps_what_was_asked_for(client: Client, api: Api) -> None:
    port = free_ports()
    name = client.detached("-p", f"{port}:80", "-P", "--expose", "81", BUSYBOX, "sleep", "100")
    found = api.get(f"/containers/{name}/json").json
    assert found["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": str(port)}]}
    assert found["HostConfig"]["PublishAllPorts"] is True
    assert set(found["Config"]["ExposedPorts"]) == {"80/tcp", "81/tcp"}
    (row,) = json.loads(api.get("/containers/json", filters=json.dumps({"id": [name]})).body)
    assert {"IP": "::", "PrivatePort": 80, "PublicPort": port, "Type": "tcp"} in row["Ports"]


@private_network
def test_info_warns_of_a_firewall_in_the_way() -> None:
    """A packet to a published port must pass everybody's chains: others' policy drops it without a word."""
    nft("add", "table", "inet", "others")
    nft("add", "chain", "inet", "others", "forward", "{ type filter hook forward priority 0; policy drop; }")
    engine = Engine("")
    try:
        engine.start()
        (warning,) = [each for each in engine.api.get("/info").json["Warnings"] if "policy" in each]
        assert "may be dropped by the policy of the chain inet others forward; accept interface" in warning
        assert warning in engine.proa.ok("info", "--format", "{{json .Warnings}}")
    finally:
        engine.stop()
