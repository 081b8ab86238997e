"""Random work on networks by several clients at once, and what there may be of it after the engine was killed.

A `Clerk` does one thing after the other on networks and containers of its own, and knows what it was told. When
the engine is killed, what it was about to do may have happened or not, or, where it takes steps, in part; all
else is as it was told.
"""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rig.clients import Client
from rig.engine import Engine

_BRIDGE = "com.docker.network.bridge."
_LOST = (OSError, http.client.HTTPException, ValueError)  # the engine was killed in the middle of an answer


@dataclass
class Box:
    """A container: whether it runs, its networks, and the ports of the host that lead to it."""

    running: bool = False
    networks: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)


@dataclass
class State:
    """What a clerk has: networks by name, as they were asked for, and containers by name."""

    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)

    def users(self, network: str, *, running: bool = False) -> list[str]:
        """The containers on a network."""
        found = [(name, box.running) for name, box in self.boxes.items() if network in box.networks]
        return [name for name, runs in found if runs or not running]


class Refused(Exception):
    """An answer that says no."""


class Clerk:
    """One client, whose `work` is for a thread of its own."""

    def __init__(self, engine: Engine, number: int, seed: int, drivers: list[str]) -> None:
        self.engine, self.number, self.drivers = engine, number, drivers
        self.chance = random.Random(f"{seed}.{number}")
        self.state = State()
        self.possible: list[State] = []  # if the answer to the last request was lost
        self.asked = ""  # the last request
        self.done = 0
        self.wrong: list[str] = []
        self._numbers = itertools.count()
        self.names: set[str] = set()  # all that containers have ever had

    def work(self, count: int) -> None:
        """Do so many things, unless the engine is killed before."""
        for _ in range(count):
            act = self.chance.choice(list(self._choices()))
            try:
                act()
            except _LOST:
                return
            except Refused as answer:
                self.wrong.append(f"{self.asked}: {answer}")
                return
            self.done += 1

    # --- one thing ----------------------------------------------------------------------------------------

    def _choices(self) -> Iterator[Callable[[], None]]:
        """Yield what can be done now; often what matters most."""
        state = self.state
        if len(state.networks) < 6:
            yield from [self.create_network] * 3
        if len(state.boxes) < 5 and state.networks:
            yield from [self.create_box] * 3
        for network in state.networks:
            if not state.users(network) and not self._made_from(network):
                yield partial(self.remove_network, network)
        yield self.prune
        for name, box in state.boxes.items():
            yield from (partial(self.remove_box, name), partial(self.rename, name))
            if not box.running:
                if box.networks <= state.networks.keys():
                    yield from [partial(self.start_box, name)] * 4
                continue
            yield from (partial(act, name) for act in (self.stop_box, self.restart, self.publish))
            yield from [partial(self.connect, name)] * 2
            if box.networks:
                yield from [partial(self.disconnect, name)] * 2

    def create_network(self) -> None:
        name = self._name("net")
        wishes = self._wishes(name)
        labels = (
            {} if wishes.get("ConfigOnly") else {"clerk": str(self.number)}
        )  # or what is made from it has them
        body = {"Name": name, "Labels": labels, **wishes}
        after = copy.deepcopy(self.state)
        after.networks[name] = body
        self._ask("POST", "/networks/create", body, after)

    def _wishes(self, name: str) -> dict[str, Any]:
        """What a network shall be like."""
        third = next(self._numbers) % 250
        subnet = {"Subnet": f"10.{100 + self.number}.{third}.0/28"}
        spare = [each for each in self.state.networks.values() if each.get("Driver") in ("macvlan", "ipvlan")]
        bridges: list[dict[str, Any]] = [
            {},
            {"EnableIPv6": True},
            {"Internal": True},
            {"Options": {f"{_BRIDGE}enable_icc": "false", "com.docker.network.driver.mtu": "1400"}},
            {"Options": {f"{_BRIDGE}name": f"b{self.number}x{third}", f"{_BRIDGE}enable_ip_masquerade": "false"}},
            {"Options": {f"{_BRIDGE}inhibit_ipv4": "true", "com.docker.network.container_iface_prefix": "lan"}},
            {"IPAM": {"Config": [{**subnet, "Gateway": f"10.{100 + self.number}.{third}.9"}]}},
            {"IPAM": {"Config": [{**subnet, "IPRange": f"10.{100 + self.number}.{third}.8/29"}]}},
            {"ConfigOnly": True, "IPAM": {"Config": [subnet]}},
        ]
        if self.drivers and not spare and self.chance.random() < 0.4:
            driver = self.chance.choice(self.drivers)
            return {"Driver": driver, "Options": {"parent": f"up{self.number}"}, "IPAM": {"Config": [subnet]}}
        templates = [each for each, body in self.state.networks.items() if body.get("ConfigOnly")]
        if templates and not any(self._made_from(each) for each in templates) and self.chance.random() < 0.3:
            return {"ConfigFrom": {"Network": templates[0]}, "Labels": None}
        return self.chance.choice(bridges)

    def _made_from(self, network: str) -> list[str]:
        """Networks made from a configuration."""
        found = self.state.networks.items()
        return [name for name, body in found if (body.get("ConfigFrom") or {}).get("Network") == network]

    def remove_network(self, name: str) -> None:
        after = copy.deepcopy(self.state)
        del after.networks[name]
        self._ask("DELETE", f"/networks/{name}", None, after)

    def prune(self) -> None:
        """Networks that nobody is on; if it is interrupted, some of them are gone."""
        gone = [
            name
            for name, body in self.state.networks.items()
            if body.get("Labels") and not body.get("ConfigOnly") and not self.state.users(name, running=True)
        ]
        states = []
        for count in range(len(gone) + 1):
            for some in itertools.combinations(gone, count):
                states.append(copy.deepcopy(self.state))
                for name in some:
                    del states[-1].networks[name]
        self._ask("POST", f'/networks/prune?filters={{"label":["clerk={self.number}"]}}', None, *states)

    def create_box(self) -> None:
        name = self._name("box")
        homes = [each for each, body in self.state.networks.items() if not body.get("ConfigOnly")]
        if not homes:
            return
        networks = self.chance.sample(homes, self.chance.randint(1, min(2, len(homes))))
        ports = {self._port()} if self.chance.random() < 0.5 else set()
        body = {
            "Image": "busybox",
            "Cmd": ["sleep", "1000"],
            "StopSignal": "SIGKILL",
            "HostConfig": {"NetworkMode": networks[0], "PortBindings": _bindings(ports)},
            "NetworkingConfig": {"EndpointsConfig": {each: {"Aliases": [f"a-{name}"]} for each in networks}},
        }
        after = copy.deepcopy(self.state)
        after.boxes[name] = Box(False, set(networks), ports)
        self._ask("POST", f"/containers/create?name={name}", body, after)

    def start_box(self, name: str) -> None:
        self._ask("POST", f"/containers/{name}/start", None, self._with(name, running=True))

    def stop_box(self, name: str) -> None:
        self._ask("POST", f"/containers/{name}/stop?t=0", None, self._with(name, running=False))

    def restart(self, name: str) -> None:
        if not self.state.boxes[name].networks <= self.state.networks.keys():
            return
        self._ask("POST", f"/containers/{name}/restart?t=0", None, self._with(name, running=False), self.state)

    def remove_box(self, name: str) -> None:
        after = copy.deepcopy(self.state)
        del after.boxes[name]
        self._ask("DELETE", f"/containers/{name}?force=1", None, self._with(name, running=False), after)

    def rename(self, name: str) -> None:
        after = copy.deepcopy(self.state)
        after.boxes[self._name("box")] = after.boxes.pop(name)
        self._ask("POST", f"/containers/{name}/rename?name={list(after.boxes)[-1]}", None, after)

    def connect(self, name: str) -> None:
        others = self.state.networks.keys() - self.state.boxes[name].networks
        homes = sorted(each for each in others if not self.state.networks[each].get("ConfigOnly"))
        if homes:
            network = self.chance.choice(homes)
            body = {"Container": name, "EndpointConfig": {"Aliases": [f"a-{name}"]}}
            after = self._with(name, networks=self.state.boxes[name].networks | {network})
            self._ask("POST", f"/networks/{network}/connect", body, after)

    def disconnect(self, name: str) -> None:
        network = self.chance.choice(sorted(self.state.boxes[name].networks))
        after = self._with(name, networks=self.state.boxes[name].networks - {network})
        self._ask("POST", f"/networks/{network}/disconnect", {"Container": name}, after)

    def publish(self, name: str) -> None:
        """One port more, and one fewer if there is one."""
        before = self.state.boxes[name].ports
        more, fewer = {self._port()}, set(list(before)[:1])
        body = {"Add": _bindings(more), "Remove": _bindings(fewer)}
        self._ask("POST", f"/proa/containers/{name}/ports", body, self._with(name, ports=before - fewer | more))

    # --- how it is asked ----------------------------------------------------------------------------------

    def _name(self, kind: str) -> str:
        name = f"{kind}{self.number}-{next(self._numbers)}"
        self.names.add(name)
        return name

    def _port(self) -> int:
        return 10_000 + 1000 * self.number + next(self._numbers)

    def _with(self, box: str, **changes: Any) -> State:
        after = copy.deepcopy(self.state)
        for key, value in changes.items():
            setattr(after.boxes[box], key, value)
        return after

    def _ask(self, method: str, target: str, body: Any, *states: State) -> None:
        """Ask for what leads to the last of `states`; those before are what an interruption may leave."""
        self.asked = f"{method} {target} {json.dumps(body)}"
        self.possible = [self.state, *states]
        by_hand = self.number == 0 and self._by_hand(method, target, body)
        if not by_hand:
            answer = self.engine.api.request(method, target.replace('"', "%22"), body)
            if answer.status >= 400:
                raise Refused(f"{answer.status} {answer.body.decode()}")
        self.state, self.possible = states[-1], []

    def _by_hand(self, method: str, target: str, body: Any) -> bool:
        """Let docker's command line do what it has words for; the first clerk does."""
        words = {"connect": "connect", "disconnect": "disconnect"}.get(target.rpartition("/")[2], "")
        parts = target.split("/")
        if words:
            aliases = ["--alias", body["EndpointConfig"]["Aliases"][0]] if words == "connect" else []
            command = ["network", words, *aliases, parts[2], body["Container"]]
        elif method == "DELETE":
            command = (
                ["network", "rm", parts[2]] if parts[1] == "networks" else ["rm", "-f", parts[2].split("?")[0]]
            )
        else:
            return False
        done = Client.__call__(self.engine.docker, *command)
        if done.code:
            lost = "connect to the Docker daemon" in done.err or "EOF" in done.err or "reset by peer" in done.err
            raise ConnectionError(done.err) if lost else Refused(str(done))
        return True


def _bindings(ports: set[int]) -> dict[str, Any]:
    return {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)} for port in sorted(ports)]} if ports else {}
