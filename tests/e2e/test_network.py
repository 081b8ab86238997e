"""The default bridge, and the three ways around it."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from rig.api import Api
from rig.clients import Client

BUSYBOX = "busybox"


def endpoint(api: Api, name: str) -> dict[str, str]:
    found: dict[str, str] = api.get(f"/containers/{name}/json").json["NetworkSettings"]["Networks"]["bridge"]
    return found


@pytest.mark.cgroup2
def test_address_and_route(client: Client, api: Api) -> None:
    name = client.detached(BUSYBOX, "sleep", "100")
    seen = endpoint(api, name)
    inside = client.ok("exec", name, "sh", "-c", "ip -o -4 addr show eth0; ip route; ip link show eth0")
    assert f"{seen['IPAddress']}/{seen['IPPrefixLen']}" in inside
    assert f"default via {seen['Gateway']} dev eth0" in inside
    assert seen["MacAddress"] in inside
    assert "UP" in inside


@pytest.mark.cgroup2
def test_containers_reach_each_other_and_the_host(client: Client, api: Api) -> None:
    server = client.detached(BUSYBOX, "sh", "-c", "mkdir /www; echo served >/www/file; httpd -f -h /www -p 80")
    address = endpoint(api, server)["IPAddress"]
    out = client.ok("run", "--rm", BUSYBOX, "sh", "-c", f"sleep 0.2; wget -qO- http://{address}/file")
    assert out == "served\n"
    gateway = endpoint(api, server)["Gateway"]
    assert "1 packets received" in client.ok("run", "--rm", BUSYBOX, "ping", "-c", "1", "-W", "5", gateway)


def test_addresses_are_unique_and_come_back(client: Client, api: Api) -> None:
    names = [client.detached(BUSYBOX, "sleep", "100") for _ in range(4)]
    addresses = {endpoint(api, name)["IPAddress"] for name in names}
    assert len(addresses) == 4
    network = ipaddress.ip_network(api.get("/networks/bridge").json["IPAM"]["Config"][0]["Subnet"])
    assert all(ipaddress.ip_address(address) in network for address in addresses)
    client.ok("rm", "-f", *names)
    assert endpoint(api, client.detached(BUSYBOX, "sleep", "100"))["IPAddress"]


@pytest.fixture
def outside() -> Iterator[tuple[str, int, list[str]]]:
    """A listener on the host, on an address that is not the bridge's; notes who called."""
    callers: list[str] = []
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.settimeout(20)

        def answer() -> None:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with connection:
                callers.append(peer[0])
                connection.sendall(b"outside\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield "", listener.getsockname()[1], callers
        listener.close()
        thread.join(25)


def test_reaches_services_on_the_host(client: Client, api: Api, outside: tuple[str, int, list[str]]) -> None:
    _, port, callers = outside
    gateway = api.get("/networks/bridge").json["IPAM"]["Config"][0]["Gateway"]
    assert client.ok("run", "--rm", BUSYBOX, "nc", gateway, str(port)) == "outside\n"
    assert callers


def test_none(client: Client) -> None:
    out = client.ok(
        "run", "--rm", "--network", "none", BUSYBOX, "sh", "-c", "ls /sys/class/net; ip route; ping -c1 127.0.0.1"
    )
    assert out.split()[0] == "lo" and "eth0" not in out and "1 packets received" in out


def test_host(client: Client) -> None:
    out = client.ok(
        "run", "--rm", "--network", "host", BUSYBOX, "sh", "-c", "cut -d: -f1 /proc/net/dev; hostname"
    ).split()
    lasting = {name for _, name in socket.if_nameindex() if not name.startswith(("veth", "br-"))}
    assert lasting <= set(out)
    assert out[-1] == socket.gethostname()


def test_another_containers_network(client: Client) -> None:
    client.detached("--name", "first", BUSYBOX, "sleep", "100")
    address = client.ok("exec", "first", "hostname", "-i")
    assert client.ok("run", "--rm", "--network", "container:first", BUSYBOX, "hostname", "-i") == address
    client.fails(
        "run",
        "--rm",
        "--network",
        "container:nobody",
        BUSYBOX,
        "true",
        code=125,
        match="No such container: nobody",
    )


def test_unknown_network(client: Client) -> None:
    client.fails("run", "--rm", "--network", "nosuch", BUSYBOX, "true", code=125, match="network nosuch not found")


def test_files(client: Client, api: Api) -> None:
    options = ["-h", "box", "--domainname", "example.org", "--add-host", "other:10.1.2.3",
               "--add-host", "gate:host-gateway", "--dns", "9.9.9.9", "--dns-search", "example.net",
               "--dns-option", "ndots:3"]  # fmt: skip
    name = client.detached(*options, BUSYBOX, "sleep", "100")
    seen = endpoint(api, name)
    hosts = client.ok("exec", name, "cat", "/etc/hosts")
    assert re.search(r"^127\.0\.0\.1\tlocalhost$", hosts, re.MULTILINE)
    assert f"{seen['IPAddress']}\tbox.example.org box\n" in hosts
    assert "10.1.2.3\tother\n" in hosts and f"{seen['Gateway']}\tgate\n" in hosts
    assert client.ok("exec", name, "cat", "/etc/hostname") == "box\n"
    resolv = client.ok("exec", name, "cat", "/etc/resolv.conf")
    assert "nameserver 9.9.9.9\n" in resolv and "search example.net\n" in resolv and "options ndots:3\n" in resolv


def test_files_can_be_written(client: Client) -> None:
    name = client.detached(BUSYBOX, "sleep", "100")
    client.ok("exec", name, "sh", "-c", "echo '1.2.3.4 mine' >>/etc/hosts")
    assert "1.2.3.4 mine" in client.ok("exec", name, "cat", "/etc/hosts")


def test_mac_address(client: Client, api: Api) -> None:
    name = client.detached("--mac-address", "02:42:0a:0b:0c:0d", BUSYBOX, "sleep", "100")
    assert client.ok("exec", name, "cat", "/sys/class/net/eth0/address") == "02:42:0a:0b:0c:0d\n"
    assert endpoint(api, name)["MacAddress"] == "02:42:0a:0b:0c:0d"


def test_networks_as_clients_list_them(docker: Client, api: Api) -> None:
    listed = {network["Name"]: network["Driver"] for network in api.get("/networks").json}
    assert listed == {"bridge": "bridge", "host": "host", "none": "null"}
    names = docker.ok("network", "ls", "--format", "{{.Name}}").split()
    assert sorted(names) == ["bridge", "host", "none"]


def test_stopped_containers_have_no_address(client: Client) -> None:
    name = client.detached(BUSYBOX, "sleep", "100")
    client.ok("stop", "-t", "0", name)
    settings = json.loads(client.inspect(name, "{{json .NetworkSettings.Networks.bridge}}"))
    assert settings["IPAddress"] == "" and settings["NetworkID"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--hostname", "x"), "hostname"),
        (("--dns", "192.0.2.1"), "dns"),
        (("--add-host", "a:192.0.2.1"), "custom host-to-IP mapping"),
        (("--mac-address", "02:42:ac:11:00:02"), "mac-address"),
    ],
)
def test_what_another_containers_network_decides(client: Client, options: tuple[str, ...], what: str) -> None:
    donor = client.detached(BUSYBOX, "sleep", "1000")
    options = ("--network", f"container:{donor}", *options)
    match = f"conflicting options: {what} and the network mode"
    client.fails("run", "--rm", *options, BUSYBOX, "true", code=125, match=match)


def test_the_namespace_can_be_entered(client: Client) -> None:
    box = client.detached(BUSYBOX, "sleep", "1000")
    key = client.inspect(box, "{{.NetworkSettings.SandboxKey}}")
    command = ["nsenter", f"--net={key}", "ip", "-br", "-4", "address"]
    seen = subprocess.run(command, capture_output=True, text=True, check=True)
    assert client.inspect(box, "{{.NetworkSettings.IPAddress}}") in seen.stdout
    client.ok("kill", box)
    assert client.inspect(box, "{{.NetworkSettings.SandboxKey}}") == ""
