"""Nothing that a fuzzer asks for may reach the host: what could is given a harmless value, before a body is sent.

The engine under fire has a network and a mount namespace of its own besides. Here is what these do not hold:
files and devices of the host, its namespaces, clock and limits, log servers, control groups outside the engine's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.ping_group_range",
    "kernel.msgmax",
    "novalue",
    "net.nosuch",
    "kernel.x",
)
_FORBIDDEN_CAPABILITIES = {
    "ALL",
    "CAP_ALL",
    "SYS_TIME",
    "CAP_SYS_TIME",
    "SYS_BOOT",
    "CAP_SYS_BOOT",
    "SYS_MODULE",
    "CAP_SYS_MODULE",
}
_LOCAL_LOGS = ("json-file", "local", "none", "nosuch", "")
_SHORTEST_INTERVAL = 200_000_000  # nanoseconds


class Fence:
    """`directory`: the only one of the host that may be mounted. `cgroup_parent`: the engine's own."""

    def __init__(self, chance: random.Random, directory: Path, cgroup_parent: str) -> None:
        self._chance = chance
        self._directory = directory
        self._parent = cgroup_parent
        # By the name of a field, wherever it stands: these names mean the same everywhere in the API.
        self._rules: dict[str, Callable[[Any], Any]] = {
            "Binds": self._binds,
            "Source": self._source,
            "Privileged": lambda _: False,
            "NetworkMode": self._mode,
            "PidMode": self._mode,
            "IpcMode": self._mode,
            "UTSMode": self._mode,
            "UsernsMode": self._mode,
            "CgroupnsMode": self._mode,
            "Cgroup": self._mode,
            "Devices": self._devices,
            "DeviceCgroupRules": lambda _: self._chance.choice([[], ["c 1:3 rwm"], ["x"]]),
            "Path": lambda _: "/dev/null",
            "Sysctls": lambda _: {self._chance.choice(_SYSCTLS): self._chance.choice(["1", "0", "x", ""])},
            "CgroupParent": lambda _: self._chance.choice(["", self._parent]),
            "LogConfig": self._log,
            "DriverOpts": self._driver_options,
            "DriverConfig": lambda _: {"Name": "local"},
            "CapAdd": self._capabilities,
            "HostIp": lambda value: value if value in ("", "x") else "127.0.0.1",
            "HostPort": lambda value: value if value in ("", "0", "x") else "0",
            "Interval": self._interval,
            "StartInterval": self._interval,
            "StopTimeout": lambda value: value if isinstance(value, str) else self._chance.choice((0, 1)),
            "OomScoreAdj": lambda value: 0 if isinstance(value, int) and value < 0 else value,
            "serveraddress": lambda _: "127.0.0.1:1",
            "Runtime": lambda value: value if value in ("", "proa", "nosuch", None) else "nosuch",
            "ContainerIDFile": lambda _: "",
        }

    def tame(self, value: Any) -> Any:
        """Return a JSON value in which nothing reaches the host; keys count in any spelling."""
        if isinstance(value, dict):
            return {key: self._field(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.tame(inner) for inner in value]
        return value

    def _field(self, key: str, value: Any) -> Any:
        rule = self._rules.get(key)
        return self.tame(value) if rule is None else rule(value)

    def query(self, name: str, text: str) -> str:
        """Return what a parameter of a query may be."""
        if name == "t":
            return text if text in ("0", "1", "x", "") else "0"
        if name in ("fromSrc", "remote") and text.startswith("http"):
            return "http://127.0.0.1:1/x"
        return text

    def _binds(self, value: Any) -> Any:
        if not isinstance(value, list):
            return None
        return self._chance.choice(
            [
                [],
                [f"{self._directory}:/data"],
                [f"{self._directory}/new:/data:ro"],
                ["vol1:/data"],
                ["/data"],
                ["a:b"],
                [f"{self._directory}:/"],
                ["vol1:/a", "vol2:/b"],
                [":"],
                [f"{self._directory}:/proc/x"],
                ["vol1:/d:nosuch"],
                [f"{self._directory}:/x:z"],
                ["vol1:/a", "vol1:/a"],
            ]
        )

    def _source(self, _: Any) -> str:
        return self._chance.choice(["", str(self._directory), f"{self._directory}/nosuch", "vol1", "no good"])

    def _mode(self, value: Any) -> Any:
        return "nosuch" if isinstance(value, str) and value.strip().lower().startswith("host") else value

    def _devices(self, _: Any) -> Any:
        return self._chance.choice(
            [
                None,
                [],
                [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}],
                [{"PathOnHost": "/dev/nosuch"}],
                [{"PathOnHost": "/dev/null", "CgroupPermissions": "x"}],
            ]
        )

    def _log(self, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("Type") not in _LOCAL_LOGS:
            return {"Type": "json-file"}
        return value

    def _driver_options(self, _: Any) -> Any:
        return self._chance.choice([None, {}, {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, {"x": "y"}])

    def _capabilities(self, value: Any) -> Any:
        names = value if isinstance(value, list) else []
        return [each for each in names if not (isinstance(each, str) and each.upper() in _FORBIDDEN_CAPABILITIES)]

    def _interval(self, value: Any) -> Any:
        return max(value, _SHORTEST_INTERVAL) if isinstance(value, int) and value > 0 else value
