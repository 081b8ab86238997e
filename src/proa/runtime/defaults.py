"""What a container gets when nothing else is said: Docker 28's defaults, as data.

Everything is in the words of the OCI runtime specification (config.md, config-linux.md).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
)
"""Bounding, permitted and effective set; inheritable and ambient are empty (CVE-2022-24769)."""

# Nothing below is namespaced: reading it tells of the host and its other containers.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",  # timing of keystrokes and of other tenants (GHSA-6fw5-f8r9-fgfm)
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",  # power as a side channel (PLATYPUS, GHSA-jq35-85cj-fj4p)
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_CPUS = "/sys/devices/system/cpu"


def masked_paths() -> list[str]:
    """Return the paths to hide, with the thermal_throttle of each CPU that has one (GHSA-6fw5-f8r9-fgfm)."""
    cpus = sorted(name for name in os.listdir(_CPUS) if name.startswith("cpu") and name[3:].isdecimal())
    throttles = [f"{_CPUS}/{name}/thermal_throttle" for name in cpus]
    return [*MASKED_PATHS, *(path for path in throttles if os.path.isdir(path))]


def _mount(destination: str, kind: str, options: str, source: str = "") -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source or kind, "options": options.split()}


MOUNTS = (
    _mount("/proc", "proc", "nosuid noexec nodev"),
    _mount("/dev", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
    _mount("/dev/pts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
    _mount("/sys", "sysfs", "nosuid noexec nodev ro"),
    _mount("/sys/fs/cgroup", "cgroup", "ro nosuid noexec nodev"),
    _mount("/dev/mqueue", "mqueue", "nosuid noexec nodev"),
    _mount("/dev/shm", "tmpfs", "nosuid noexec nodev mode=1777 size=67108864", "shm"),
)
"""In the order of mounting. The size of /dev/shm is --shm-size's default, 64 MiB."""


def _node(path: str, major: int, minor: int) -> dict[str, Any]:
    return {"path": path, "type": "c", "major": major, "minor": minor, "fileMode": 0o666, "uid": 0, "gid": 0}


DEVICE_NODES = (
    _node("/dev/null", 1, 3),
    _node("/dev/zero", 1, 5),
    _node("/dev/full", 1, 7),
    _node("/dev/random", 1, 8),
    _node("/dev/urandom", 1, 9),
    _node("/dev/tty", 5, 0),
)
"""Of the default devices (config-linux.md); /dev/ptmx is a link into the container's own devpts, and
/dev/console exists with a terminal only."""


def _allow(access: str, kind: str = "c", major: int | None = None, minor: int | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    return rule | {key: value for key, value in (("major", major), ("minor", minor)) if value is not None}


DEVICE_RULES: tuple[dict[str, Any], ...] = (
    {"allow": False, "access": "rwm"},
    # Making a node is harmless while opening it is not allowed.
    _allow("m", "c"),
    _allow("m", "b"),
    *(_allow("rwm", "c", node["major"], node["minor"]) for node in DEVICE_NODES),
    _allow("rwm", "c", 5, 1),  # /dev/console
    _allow("rwm", "c", 5, 2),  # /dev/ptmx
    _allow("rwm", "c", 136),  # /dev/pts/*
    _allow("rwm", "c", 10, 200),  # /dev/net/tun, which older runtimes gave and VPN containers expect
)
"""The device cgroup: Docker's rules with those that runc adds to every container."""
