"""Published ports under the rules of the host: `--publish-policy host-input`, and where ports are published at."""

from __future__ import annotations

import json
import resource
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.engine import Engine, eventually
from rig.own_host import HERE, HERE6, THERE, engine_here, host_beside
from rig.ports import SERVE, ask, fetch, led, served
from rig.private_network import echo_datagrams, inside, nft, private_network

BUSYBOX = "busybox"
PORT = 8080
LABEL = "org.proa.publish-policy"
# Who reaches a port of a container with IPv4 alone past all rules for INPUT: IPv6 comes to the relay in any case.
DIRECT = [True, False]


def refuse_what_comes_in() -> str:
    """Have a firewall refuse all but answers, as its owner would; returns its rules."""
    nft("add", "table", "inet", "host")
    nft("add", "chain", "inet", "host", "input", "{ type filter hook input priority 0; policy drop; }")
    nft("add", "rule", "inet", "host", "input", "ct", "state", "established,related", "accept")
    nft("add", "rule", "inet", "host", "input", "iif", "lo", "accept")
    nft("add", "rule", "inet", "host", "input", "meta", "l4proto", "ipv6-icmp", "accept")
    return rules()


def rules() -> str:
    return nft("list", "table", "inet", "host")


def reached(namespace: int, port: int = PORT) -> list[bool]:
    """Whether the other host reaches a port of this one, by IPv4 and IPv6."""
    return [bool(inside(namespace, lambda: fetch(host, port, 0.7))) for host in (HERE, HERE6)]  # noqa: B023


def serving(engine: Engine, *arguments: str, port: int = PORT) -> str:
    name = engine.docker.detached("-p", f"{port}:80", *arguments, BUSYBOX, "sh", "-c", SERVE)
    served("127.0.0.1", port)
    return name


@private_network
def test_rules_of_the_host_decide_about_ports() -> None:
    with host_beside() as there, engine_here("--publish-policy", "host-input") as engine:
        before = refuse_what_comes_in()
        relayed = serving(engine)
        direct = serving(engine, "--label", f"{LABEL}=direct", port=PORT + 1)
        assert reached(there) == [False, False]
        assert reached(there, PORT + 1) == DIRECT
        assert rules() == before
        assert set(led(engine)) == {("tcp", PORT + 1)}
        nft("add", "rule", "inet", "host", "input", "tcp", "dport", str(PORT), "accept")
        assert reached(there) == [True, True]
        for name, policy in ((relayed, "host-input"), (direct, "direct")):
            assert engine.docker.inspect(name, "{{.NetworkSettings.PublishPolicy}}").strip() == policy
        info = dict(engine.api.get("/info").json["FirewallBackend"]["Info"])
        assert info["PublishPolicy"] == "host-input"
        assert " Publish Policy: host-input\n" in engine.proa.ok("info")
        shown = engine.proa.ok("system", "ports", "--format", "{{.HostPort}}|{{.OpenTo}}|{{.Policy}}").splitlines()
        assert shown[0] == f"0.0.0.0:{PORT}/tcp|everybody, by IPv4, by the host's INPUT rules|host-input"
        assert shown[2] == f"0.0.0.0:{PORT + 1}/tcp|everybody, by IPv4|direct"
        # Ports for a running container go the way of the others.
        engine.proa.ok("update", "--publish-add", f"{PORT + 2}:80", relayed)
        assert reached(there, PORT + 2) == [False, False]
        served("127.0.0.1", PORT + 2)


@private_network
def test_datagrams_and_sctp_under_the_rules_of_the_host() -> None:
    with host_beside() as there, engine_here("--publish-policy", "host-input") as engine:
        refuse_what_comes_in()
        name = engine.docker.detached("-p", "5353:53/udp", BUSYBOX, "sleep", "1000")
        pid = engine.docker.inspect(name, "{{.State.Pid}}").strip()
        with Path(f"/proc/{pid}/ns/net").open("rb") as own, echo_datagrams(own.fileno(), 53) as clients:
            assert not inside(there, lambda: ask(HERE, 5353)) and not inside(there, lambda: ask(HERE6, 5353))
            nft("add", "rule", "inet", "host", "input", "udp", "dport", "5353", "accept")
            assert inside(there, lambda: ask(HERE, 5353)) and inside(there, lambda: ask(HERE6, 5353))
            assert clients and THERE not in clients  # the price: the container sees this host
        for options in (["-p", "99:99/sctp"], ["-P", "--expose", "99/sctp"]):
            engine.docker.fails(
                "run", *options, BUSYBOX, "true", code=125,
                match="port 99/sctp can not be published under the publish policy host-input",
            )  # fmt: skip
        led = engine.docker("run", "--label", f"{LABEL}=direct", "-p", "99:99/sctp", BUSYBOX, "true")
        assert led.code == 0 or "protocol not supported" in led.err, led  # that is the kernel's affair


