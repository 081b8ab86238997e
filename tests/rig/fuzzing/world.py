"""An engine in namespaces of its own, with containers, images and volumes that names are taken from."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from rig import standard
from rig.engine import Engine, eventually
from rig.fuzzing import accounts
from rig.fuzzing.accounts import Account
from rig.fuzzing.gunner import Finding
from rig.fuzzing.shots import Shot
from rig.needs import need

_MOST_CONTAINERS = 24
_ISOLATED = 'ip link set lo up; exec "$@"'
_ANSWERS_WITHIN = 20.0  # seconds, for the simplest question while the machine is busy
_SLEEPER = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
_TALKER = {
    "Image": "busybox",
    "Cmd": ["sh", "-c", "while :; do echo tick; sleep 0.05; done"],
    "HostConfig": {"NetworkMode": "none"},
}


class FencedEngine(Engine):
    """proad in a network and a mount namespace of its own: nothing of the host's network can be reached."""

    def __init__(self, name: str) -> None:
        self.cgroup_parent = f"/proa-{name}"
        super().__init__("", ["--cgroup-parent", self.cgroup_parent])
        self.tasks_file = self.directory / "tasks"
        self.harmless = self.directory / "harmless"  # the only directory that may be mounted
        self.harmless.mkdir()

    @property
    def command(self) -> list[str]:
        need(shutil.which("unshare"), "the command unshare")
        _, *arguments = super().command
        return [
            "env",
            f"PROA_TASKS_FILE={self.tasks_file}",
            "unshare",
            "--net",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _ISOLATED,
            "sh",
            sys.executable,
            "-c",
            accounts.WRAPPER,
            *arguments,
        ]

    def stacks(self) -> str:
        """Where each task of proad is, after `account`."""
        return Path(f"{self.tasks_file}.stacks").read_text()

    def portrait(self) -> str:
        assert self.process
        return accounts.portrait(self.process.pid)

    def account(self) -> Account:
        assert self.process
        return accounts.take(self.process.pid, self.cgroup_parent, self.tasks_file)


class World:
    """What there is, as far as the fuzzer knows; `keep` puts back what it has taken away."""

    def __init__(self, engine: FencedEngine, chance: random.Random) -> None:
        self._engine = engine
        self._chance = chance
        self._lock = threading.Lock()
        self._known: dict[str, deque[str]] = {
            "containers": deque(maxlen=30),
            "exec": deque(maxlen=12),
            "volumes": deque(["vol1", "vol2"], 12),
            "images": deque(["busybox", "busybox:latest", "made/by-fuzz", "made"], 16),
            "networks": deque(["bridge", "none", "host"], 16),
        }
        self._recipes: dict[str, bytes] = {}  # by identifier: the request that made it
        self.findings: list[Finding] = []
        self.slowest = 0.0  # seconds that the simplest question took

    def name(self, noun: str) -> str:
        """A name of something of a kind: its id, the beginning of one, a name, one of something gone."""
        with self._lock:
            known = list(self._known.get(noun) or ())
        if not known:
            return "x"
        name = self._chance.choice(known)
        if noun == "containers" and self._chance.random() < 0.2:
            return self._chance.choice((name[:12], name[:6], f"n{self._chance.randrange(30)}", f"/{name[:12]}"))
        return name

    def made(self, shot: Shot, status: int, body: bytes) -> None:
        """Learn names from an answer."""
        noun = {
            "/containers/create": "containers",
            "/containers/{name}/exec": "exec",
            "/volumes/create": "volumes",
            "/commit": "images",
            "/networks/create": "networks",
        }.get(shot.path)
        if noun and status == 201:
            document = json.loads(body)
            name = document.get("Id") or document.get("Name")
            self._learn(noun, name)
            with self._lock:
                self._recipes[name] = b"".join(shot.pieces)

    def recipe(self, shot: Shot) -> str:
        """How what a shot was about was made, as far as that is known."""
        words = set(re.split(r"[/?]", shot.target))
        with self._lock:
            found = [
                made
                for name, made in self._recipes.items()
                if any(len(w) > 5 and name.startswith(w) for w in words)
            ]
        return "\n".join(repr(made) for made in found)

    def _learn(self, noun: str, name: Any) -> None:
        if isinstance(name, str) and name:
            with self._lock:
                self._known[noun].append(name)

    def furnish(self) -> None:
        """Make what the fuzzing begins with, and what it may not do without."""
        api = self._engine.api
        if api.get("/images/busybox/json").status != 200:
            made = api.request(
                "POST", "/images/create", standard.busybox_layer().blob, fromSrc="-", repo="busybox", tag="latest"
            )
            assert b"errorDetail" not in made.body, made
        for body in (_SLEEPER, _TALKER, {**_SLEEPER, "Tty": True, "OpenStdin": True}):
            made = api.post("/containers/create", body)
            if made.status == 201:
                api.post(f"/containers/{made.json['Id']}/start")
                self._learn("containers", made.json["Id"])

    def keep(self, deadline: float) -> None:
        """Until `deadline`: look whether the engine answers, take away what is too much, put back what lacks."""
        while time.monotonic() < deadline:
            begun = time.monotonic()
            try:
                self._engine.api.get("/_ping")
                rows = self._engine.api.get("/containers/json", all=1).json
            except OSError as error:
                self.findings.append(Finding(f"the engine does not answer: {error}", "GET /_ping", ""))
                return
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if self.slowest > _ANSWERS_WITHIN:
                self.findings.append(Finding(f"the engine took {self.slowest:.1f} s", "GET /_ping", ""))
                return
            for row in rows[_MOST_CONTAINERS:]:
                self._engine.api.delete(f"/containers/{row['Id']}", force=1, v=1)
            if sum(row["State"] == "running" for row in rows) < 5:
                self.furnish()
            time.sleep(0.5)

    def clear(self) -> None:
        """Remove everything but the images that were there at the beginning."""
        api = self._engine.api
        api.remove_everything()
        for network in api.get("/networks", filters='{"type":["custom"]}').json or ():
            api.delete(f"/networks/{network['Id']}")
        for image in api.get("/images/json", all=1).json:
            if "busybox:latest" not in (image["RepoTags"] or ()):
                api.delete(f"/images/{image['Id']}", force=1)
        emptied = (
            self._engine.data_root / "containers", self._engine.exec_root / "containers",
            self._engine.data_root / "trash",
        )  # fmt: skip
        try:
            eventually(lambda: not any(map(_inside, emptied)), 60)
        except AssertionError as error:
            left = {str(directory): _inside(directory)[:5] for directory in emptied}
            raise AssertionError(f"{left}; containers: {api.get('/containers/json', all=1).json}") from error


def _inside(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.exists() else []
