"""Egress rules: by proa's `--egress`, and by a label for docker's command line and compose."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

from proa.network import egress_table
from proa.network.egress import parse
from rig.api import Api
from rig.clients import Client
from rig.egress import LABEL, attempt, document, outside, reach, refused, rules, within
from rig.engine import Engine, eventually
from rig.name_process import ask
from rig.nameserver import NameServer
from rig.needs import need
from rig.private_network import inside

BUSYBOX = "busybox"
CLOSED = "ConnectionRefusedError"


def gateway_of(api: Api, network: str = "bridge") -> str:
    return str(api.get(f"/networks/{network}").json["IPAM"]["Config"][0]["Gateway"])


def sleeper(client: Client, name: str, *options: str) -> str:
    client.ok("run", "-d", "--name", name, *options, BUSYBOX, "sleep", "1000")
    return name


def events(client: Client, container: str) -> list[dict[str, str]]:
    """The attributes of the events of refusals, which are told a second after they were: docker's `--until 0s`."""
    options = ("--since", "1h", "--until", "0s", "--filter", f"container={container}", "--format", "{{json .}}")
    lines = client.ok("events", *options, "--filter", "event=egress_refused").splitlines()
    return [json.loads(line)["Actor"]["Attributes"] for line in lines]


def server_of(engine: Engine) -> int:
    command = ["pgrep", "-f", f"proa.dns.process .*{engine.exec_root}$"]
    return int(subprocess.run(command, capture_output=True, text=True).stdout or 0)


def test_nothing_but_what_is_allowed(client: Client, api: Api) -> None:
    gateway = gateway_of(api)
    zone = {"example.org": [], "www.example.net": [gateway], "evil.test": ["192.0.2.1"]}
    with outside(80, 81) as there, NameServer(gateway, 53, zone=zone) as upstream:
        upstream.zone["example.org"] = [there.v4]
        words = ("deny", "allow=example.org:80", "allow=*.example.net", f"allow={there.v4}/32:81")
        sleeper(client, "web", "--dns", gateway, *rules(client, *words))
        assert "nameserver 127.0.0.11\n" in client.ok("exec", "web", "cat", "/etc/resolv.conf")
        assert reach(client, "web", (there.v4, 80), (there.v4, 81), (there.v4, 82)) == [CLOSED, "", CLOSED]
        assert there.v4 in client.ok("exec", "web", "nslookup", "-type=a", "example.org")
        assert reach(client, "web", (there.v4, 80)) == [""]
        # Not the host either, nor by a name that leads there.
        assert gateway in client.ok("exec", "web", "nslookup", "-type=a", "www.example.net")
        assert reach(client, "web", (gateway, 22), (gateway, 53)) == [CLOSED, CLOSED]
        assert "NXDOMAIN" in client("exec", "web", "nslookup", "-type=a", "evil.test").out
        assert client.fails("exec", "web", "nc", there.v4, "83", match="Connection refused")
        assert set(upstream.names()) == {"example.org", "www.example.net"}
        expected = {
            ("tcp", there.v4, 80): 1, ("tcp", there.v4, 82): 1, ("tcp", there.v4, 83): 1, ("tcp", gateway, 22): 1,
            ("tcp", gateway, 53): 1, ("dns", "evil.test", 53): 1,
        }  # fmt: skip
        assert eventually(lambda: (found := refused(client, "web")) == expected and found)
        identifier = client.inspect("web", "{{.Id}}")
        wanted = {(protocol, address, str(port)) for protocol, address, port in expected}

        def told() -> bool:
            return wanted == {
                (each["protocol"], each.get("address", each.get("host")), each["port"])
                for each in events(client, identifier)
            }

        assert eventually(told)
        (of_name,) = [each for each in events(client, identifier) if each["port"] == "82"]
        assert (of_name["count"], of_name["name"], of_name["image"]) == ("1", "web", BUSYBOX)
        seen = document(client, "web")
        named = {each["Port"]: each["Name"] for each in seen["Refused"]}
        assert named[83] == "example.org"
        assert seen["Allow"] == ["example.org:80/tcp", "*.example.net", f"{there.v4}:81/tcp"]
        assert seen["Refused"][0]["Time"] > "2020-01-01T00:00:00Z"
        client.ok("restart", "-t", "0", "web")
        assert reach(client, "web", (there.v4, 80), (there.v4, 81)) == [CLOSED, ""]
        assert eventually(lambda: refused(client, "web")) == {("tcp", there.v4, 80): 1}