@private_network
def test_a_policy_of_a_network_or_a_container() -> None:
    with host_beside() as there, engine_here() as engine:
        refuse_what_comes_in()
        docker = engine.docker
        docker.ok("network", "create", "-o", f"{LABEL}=host-input", "careful")
        serving(engine, "--network", "careful")
        serving(engine, "--network", "careful", "--annotation", f"{LABEL}=direct", port=PORT + 1)
        named = engine.proa.ok("run", "-d", "--publish-policy", "host-input", "-p", f"{PORT + 2}:80", BUSYBOX,
                               "sh", "-c", SERVE).strip()  # fmt: skip
        served("127.0.0.1", PORT + 2)
        assert [reached(there, PORT + step)[0] for step in range(3)] == [False, True, False]
        # The policy goes with the network that has the ports.
        docker.ok("network", "connect", "--gw-priority", "9", "careful", named)
        assert docker.inspect(named, "{{.NetworkSettings.PublishPolicy}}").strip() == "host-input"
        docker.fails("network", "create", "-o", f"{LABEL}=open", "x", match='invalid publish policy: "open"')
        docker.fails(
            "create", "--label", f"{LABEL}=open", BUSYBOX, match='invalid publish policy: "open"; use one of'
        )
        engine.proa.fails("create", "--publish-policy", "open", BUSYBOX, match='invalid publish policy: "open"')


@private_network
def test_another_policy_holds_for_containers_that_run() -> None:
    with host_beside() as there, engine_here() as engine:
        refuse_what_comes_in()
        name = serving(engine)
        assert reached(there) == DIRECT
        for policy, seen in (("host-input", [False, False]), ("direct", DIRECT)):
            engine.end()
            engine.arguments = ["--publish-policy", policy]
            engine.start()
            eventually(lambda: reached(there) == seen)  # noqa: B023
            assert engine.docker.inspect(name, "{{.NetworkSettings.PublishPolicy}}").strip() == policy
            served("127.0.0.1", PORT)


@private_network
def test_a_relay_has_room_for_many() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what most systems begin with
        engine = stack.enter_context(engine_here("--publish-policy", "host-input"))
        serving(engine)
        for _ in range(600):  # two descriptors for each
            client = stack.enter_context(socket.create_connection(("127.0.0.1", PORT), 5))
        client.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.")


@private_network
def test_the_address_that_ports_are_published_at() -> None:
    """dockerd's --ip is about the default network alone; others have an option, for which there are defaults."""
    with host_beside() as there, engine_here(
        "--ip", "127.0.0.1", "--default-network-opt", f"bridge=com.docker.network.bridge.host_binding_ipv4={HERE}"
    ) as engine:  # fmt: skip
        docker = engine.docker
        options = json.loads(docker.ok("network", "inspect", "bridge", "-f", "{{json .Options}}"))
        assert options["com.docker.network.bridge.host_binding_ipv4"] == "127.0.0.1"
        docker.ok("network", "create", "one")
        docker.ok("network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=0.0.0.0", "all")
        expected = {"bridge": ["127.0.0.1"], "one": [HERE], "all": ["0.0.0.0", "::"]}
        for step, (network, addresses) in enumerate(expected.items()):
            port = str(PORT + step)
            name = docker.detached("--network", network, "-p", f"{port}:80", BUSYBOX, "sh", "-c", SERVE)
            assert json.loads(docker.inspect(name, "{{json .NetworkSettings.Ports}}")) == {
                "80/tcp": [{"HostIp": address, "HostPort": port} for address in addresses]
            }
            assert docker.ok("port", name, "80").splitlines()[0] == f"{addresses[0]}:{port}"
            assert f"{addresses[0]}:{port}->80/tcp" in docker.ok("ps", "--format", "{{.Ports}}")
        for host, port in (("127.0.0.1", PORT), (HERE, PORT + 1), (HERE, PORT + 2)):
            served(host, port)
        assert [reached(there, PORT + step) for step in range(3)] == [[False, False], [True, False], [True, True]]
        name = docker.detached("-p", "0.0.0.0:9000:80", BUSYBOX, "sh", "-c", SERVE)
        served(HERE, 9000)
        assert docker.ok("port", name, "80") == "0.0.0.0:9000\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ip", "zz"], "invalid address to publish ports at: 'zz' is no IP address"),
        (["--ip", "127.0.0.1/8"], "invalid address to publish ports at: '127.0.0.1/8' is no IP address"),
        (["--dns", "zz"], "invalid DNS server: 'zz' is no IP address"),
        (["--dns", "8.8.8.8", "--dns", ""], "invalid DNS server: '' is no IP address"),
        (["--publish-policy", "open"], "invalid choice: 'open'"),
        (["--default-network-opt", "bridge=x"], "invalid value for --default-network-opt: 'bridge=x'"),
    ],
)
def test_bad_values_are_refused_at_the_start(arguments: list[str], message: str) -> None:
    engine = Engine("", arguments)
    with pytest.raises(RuntimeError, match="did not start"):
        engine.start()
    assert message in engine.said()
    shutil.rmtree(engine.directory)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("publish-policy", "open", "Invalid enum value 'open' - at `$.publish_policy`"),
        ("ip", 5, "Expected `str`, got `int` - at `$.ip`"),
        ("dns", ["8.8.8.8", "zz"], "invalid DNS server: 'zz' is no IP address"),
        ("default-network-opts", {"bridge": {"a": 5}}, "Expected `str`, got `int`"),
    ],
)
def test_bad_values_of_the_configuration_file(key: str, value: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({key: value}))
    engine = Engine("", ["--config-file", str(path)])
    with pytest.raises(RuntimeError, match="did not start"):
        engine.start()
    assert message in engine.said()
    shutil.rmtree(engine.directory)
