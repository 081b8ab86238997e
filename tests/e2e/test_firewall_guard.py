"""What others do to the host's firewall while the engine runs: flushed, deleted, closed by a policy."""

from __future__ import annotations

import time

import pytest

from rig.engine import Engine, eventually
from rig.own_host import HERE, engine_here, host_beside
from rig.ports import SERVE, fetch, led, served
from rig.private_network import inside, nft, private_network

BUSYBOX = "busybox"
PORT = 8080


def table(engine: Engine) -> str:
    options = engine.api.get("/networks/bridge").json["Options"]
    return str(options["com.docker.network.bridge.name"])


def reached(namespace: int) -> bool:
    return inside(namespace, lambda: fetch(HERE, PORT, 0.7)) == "served\n"


def forward(policy: str) -> None:
    nft("add", "table", "inet", "others")
    chain = f"{{ type filter hook forward priority 0; policy {policy}; }}"
    nft("add", "chain", "inet", "others", "forward", chain)


def policies(engine: Engine) -> list[str]:
    return [each for each in engine.api.get("/info").json["Warnings"] or [] if "policy of the chain" in each]


def restored(engine: Engine, since: float) -> list[str]:
    """The events of type network."""
    form = "{{.Action}} {{.Actor.Attributes.name}}"
    until = time.time()
    options = ("--since", f"{since:.9f}", "--until", f"{until:.9f}", "--filter", "type=network")
    return engine.docker.ok("events", *options, "--format", form).splitlines()


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table inet {}",
        "delete chain inet {} prerouting",
        "flush chain inet {} forward",
        "flush table inet {}",
    ],
)
@private_network
def test_the_table_is_made_again(damage: str) -> None:
    with host_beside() as there, engine_here() as engine:
        docker = engine.docker
        docker.ok("network", "create", "mine")
        docker.ok("network", "create", "-o", "com.docker.network.bridge.gateway_mode_ipv4=routed", "open")
        docker.detached("--network", "mine", "-p", f"{PORT}:80", BUSYBOX, "sh", "-c", SERVE)
        routed = docker.detached("--network", "open", "-p", "80", BUSYBOX, "sh", "-c", SERVE)
        own = docker.inspect(routed, "{{.NetworkSettings.Networks.open.IPAddress}}").strip()
        gone = docker.detached("-p", f"{PORT + 1}:80", BUSYBOX, "sleep", "1000")
        docker.ok("rm", "-f", gone)
        served(HERE, PORT)
        served(own, 80)
        before = nft("list", "table", "inet", table(engine))
        begun = time.time()
        nft(*damage.format(table(engine)).split())
        eventually(lambda: "it was made again" in engine.said())
        assert eventually(lambda: restored(engine, begun)) == ["restore bridge"]
        assert without_counters(nft("list", "table", "inet", table(engine))) == without_counters(before)
        assert reached(there) and inside(there, lambda: fetch(own, 80)) == "served\n"
        assert led(engine).keys() == {("tcp", PORT)}
        later = docker.detached("--network", "mine", "-p", f"{PORT + 1}:80", BUSYBOX, "sh", "-c", SERVE)
        served(HERE, PORT + 1)
        docker.ok("rm", "-f", later)
        assert led(engine).keys() == {("tcp", PORT)}
        assert engine.said().count("it was made again") == 1


def without_counters(text: str) -> list[str]:
    """The table as nft(8) lists it, in an order of its own: sets have none."""
    words = (
        line.split(" packets ")[0].strip().rstrip(",") for line in text.replace("elements = {", "\n").split("\n")
    )
    return sorted(word.strip(" {},") for line in words for word in line.split(", "))


@private_network
def test_a_policy_that_comes_and_goes() -> None:
    with engine_here() as engine:
        assert not policies(engine)
        forward("drop")
        eventually(lambda: policies(engine))
        (warning,) = policies(engine)
        assert "may be dropped by the policy of the chain inet others forward; accept interface" in warning
        assert warning.removeprefix("WARNING: ") in engine.said()
        assert warning in engine.proa.ok("info", "--format", "{{json .Warnings}}")
        forward("accept")
        eventually(lambda: not policies(engine))
        assert f"no longer: {warning.removeprefix('WARNING: ')}" in engine.said()
        assert "it was made again" not in engine.said()