def test_names_and_neighbours_of_both_families(client: Client, api: Api) -> None:
    body = {"Name": "both", "EnableIPv6": True, "IPAM": {"Config": [{"Subnet": "fd42:e9::/64"}]}}
    assert api.post("/networks/create", body).status == 201
    for name in ("db", "cache"):
        client.ok("run", "-d", "--name", name, "--network", "both", BUSYBOX, "httpd", "-f", "-p", "[::]:5432")

    def addresses(name: str) -> tuple[str, str]:
        four, six = (
            client.inspect(name, f"{{{{.NetworkSettings.Networks.both.{field}}}}}")
            for field in ("IPAddress", "GlobalIPv6Address")
        )
        return four, six

    sleeper(client, "web", "--network", "both", *rules(client, "allow=db:5432"))
    both = [*((each, 5432) for each in addresses("db")), *((each, 5432) for each in addresses("cache"))]
    assert reach(client, "web", *both) == 4 * [CLOSED]
    assert client.ok("exec", "web", "nslookup", "db") and client.ok("exec", "web", "nslookup", "cache")
    assert reach(client, "web", *both) == ["", "", CLOSED, CLOSED]
    # Others reach it, and are answered.
    client.ok("exec", "-d", "web", "httpd", "-f", "-p", "[::]:8080")
    places = [(each, 8080) for each in addresses("web")]
    assert eventually(lambda: reach(client, "db", *places) == ["", ""])


def test_ports_published_and_ping(client: Client, api: Api) -> None:
    """Without CAP_NET_RAW, which would get round the rules."""
    gateway = gateway_of(api)
    sleeper(client, "web", "-p", "127.0.0.1::8080", *rules(client, f"allow={gateway}"))
    client.ok("exec", "-d", "web", "httpd", "-f", "-p", "8080")
    port = int(client.ok("port", "web", "8080").rpartition(":")[2])
    assert eventually(lambda: attempt("127.0.0.1", port) == "")
    status = dict(line.split(":\t") for line in client.ok("exec", "web", "cat", "/proc/self/status").splitlines())
    for name in ("CapEff", "CapBnd"):
        assert not int(status[name], 16) & (1 << 13 | 1 << 12 | 1 << 21)  # NET_RAW, NET_ADMIN, SYS_ADMIN
    groups = client.ok("exec", "web", "cat", "/proc/sys/net/ipv4/ping_group_range")
    assert groups.split() == ["0", "2147483647"]
    client.ok("run", "-d", "--name", "guest", "--network", "container:web", BUSYBOX, "sleep", "1000")
    assert not int(client.ok("exec", "guest", "sed", "-n", "s/CapBnd:.//p", "/proc/self/status"), 16) & 1 << 13
    assert reach(client, "guest", (gateway, 9)) == [CLOSED]  # nobody is there: it may be tried
    assert refused(client, "web") == {}


def test_the_last_refusal_of_a_short_life_is_told(proa: Client, api: Api) -> None:
    """The first process of a container with rules is bound by them already."""
    proa.fails("run", "--rm", "--name", "brief", "--egress", "deny", BUSYBOX, "nc", "192.0.2.1", "80")
    assert eventually(lambda: [each["address"] for each in events(proa, "brief")] == ["192.0.2.1"])
    proa.ok("create", "--name", "stays", "--egress", "deny", BUSYBOX, "nc", "192.0.2.1", "80")
    proa("start", "-a", "stays")
    assert eventually(lambda: refused(proa, "stays")) == {("tcp", "192.0.2.1", 80): 1}


