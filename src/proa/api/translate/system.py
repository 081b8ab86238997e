"""What `version` and `info` say about the engine and its host."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import sys
import uuid
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from proa import __version__, times
from proa.api import versions
from proa.api.facade import Engine
from proa.engine.logs.drivers import DRIVERS
from proa.engine.records import Status
from proa.linux import capabilities
from proa.oci.platform import default as default_platform

_CGROUP_V2 = Path("/sys/fs/cgroup/cgroup.controllers")


def version() -> dict[str, Any]:
    """Return the answer of `GET /version`. Older clients read the top level, newer ones Components."""
    uname = os.uname()
    details = {
        "ApiVersion": versions.text(versions.CURRENT),
        "Arch": _architecture(),
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": f"python{sys.version.split()[0]}",
        "KernelVersion": uname.release,
        "MinAPIVersion": versions.text(versions.MINIMUM),
        "Os": "linux",
    }
    return {
        "Platform": {"Name": "Proa"},
        "Components": [
            {"Name": "Engine", "Version": versions.ENGINE_VERSION, "Details": details},
            {"Name": "proa", "Version": __version__, "Details": {}},
        ],
        "Version": versions.ENGINE_VERSION,
        **{key: details[key] for key in ("ApiVersion", "MinAPIVersion", "GitCommit", "GoVersion", "Os", "Arch")},
        "KernelVersion": uname.release,
        "BuildTime": "",
    }


def info(engine: Engine) -> dict[str, Any]:
    """Return the answer of `GET /info`."""
    settings = engine.settings
    counts = Counter(record.state.status for record in engine.containers.all())
    uname = os.uname()
    unified = _CGROUP_V2.exists()
    return {
        "ID": _engine_id(str(settings.data_root)),
        "Containers": counts.total(),
        "ContainersRunning": counts[Status.RUNNING],
        "ContainersPaused": counts[Status.PAUSED],
        "ContainersStopped": counts.total() - counts[Status.RUNNING] - counts[Status.PAUSED],
        "Images": len(engine.images.list(all=True)),
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", _filesystem(settings.data_root)],
            ["Supports d_type", "true"],  # overlayfs mounts on nothing else
            ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"],
            ["userxattr", "false"],
        ],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": sorted(set(DRIVERS) - {"none"}),
        },
        "MemoryLimit": True,
        "SwapLimit": _has_swap_limit(unified),
        "KernelMemory": False,  # the kernel has taken both limits away
        "KernelMemoryTCP": False,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "BridgeNfIptables": False,
        "BridgeNfIp6tables": False,
        "IPv4Forwarding": _reads("/proc/sys/net/ipv4/ip_forward") == "1",
        "Debug": settings.debug,
        "NFd": len(os.listdir("/proc/self/fd")),
        "OomKillDisable": not unified,
        "NGoroutines": len(asyncio.all_tasks()),
        "SystemTime": times.format_time(times.now()),
        "LoggingDriver": settings.log_driver,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if unified else "1",
        "NEventsListener": engine.events.listeners,
        "KernelVersion": uname.release,
        "OperatingSystem": _operating_system()[0],
        "OSVersion": _operating_system()[1],
        "OSType": "linux",
        "Architecture": uname.machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registries(settings.insecure_registries, settings.registry_mirrors),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": host_memory(),
        "GenericResources": None,
        "DockerRootDir": str(settings.data_root),
        "HttpProxy": _proxy("http_proxy"),
        "HttpsProxy": _proxy("https_proxy"),
        "NoProxy": _proxy("no_proxy"),
        "Name": uname.nodename,
        "Labels": settings.labels,
        "ExperimentalBuild": False,
        "ServerVersion": versions.ENGINE_VERSION,
        "Runtimes": engine.runtimes.all(),
        "DefaultRuntime": engine.runtimes.default,
        "Swarm": {
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False,
            "Error": "", "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "",
        # Proa does itself what these are for.
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": "", "Expected": ""},
        "InitCommit": {"ID": "", "Expected": ""},
        "SecurityOptions": _security_options(unified),
        "CDISpecDirs": [],
        "FirewallBackend": {"Driver": "nftables", "Info": [["PublishPolicy", settings.publish_policy]]},
        "Warnings": _warnings(settings.notices),
    }  # fmt: skip


def _filesystem(directory: Path) -> str:
    """Return what a directory is on, in Docker's words: "extfs" for ext4 (proc_pid_mountinfo(5))."""
    try:
        status = directory.stat()
    except OSError:
        return "<unknown>"
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    for line in _reads("/proc/self/mountinfo").splitlines():
        fields, _, behind = line.partition(" - ")
        if fields.split()[2] == device:
            kind = behind.split()[0]
            return "extfs" if kind in ("ext2", "ext3", "ext4") else kind
    return "<unknown>"


def _proxy(name: str) -> str:
    """Return what the environment says, without credentials."""
    text = os.environ.get(name.upper()) or os.environ.get(name, "")
    return re.sub(r"//[^/@]*@", "//xxxxx:xxxxx@", text)


def _architecture() -> str:
    return default_platform().architecture


@lru_cache
def _engine_id(data_root: str) -> str:
    """Return an identifier that stays with this machine and data root."""
    machine = _reads("/etc/machine-id") or platform.node()
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"proa {machine} {data_root}"))


@lru_cache
def _operating_system() -> tuple[str, str]:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "Linux", ""
    return release.get("PRETTY_NAME", "Linux"), release.get("VERSION_ID", "")


def _registries(insecure: list[str], mirrors: list[str]) -> dict[str, Any]:
    networks = [name for name in insecure if "/" in name] + ["::1/128", "127.0.0.0/8"]
    hub = {"Name": "docker.io", "Mirrors": mirrors, "Secure": True, "Official": True}
    configs: dict[str, Any] = {
        name: {"Name": name, "Mirrors": [], "Secure": False, "Official": False}
        for name in insecure
        if "/" not in name
    }
    return {
        "AllowNondistributableArtifactsCIDRs": None,
        "AllowNondistributableArtifactsHostnames": None,
        "InsecureRegistryCIDRs": networks,
        "IndexConfigs": {"docker.io": hub, **configs},
        "Mirrors": mirrors,
    }


def _security_options(unified: bool) -> list[str]:
    return ["name=seccomp,profile=builtin", *(["name=cgroupns"] if unified else [])]


@lru_cache
def _has_swap_limit(unified: bool) -> bool:
    if unified:
        return "memory" in _reads("/sys/fs/cgroup/cgroup.controllers").split()
    return Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()


def _warnings(notices: list[str]) -> list[str] | None:
    warnings = list(notices)
    missing = [name for name in ("CAP_SYS_ADMIN", "CAP_NET_ADMIN") if not _has(name)]
    if missing:
        warnings.append(f"WARNING: the engine lacks {', '.join(missing)}")
    return warnings or None


def _has(name: str) -> bool:
    return bool(capabilities.bounding_set() & capabilities.mask([name]))


def _reads(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def host_memory() -> int:
    """Return the bytes of memory that this host has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
