"""Networks that users make: who reaches whom, addresses, several for one container, connecting."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.api import Api
from rig.clients import Client
from rig.engine import Engine

BUSYBOX = "busybox"
PING = ("ping", "-c", "1", "-W", "1")


def places(client: Client, name: str) -> Any:
    return json.loads(client.inspect(name, "{{json .NetworkSettings.Networks}}"))


def test_containers_meet_on_their_network_alone(client: Client) -> None:
    for network in ("one", "two"):
        client.ok("network", "create", network)
    first = client.detached("--network", "one", BUSYBOX, "sleep", "1000")
    stranger = client.detached("--network", "two", BUSYBOX, "sleep", "1000")
    there = places(client, first)["one"]["IPAddress"]
    assert "1 packets received" in client.ok("run", "--rm", "--network", "one", BUSYBOX, *PING, there)
    client.fails("exec", stranger, *PING, there, code=1)
    client.fails("run", "--rm", BUSYBOX, *PING, there, code=1)


def test_internal_networks_and_icc(client: Client, api: Api) -> None:
    client.ok("network", "create", "--internal", "inside")
    client.ok("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart")
    box = client.detached("--network", "inside", BUSYBOX, "sleep", "1000")
    assert "default" not in client.ok("exec", box, "ip", "route")
    assert places(client, box)["inside"]["Gateway"] == ""
    there = places(client, box)["inside"]["IPAddress"]
    assert "1 packets received" in client.ok("run", "--rm", "--network", "inside", BUSYBOX, *PING, there)
    assert api.get("/networks/inside").json["Internal"] is True
    box = client.detached("--network", "apart", BUSYBOX, "sleep", "1000")
    there = places(client, box)["apart"]
    client.fails("run", "--rm", "--network", "apart", BUSYBOX, *PING, there["IPAddress"], code=1)
    assert "1 packets received" in client.ok("exec", box, *PING, there["Gateway"])


def test_addresses_of_choice(client: Client) -> None:
    client.ok(
        "network", "create", "--subnet", "10.213.0.0/24", "--ip-range", "10.213.0.128/25", "--gateway",
        "10.213.0.9", "--aux-address", "host=10.213.0.128", "mine",
    )  # fmt: skip
    box = client.detached("--network", "mine", BUSYBOX, "sleep", "1000")
    seen = places(client, box)["mine"]
    assert (seen["IPAddress"], seen["IPPrefixLen"], seen["Gateway"]) == ("10.213.0.129", 24, "10.213.0.9")
    options = ["--network", "mine", "--ip", "10.213.0.77", "--mac-address", "02:42:0a:00:00:07"]
    fixed = client.detached(*options, BUSYBOX, "sleep", "1000")
    inside = client.ok("exec", fixed, "ip", "addr", "show", "eth0")
    assert "10.213.0.77/24" in inside and "02:42:0a:00:00:07" in inside
    match = "failed to set up container networking: Address already in use"
    client.fails("run", "--rm", *options, BUSYBOX, "true", code=125, match=match)
    client.ok("restart", "-t", "0", fixed)  # its own address is free for it at once
    assert places(client, fixed)["mine"]["IPAddress"] == "10.213.0.77"


def test_ipv6(client: Client, api: Api) -> None:
    client.ok("network", "create", "--ipv6", "both")
    client.ok("network", "create", "--ipv6", "--ipv4=false", "--subnet", "fd13:1::/64", "six")
    first = client.detached("--network", "both", BUSYBOX, "sleep", "1000")
    seen = places(client, first)["both"]
    assert seen["GlobalIPv6PrefixLen"] == 64 and seen["IPv6Gateway"].endswith("::1") and seen["IPAddress"]
    hosts = client.ok("exec", first, "cat", "/etc/hosts")
    assert f"{seen['GlobalIPv6Address']}\t" in hosts and f"{seen['IPAddress']}\t" in hosts
    ping = client.ok("run", "--rm", "--network", "both", BUSYBOX, *PING, "-6", seen["GlobalIPv6Address"])
    assert "1 packets received" in ping
    only = client.detached("--network", "six", BUSYBOX, "sleep", "1000")
    six = places(client, only)["six"]
    assert (six["IPAddress"], six["GlobalIPv6Address"]) == ("", "fd13:1::2")
    assert "inet " not in client.ok("exec", only, "ip", "addr", "show", "eth0")
    assert api.get("/networks/six").json["EnableIPv4"] is False


def test_several_networks_and_the_way_out(client: Client) -> None:
    for network in ("alpha", "beta", "gamma"):
        client.ok("network", "create", network)
    options = ["--network", "beta", "--network", "name=alpha,alias=al", "--network", "name=gamma,gw-priority=1"]
    box = client.detached(*options, BUSYBOX, "sleep", "1000")
    seen = places(client, box)
    assert set(seen) == {"alpha", "beta", "gamma"} and "al" in seen["alpha"]["DNSNames"]

    def way() -> str:
        (line,) = [line for line in client.ok("exec", box, "ip", "route").splitlines() if "default" in line]
        return line.split()[2]

    inside = client.ok("exec", box, "ip", "-o", "-4", "addr")
    assert all(f"{seen[name]['IPAddress']}/" in inside for name in seen)
    first = next(line for line in inside.splitlines() if " eth0 " in line)
    assert seen["beta"]["IPAddress"] in first and " eth2 " in inside
    assert way() == seen["gamma"]["Gateway"]
    client.ok("network", "disconnect", "gamma", box)
    assert way() == seen["alpha"]["Gateway"]  # the first by name
    client.ok("restart", "-t", "0", box)
    assert set(places(client, box)) == {"alpha", "beta"}


def test_connecting_what_runs(client: Client, api: Api) -> None:
    client.ok("network", "create", "--subnet", "10.214.0.0/24", "late")
    box = client.detached("--name", "box", BUSYBOX, "sleep", "1000")
    client.ok("network", "connect", "--ip", "10.214.0.50", "--alias", "latecomer", "late", "box")
    assert places(client, box)["late"]["Aliases"][:1] == ["latecomer"]
    inside = client.ok("exec", box, "sh", "-c", "ip addr show eth1; cat /etc/hosts")
    assert "10.214.0.50/24" in inside and "10.214.0.50\t" in inside
    other = ("run", "--rm", "--network", "late", BUSYBOX)
    assert "1 packets received" in client.ok(*other, *PING, "latecomer")
    assert list(api.get("/networks/late").json["Containers"]) == [box]
    match = r'network late has active endpoints \(name:"box" id:"[0-9a-f]{12}"\)'
    client.fails("network", "rm", "late", match=match)
    match = "endpoint with name box already exists in network late"
    client.fails("network", "connect", "late", "box", match=match)
    client.ok("network", "disconnect", "late", "box")
    inside = client.ok("exec", box, "sh", "-c", "ip addr; cat /etc/hosts")
    assert "10.214.0.50" not in inside and "eth1" not in inside
    client.fails("network", "disconnect", "late", "box", match="is not connected to network late")
    # Of a network that is not there, Docker asks the container when it is to be forced, or does not run.
    client.fails("network", "disconnect", "nosuch", "box", match="network nosuch not found")
    match = f"container {box} is not connected to the network nosuch"
    client.fails("network", "disconnect", "-f", "nosuch", "box", match=match)
    client.fails("network", "disconnect", "-f", "nosuch", "nobody", match="network nosuch not found")
    client.ok("kill", "box")
    client.fails("network", "disconnect", "nosuch", "box", match=match)
    assert client.ok("network", "rm", "late") == "late\n"


def test_connecting_what_does_not_run(client: Client) -> None:
    client.ok("network", "create", "later")
    box = client.ok("create", BUSYBOX, "sleep", "1000").strip()
    client.ok("network", "connect", "--alias", "x", "later", box)
    client.ok("network", "disconnect", "bridge", box)
    assert list(places(client, box)) == ["later"] and places(client, box)["later"]["IPAddress"] == ""
    client.ok("start", box)
    assert places(client, box)["later"]["IPAddress"]
    client.ok("network", "disconnect", "later", box)
    assert places(client, box) == {} and "eth" not in client.ok("exec", box, "ip", "addr")
    client.ok("restart", "-t", "0", box)
    assert client.ok("exec", box, "ip", "-o", "link").count("\n") == 1  # the loopback interface


def test_what_can_not_be_connected(client: Client) -> None:
    client.ok("network", "create", "mine")
    host = client.detached("--network", "host", BUSYBOX, "sleep", "1000")
    alone = client.detached("--network", "none", BUSYBOX, "sleep", "1000")
    guest = client.detached("--network", f"container:{alone}", BUSYBOX, "sleep", "1000")
    for box, match in (
        (host, "sharing network namespace with another container or host cannot be connected"),
        (guest, "sharing network namespace with another container or host cannot be connected"),
        (alone, r"with one of the networks in private \(none\) mode"),
    ):
        client.fails("network", "connect", "mine", box, match=match)
    match = "cannot disconnect container from host network - container was created in host network mode"
    client.fails("network", "disconnect", "host", host, match=match)


def test_what_can_not_be_made(client: Client) -> None:
    client.ok("network", "create", "--subnet", "10.215.0.0/16", "taken")
    for words, match in (
        (("taken",), "network with name taken already exists"),
        (("host",), "operation is not permitted on predefined host network"),
        (("-d", "nosuch", "x"), 'plugin "nosuch" not found'),
        (("-d", "overlay", "x"), "This node is not a swarm manager"),
        (("--subnet", "10.215.7.0/24", "x"), "Pool overlaps with other one on this address space"),
        (("--subnet", "10.216.0.1/24", "x"), r"invalid subnet 10.216.0.1/24: it should be 10.216.0.0/24"),
        (("--ipv4=false", "x"), "IPv4 or IPv6 must be enabled"),
        (("-o", "com.docker.network.driver.mtu=x", "x"), 'parsing "x": invalid syntax'),
        (("-d", "macvlan", "-o", "macvlan_mode=x", "x"), "requested macvlan mode 'x' is not valid"),
    ):
        client.fails("network", "create", *words, match=match)
    assert "x" not in client.ok("network", "ls", "--format", "{{.Name}}").split()


def test_configurations_of_others(client: Client, api: Api) -> None:
    client.ok("network", "create", "--config-only", "--subnet", "10.217.0.0/24", "--label", "a=b", "template")
    client.ok("network", "create", "--config-from", "template", "made")
    made = api.get("/networks/made").json
    assert made["IPAM"]["Config"] == [{"Subnet": "10.217.0.0/24"}] and made["Labels"] == {"a": "b"}
    client.fails("network", "rm", "template", match='configuration network "template" is in use')
    match = "cannot create endpoint on configuration-only network"
    client.fails("run", "--rm", "--network", "template", BUSYBOX, "true", code=125, match=match)
    client.ok("network", "rm", "made", "template")


def test_prune_and_list(client: Client) -> None:
    client.ok("network", "create", "--label", "keep", "kept")
    client.ok("network", "create", "idle")
    client.ok("network", "create", "used")
    client.detached("--network", "used", BUSYBOX, "sleep", "1000")
    assert client.ok("network", "ls", "-q", "--filter", "dangling=true").count("\n") == 2
    assert client.ok("network", "ls", "--filter", "label=keep", "--format", "{{.Name}}") == "kept\n"
    assert client.ok("ps", "--filter", "network=used", "--format", "{{.Networks}}") == "used\n"
    assert client.ok("network", "prune", "-f", "--filter", "label!=keep") == "Deleted Networks:\nidle\n\n"
    names = client.ok("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}").split()
    assert sorted(names) == ["kept", "used"]


def test_links_on_the_default_bridge(client: Client) -> None:
    options = ("-h", "dbhost", "-e", "MODE=fast", "--expose", "80-81")
    client.detached("--name", "db", *options, BUSYBOX, "sleep", "1000")
    box = client.detached("--name", "web", "--link", "db:my-db", BUSYBOX, "sleep", "1000")
    address = places(client, "db")["bridge"]["IPAddress"]
    inside = client.ok("exec", box, "sh", "-c", "cat /etc/hosts; env").splitlines()
    assert f"{address}\tmy-db dbhost db" in inside
    expected = {"MY_DB_ENV_MODE=fast", f"MY_DB_PORT=tcp://{address}:80", "MY_DB_PORT_80_TCP_PORT_END=81"}
    assert expected <= set(inside)
    assert client.inspect(box, "{{.HostConfig.Links}}") == "[/db:/web/my-db]"
    client.ok("stop", "-t", "0", "db")
    client.detached(BUSYBOX, "sleep", "1000")  # takes the address
    client.ok("start", "db")
    moved = places(client, "db")["bridge"]["IPAddress"]
    assert f"{moved}\tmy-db dbhost db\n" in client.ok("exec", box, "cat", "/etc/hosts")
    client.ok("rm", "--link", "/web/my-db")
    assert "my-db" not in client.ok("exec", box, "cat", "/etc/hosts")
    match = "could not get container for nosuch"
    client.fails("run", "--rm", "--link", "nosuch", BUSYBOX, "true", code=125, match=match)


def test_address_pools_of_choice(engine_with: Callable[..., Engine]) -> None:
    engine = engine_with("--default-address-pool", "base=10.218.0.0/16,size=24")
    docker = engine.docker
    docker.ok("network", "create", "first")
    docker.ok("network", "create", "second")
    subnets = [
        docker.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", name).strip()
        for name in ("bridge", "first", "second")
    ]
    assert subnets == ["10.218.0.0/24", "10.218.1.0/24", "10.218.2.0/24"]


@pytest.mark.parametrize("value", ["base=10.218.0.0/16,size=8", "base=x,size=24", "10.0.0.0/8", "size=24"])
def test_bad_address_pools(tmp_path: Path, value: str) -> None:
    command = Engine("", ["--default-address-pool", value], tmp_path).command
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "pool" in done.stderr and "Traceback" not in done.stderr