def test_events_are_few_and_counts_are_right(proa: Client) -> None:
    sleeper(proa, "loud", "--egress", "deny")
    places = [("192.0.2.1", port) for port in range(1, 201)]
    assert reach(proa, "loud", *places) == len(places) * [CLOSED]
    assert reach(proa, "loud", *20 * [("192.0.2.2", 9)]) == 20 * [CLOSED]
    assert eventually(lambda: refused(proa, "loud").get(("tcp", "192.0.2.2", 9)) == 20)
    assert len(refused(proa, "loud")) == 128  # the latest
    assert eventually(lambda: 0 < len(events(proa, "loud")) < 60)


def asked(namespace: int, name: str) -> list[str]:
    """The addresses of a name; none where nobody answers: what is asked while there is no server is lost."""
    try:
        return ask(namespace, name).addresses
    except TimeoutError:
        return []


def test_rules_outlive_engine_and_name_server(fresh_engine: Engine) -> None:
    docker = fresh_engine.docker
    docker.ok("pull", "-q", BUSYBOX)
    gateway = gateway_of(fresh_engine.api)
    with outside(80) as there, NameServer(gateway, 53, zone={"example.org": [there.v4]}):
        sleeper(docker, "web", "--dns", gateway, *rules(docker, "allow=example.org:80"))
        pid = int(docker.inspect("web", "{{.State.Pid}}"))
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        def reached(port: int) -> str:
            return inside(namespace, lambda: attempt(there.v4, port))

        try:
            assert reached(81) == CLOSED
            assert eventually(lambda: refused(docker, "web")) == {("tcp", there.v4, 81): 1}
            fresh_engine.kill()
            assert reached(80) == reached(81) == CLOSED
            assert ask(namespace, "example.org").addresses == [there.v4]
            assert (reached(80), reached(81)) == ("", CLOSED)
            fresh_engine.start()
            expected = {("tcp", there.v4, 81): 3, ("tcp", there.v4, 80): 1}
            assert eventually(lambda: refused(docker, "web") == expected)
            # One was told of before.
            assert eventually(lambda: sum(int(each["count"]) for each in events(docker, "web")) == 3)
            os.kill(server_of(fresh_engine), signal.SIGKILL)
            assert (reached(80), reached(81)) == ("", CLOSED)  # what is open stays so for its time
            assert eventually(lambda: asked(namespace, "example.org") == [there.v4], 20)
            expected["tcp", there.v4, 81] = 4
            assert eventually(lambda: refused(docker, "web") == expected)
            fresh_engine.kill()
            os.kill(server_of(fresh_engine), signal.SIGKILL)
            assert (reached(80), reached(81)) == ("", CLOSED)
            fresh_engine.start()
            assert eventually(lambda: asked(namespace, "example.org") == [there.v4], 20)
            expected["tcp", there.v4, 81] = 5
            assert eventually(lambda: refused(docker, "web") == expected)
        finally:
            os.close(namespace)


def test_networks_come_and_go(proa: Client, api: Api) -> None:
    for name in ("front", "back"):
        assert api.post("/networks/create", {"Name": name}).status == 201
    sleeper(proa, "web", "--network", "front", "--egress", "deny")
    gateway = gateway_of(api, "back")
    proa.ok("network", "connect", "back", "web")
    assert reach(proa, "web", (gateway, 22)) == [CLOSED]
    assert eventually(lambda: refused(proa, "web")) == {("tcp", gateway, 22): 1}
    proa.ok("network", "disconnect", "front", "web")
    proa.ok("network", "disconnect", "back", "web")
    proa.ok("network", "connect", "back", "web")
    assert reach(proa, "web", (gateway, 22)) == [CLOSED]
    proa.ok("create", "--name", "late", "--network", "front", "--egress", "deny", BUSYBOX, "sleep", "1000")
    proa.ok("network", "disconnect", "front", "late")
    proa.ok("start", "late")
    proa.fails("network", "connect", "back", "late", match="its egress rules are not in place")
    assert within(proa, "late", lambda: sorted(os.listdir("/proc/thread-self/net/dev_snmp6"))) == ["lo"]
    alone = sleeper(proa, "alone", "--network", "none", "--egress", "deny")
    assert proa.inspect(alone, "{{json .Egress}}") == '{"Allow":[],"Refused":[]}'


