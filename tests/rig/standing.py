"""What an engine alone in its network namespace has there, held against what its API says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from rig import leaks, nameserver
from rig.engine import Engine, eventually
from rig.private_network import inside
from rig.storm import Box, State


class Standing:
    """All containers and networks of an engine, as `inspect` shows them."""

    def __init__(self, engine: Engine, others: frozenset[str] = frozenset()) -> None:
        """`others` are processes of the run that were there before the engine: those of other engines."""
        self.engine, self._others = engine, others
        rows = engine.api.get("/containers/json", all=1).json
        self.boxes = [engine.api.get(f"/containers/{row['Id']}/json").json for row in rows]
        self.running = [box for box in self.boxes if box["State"]["Running"]]
        self.networks = engine.api.get("/networks").json
        self.users = [each for each in self.networks if each["Driver"] in ("bridge", "macvlan", "ipvlan")]

    def of(self, clerk: int) -> State:
        """What there is of a clerk's."""
        state = State()
        for network in self.networks:
            if network["Name"].startswith(f"net{clerk}-"):
                state.networks[network["Name"]] = network
        for box in self.boxes:
            name = box["Name"][1:]
            if name.startswith(f"box{clerk}-"):
                bound = (box["HostConfig"]["PortBindings"] or {}).get("80/tcp") or []
                networks = set(box["NetworkSettings"]["Networks"])
                state.boxes[name] = Box(box["State"]["Running"], networks, {int(one["HostPort"]) for one in bound})
        return state

    # --- in the kernel ------------------------------------------------------------------------------------

    def check(self, own: set[str], names: set[str]) -> None:
        """What the kernel and the name server have is what the API says; `own` are the namespace's other links."""
        wanted = {self._interface(each) for each in self.users} | own | {"lo"}
        found = _links()
        assert {name for name, link in found.items() if link.kind != "veth" or name in own} == wanted
        bridges = {link.index for link in found.values() if link.kind == "bridge"}
        loose = [link.name for link in found.values() if link.kind == "veth" and link.master not in bridges]
        assert set(loose) <= own
        self._check_firewall([each for each in self.users if each["Driver"] == "bridge"])
        for box in self.running:
            self._check_inside(box)
        self._check_names(names)
        self._check_ports()

    def check_at_rest(self, own: set[str]) -> None:
        """The engine has ended: there is what running containers need, and nothing else."""
        places = [place for box in self.running for place in box["NetworkSettings"]["Networks"].values()]
        busy = [each for each in self.users if any(place["NetworkID"] == each["Id"] for place in places)]
        bridged = {each["Id"] for each in busy if each["Driver"] == "bridge"}
        default = [each for each in self.networks if each["Name"] == "bridge" and self.running]
        wanted = {self._interface(each) for each in (*busy, *default)} | own | {"lo"}
        count = sum(place["NetworkID"] in bridged for place in places)

        def pairs() -> set[str]:
            return {name for name, link in _links().items() if link.kind == "veth"} - own

        # The kernel takes namespaces apart by and by, and their interfaces with them.
        eventually(lambda: len(pairs()) <= count, 5)
        assert len(pairs()) == count, pairs()
        eventually(lambda: _links().keys() - pairs() <= wanted, 5)
        assert _links().keys() - pairs() == wanted, (_links().keys(), wanted)
        if self.running:
            self._check_firewall([each for each in (*busy, *default) if each["Driver"] == "bridge"])
        else:
            assert _nft("ruleset") == []
        namespaces = {os.readlink(f"/proc/{box['State']['Pid']}/ns/net") for box in self.running}
        deadline = time.monotonic() + 15
        while (
            loose := {each: who for each, who in _namespaces(self._others).items() if each not in namespaces}
        ) and (time.monotonic() < deadline):
            time.sleep(0.05)
        assert not loose, loose

    def _interface(self, network: Any) -> str:
        options = network["Options"]
        if network["Driver"] == "bridge":
            return str(options.get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}")
        return str(options["parent"])

    def _check_firewall(self, networks: list[Any]) -> None:
        """Sets and maps of the one table: bridges, and the published ports."""
        entries = _nft("ruleset")
        assert len([each for each in entries if "table" in each]) == 1
        sets = {each["set"]["name"]: each["set"].get("elem", []) for each in entries if "set" in each}
        assert sorted(sets["bridges"]) == sorted(map(self._interface, networks))
        outgoing = [self._interface(each) for each in networks if not each["Internal"]]
        assert sorted(sets["outgoing"]) == sorted(outgoing)
        maps = {each["map"]["name"]: each["map"].get("elem", []) for each in entries if "map" in each}
        led = {key["concat"][1]: value["concat"][0] for key, value in maps["published4_any"]}
        assert led.keys() == self._published().keys(), (led, self._published().keys())
        for port, box in self._published().items():
            places = box["NetworkSettings"]["Networks"].values()
            assert led[port] in {place["IPAddress"] for place in places}, (box["Name"], port, led[port])
        assert not maps["published4"] and not maps["published6"] and not maps["published6_any"]

    def _published(self) -> dict[int, Any]:
        """Ports of the host, and the running containers that they lead to."""
        bound = [(box, box["NetworkSettings"]["Ports"].get("80/tcp") or []) for box in self.running]
        return {int(one["HostPort"]): box for box, ones in bound for one in ones}

    def _check_ports(self) -> None:
        """Ports that somebody listens at are those published, each of them."""
        listening = set()
        for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                listening.add(int(words[1].partition(":")[2], 16))
        assert listening == set(self._published()), (listening, set(self._published()))

    def _check_inside(self, box: Any) -> None:
        """A running container has the addresses of its record."""
        keys = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
        places = box["NetworkSettings"]["Networks"].values()
        wanted = {f"{place[address]}/{place[length]}" for place in places for address, length in keys}
        wanted.discard("/0")
        found = _inside(box, _addresses)
        assert found == wanted, (box["Name"], found, wanted)

    def _check_names(self, names: set[str]) -> None:
        """Each container finds those on its networks by their names, and nobody else of all there ever were.

        What the engine tells at its start, and the questions, come to the name server by different sockets.
        """
        deadline = time.monotonic() + 3
        while (wrong := self._wrong_names(names)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not wrong, wrong

    def _wrong_names(self, names: set[str]) -> list[Any]:
        found_wrong = []
        for box in self.running:
            mine = box["NetworkSettings"]["Networks"]
            known: dict[str, set[str]] = {name: set() for name in names}
            for other in self.running:
                for network, place in other["NetworkSettings"]["Networks"].items():
                    if network in mine:
                        known[other["Name"][1:]].add(place["IPAddress"])
            if mine:
                found = _inside(box, lambda: {name: _ask(name) for name in names})
                # Where two networks know a name, it is the first one's.
                right = {
                    name: found[name] <= known[name] and bool(found[name]) is bool(known[name]) for name in names
                }
                found_wrong += [(box["Name"], name, found[name], known[name]) for name in names if not right[name]]
        return found_wrong


def _inside(box: Any, work: Any) -> Any:
    namespace = os.open(f"/proc/{box['State']['Pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return inside(namespace, work)
    finally:
        os.close(namespace)


def _addresses() -> set[str]:
    found = set()
    with Socket() as route:
        indexes = {link.index for link in rtnetlink.links(route) if link.name != "lo"}
        for family in (socket.AF_INET, socket.AF_INET6):
            for each in rtnetlink.addresses(route, family):
                if each.index in indexes:
                    found.add(f"{socket.inet_ntop(family, each.address)}/{each.prefix_length}")
    return {each for each in found if not each.startswith("fe80:")}


def _ask(name: str) -> set[str]:
    """The addresses that the name server has for a name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.11", 53))
        client.send(nameserver.query(name))
        return set(nameserver.parse(client.recv(4096)).addresses)


def _links() -> dict[str, rtnetlink.Link]:
    with Socket() as route:
        return {link.name: link for link in rtnetlink.links(route)}


def _nft(what: str) -> list[Any]:
    said = subprocess.run(["nft", "-j", "list", what], check=True, capture_output=True).stdout
    return [each for each in json.loads(said)["nftables"] if "metainfo" not in each]


def _namespaces(others: frozenset[str]) -> dict[str, str]:
    """Network namespaces that processes of the run are in or hold, and who, but for this one and the machine's.

    Without those of `others` and of what these have started.
    """
    usual = {os.readlink("/proc/thread-self/ns/net"), os.readlink("/proc/self/ns/net")}
    found: dict[str, str] = {}
    for pid, who in leaks.processes().items():
        try:
            if others & set(_ancestry(pid)):
                continue
            for number in os.listdir(f"/proc/{pid}/fd"):
                found[os.readlink(f"/proc/{pid}/fd/{number}")] = f"descriptor {number} of {who}"
            found[os.readlink(f"/proc/{pid}/ns/net")] = who
        except OSError:
            continue  # it has ended
    return {each: who for each, who in found.items() if each.startswith("net:[") and each not in usual}


def _ancestry(pid: str) -> Iterator[str]:
    while pid != "0":
        yield pid
        pid = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