def test_a_program_can_not_undo_them(proa: Client) -> None:
    sleeper(proa, "web", "--egress", "deny")
    status = proa.ok("exec", "web", "cat", "/proc/self/status")
    assert "\nSeccomp:\t2\n" in status
    proa.fails("exec", "web", "unshare", "-n", "true", match="Operation not permitted")
    proa.fails("exec", "web", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward", match="Read-only file system")


REFUSED = [
    (["--privileged"], "conflicting options: --privileged and its egress rules"),
    (["--cap-add", "NET_RAW"], "--cap-add NET_RAW and its egress rules: its packet sockets send past the rules"),
    (["--cap-add", "net_admin"], "--cap-add NET_ADMIN and its egress rules: it may change the rules"),
    (["--cap-add", "CAP_SYS_ADMIN"], "--cap-add SYS_ADMIN"),
    (["--cap-add", "ALL"], "--cap-add ALL"),
    (["--cap-drop", "ALL", "--cap-add", "SYS_PTRACE"], "--cap-add SYS_PTRACE"),
    (["--network", "host"], "--network host"),
    (["--pid", "host"], "--pid host"),
    (["--security-opt", "seccomp=unconfined"], "--security-opt seccomp"),
    (["--security-opt", "systempaths=unconfined"], "it gives away the host's kernel"),
    (["--runtime", "runsc"], "runsc"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED, ids=lambda value: " ".join(value))
def test_ways_round_are_refused(client: Client, options: list[str], reason: str) -> None:
    client.fails("create", *rules(client, "deny"), *options, BUSYBOX, match=reason)


def test_ways_round_by_others(client: Client) -> None:
    """Whoever is in the network of a container with rules is bound by them."""
    sleeper(client, "web", *rules(client, "deny"))
    sleeper(client, "free")
    sleeper(client, "guest", "--network", "container:web")
    for options, reason in (
        (["--network", "container:web", "--privileged"], "the egress rules of the container web, whose network"),
        (["--network", "container:web", "--cap-add", "NET_ADMIN"], "--cap-add NET_ADMIN and the egress rules of"),
        (["--network", "container:guest", "--cap-add", "NET_RAW"], "--cap-add NET_RAW and the egress rules of"),
        (["--network", "container:web", "--pid", "container:free"], "--pid container:free"),
        (["--pid", "container:web"], "processes with other rules may be traced"),
        ([*rules(client, "deny"), "--pid", "container:free"], "--pid container:free and its egress rules"),
        ([*rules(client, "deny"), "--network", "container:free"], "the rules are those of the container free"),
    ):
        client.fails("create", *options, BUSYBOX, match=reason)
    client.ok("run", "--rm", "--network", "container:web", "--pid", "container:web", BUSYBOX, "true")
    for name in ("web", "guest"):
        client.fails(
            "exec", "--privileged", name, "true", match="exec --privileged in container .* conflicts with"
        )
    assert client.ok("exec", "--privileged", "free", "echo", "free") == "free\n"
    assert reach(client, "guest", ("192.0.2.1", 80)) == [CLOSED]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "invalid egress rules: there is none"),
        ("permit=10.0.0.0/8", 'invalid egress rule "permit=10.0.0.0/8"'),
        ("allow=10.0.0.1/8", "write 10.0.0.0/8"),
        ("deny,allow=example.org:http", '"http" is no port'),
    ],
)
def test_nonsense_is_refused(client: Client, label: str, reason: str) -> None:
    client.fails("create", "--label", f"{LABEL}={label}", BUSYBOX, match=reason)
    assert client.ok("ps", "-aq") == ""


def test_other_runtimes(proa: Client) -> None:
    """runc's containers use the kernel's network, too, in a namespace with the same rules."""
    need(shutil.which("runc"), "runc")
    name = sleeper(proa, "foreign", "--runtime", "runc", "--egress", "deny")
    assert reach(proa, name, ("192.0.2.1", 80)) == [CLOSED]
    assert not int(proa.ok("exec", name, "sed", "-n", "s/CapBnd:.//p", "/proc/self/status"), 16) & 1 << 13
    assert eventually(lambda: refused(proa, name)) == {("tcp", "192.0.2.1", 80): 1}


def test_update_changes_them_at_once(proa: Client, api: Api) -> None:
    gateway = gateway_of(api)
    with outside(80, 81) as there, NameServer(gateway, 53, zone={"example.org": [there.v4]}) as upstream:
        words = ("--dns", gateway, "--egress", "allow=example.org:80", "--egress", f"allow={there.v4}:81")
        sleeper(proa, "web", *words)
        assert there.v4 in proa.ok("exec", "web", "nslookup", "-type=a", "example.org")
        assert reach(proa, "web", (there.v4, 80), (there.v4, 81)) == ["", ""]
        live = within(proa, "web", lambda: socket.create_connection((there.v4, 81), 5))
        proa.ok("update", "--egress", "deny", "--egress", "allow=*.org:80", "--egress", "allow=b.test", "web")
        assert document(proa, "web")["Allow"] == ["*.org:80/tcp", "b.test"]
        assert reach(proa, "web", (there.v4, 80), (there.v4, 81)) == ["", CLOSED]  # it need not be asked for again
        with live, pytest.raises(ConnectionResetError):
            live.sendall(b"x")
            live.recv(1)
        upstream.zone["b.test"] = [there.v4]
        assert there.v4 in proa.ok("exec", "web", "nslookup", "-type=a", "b.test")
        assert reach(proa, "web", (there.v4, 81)) == [""]
        proa.ok("update", "--egress", "deny", "web")
        assert reach(proa, "web", (there.v4, 80), (there.v4, 81)) == [CLOSED, CLOSED]
        assert "NXDOMAIN" in proa("exec", "web", "nslookup", "-type=a", "example.org").out
        proa.fails("update", "--egress", "allow=10.0.0.1/8", "web", match="write 10.0.0.0/8")
        answer = api.post("/proa/containers/web/egress", {})
        assert (answer.status, answer.message.partition(";")[0]) == (400, "invalid egress rules: there is none")
        proa.ok("restart", "-t", "0", "web")
        assert reach(proa, "web", (there.v4, 80)) == [CLOSED]


def test_update_of_a_container_without_rules(proa: Client) -> None:
    sleeper(proa, "free")
    proa.fails(
        "update", "--egress", "deny", "free", match="runs without egress rules, and may have ways round them"
    )
    proa.ok("stop", "-t", "0", "free")
    proa.ok("update", "--egress", "deny", "free")
    proa.ok("start", "free")
    assert reach(proa, "free", ("192.0.2.1", 80)) == [CLOSED]
    proa.ok("create", "--name", "strong", "--cap-add", "NET_ADMIN", BUSYBOX)
    proa.fails("update", "--egress", "deny", "strong", match="--cap-add NET_ADMIN and its egress rules")
    proa.ok("create", "--name", "guest", "--network", "container:free", BUSYBOX)
    proa.fails("update", "--egress", "deny", "guest", match="the rules are those of the container")


def test_an_update_that_an_engine_was_killed_in_is_finished(fresh_engine: Engine) -> None:
    """It is recorded first: here its record says what the table does not know yet."""
    proa = fresh_engine.proa
    proa.ok("pull", "-q", BUSYBOX)
    with outside(80, 81) as there:
        sleeper(proa, "web", "--egress", f"allow={there.v4}:80")
        descriptor = os.open(f"/proc/{proa.inspect('web', '{{.State.Pid}}')}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fresh_engine.kill()
            inside(descriptor, lambda: egress_table.change(parse([f"allow={there.v4}:81"])))
            fresh_engine.start()
            assert reach(proa, "web", (there.v4, 80), (there.v4, 81)) == ["", CLOSED]
        finally:
            os.close(descriptor)
