"""From a container's record to the OCI runtime specification that `proa.runtime` executes.

Pure but for looking at the host where an option names something of it (devices). Next hop of `run`:
`engine/containers/launching.py`; the container's own process reads the specification from config.json in
the runtime directory, its shim gets an `outline`.

The key "proa" of the result is ours: how the root is mounted, the user by name, the compiled filter. The
rest is what any OCI runtime takes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proa.engine import devices, resources
from proa.engine.containers import config
from proa.engine.logs import destination
from proa.engine.options import ContainerOptions
from proa.engine.records import Container, Exec, MountPoint
from proa.engine.security import Security
from proa.runtime import defaults

OCI_VERSION = "1.2.0"
_HOST_NAMESPACE = "host"


@dataclass(slots=True)
class Place:
    """Where a container's parts are on this host, and which namespaces it joins; found out at its start."""

    directory: Path  # of the log
    cgroup: str
    overlay: dict[str, Any] = field(default_factory=dict)
    network: str | None = None  # path of the namespace; "" for a new one, None for the host's
    ipc: str | None = ""
    pid: str | None = ""
    shm: str = ""  # directory that is /dev/shm when the IPC namespace is shared
    files: dict[str, Path] = field(default_factory=dict)  # /etc/hosts … -> host's file
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)  # destination -> runtime/parts.py
    variables: list[str] = field(default_factory=list)  # of links
    cgroup_version: str = "v2"
    runtime: list[str] = field(default_factory=list)  # command of another runtime than Proa's
    runtime_directory: str = ""


def build(record: Container, security: Security, place: Place) -> dict[str, Any]:
    """Return the runtime specification of a container about to start."""
    options = record.options
    return {
        "ociVersion": OCI_VERSION,
        "process": _process(options, security, place.variables),
        "root": {"path": "rootfs", "readonly": options.read_only},
        **_names(record),
        "mounts": _mounts(record, security, place),
        "annotations": options.annotations,
        "linux": {
            "cgroupsPath": place.cgroup,
            "namespaces": _namespaces(options, place),
            "resources": resources.specification(options, security.privileged),
            "devices": devices.nodes(options),
            "sysctl": options.sysctls,
            "maskedPaths": security.masked_paths,
            "readonlyPaths": security.readonly_paths,
        },
        "proa": {
            "overlay": place.overlay,
            "user": options.user,
            "groups": options.group_add,
            "seccomp": security.filter_path,
            "init": options.init,
        },
    }


def outline(record: Container, place: Place) -> dict[str, Any]:
    """Return what the shim must know; the specification itself is read by the container's own process only."""
    options = record.options
    return {
        "outline": {
            "cgroup": place.cgroup,
            "resources": resources.specification(options, options.privileged),
            "pids": place.pid,
            **_runtime(place),
        },
        "stdio": {
            "terminal": options.tty,
            "stdin": options.open_stdin,
            "stdin_once": options.stdin_once,
        },
        "log": destination.describe(record, place.directory),
    }


def _runtime(place: Place) -> dict[str, Any]:
    if not place.runtime:
        return {}
    return {"runtime": {"command": place.runtime, "directory": f"{place.runtime_directory}/oci"}}


def exec_stdio(execution: Exec) -> dict[str, bool]:
    """Return what the shim must know of one more process."""
    return {"terminal": execution.tty, "stdin": execution.attach_stdin, "stdin_once": True}


def build_exec(record: Container, execution: Exec, security: Security, links: list[str]) -> dict[str, Any]:
    """Return the part of a specification that one more process needs; it inherits the container's settings.

    `links` are the variables that tell of the container's links.
    """
    options = record.options
    security = security.for_exec(privileged=execution.privileged)
    process = _process(options, security, links)
    process |= {
        "args": execution.command,
        "cwd": execution.working_dir or options.working_dir or "/",
        "env": config.environment(execution.env, process["env"]),
        "terminal": execution.tty,
    }
    process.pop("consoleSize", None)
    if execution.console_size:
        process["consoleSize"] = _size(execution.console_size)
    if execution.tty:
        process["env"] = config.environment(["TERM=xterm", *execution.env], process["env"])
    return {
        "process": process,
        "proa": {
            "user": execution.user or options.user,
            "groups": options.group_add,
            "seccomp": security.filter_path,
        },
    }


def _process(options: ContainerOptions, security: Security, links: list[str]) -> dict[str, Any]:
    process: dict[str, Any] = {
        "terminal": options.tty,
        "args": config.arguments(options),
        "env": _environment(options, links),
        "cwd": options.working_dir or "/",
        "capabilities": security.capability_sets(root=_is_root(options.user)),
        "rlimits": resources.rlimits(options.ulimits),
        "noNewPrivileges": security.no_new_privileges,
    }
    if options.oom_score_adj:
        process["oomScoreAdj"] = options.oom_score_adj
    if options.console_size:
        process["consoleSize"] = _size(options.console_size)
    return process


def _is_root(user: str) -> bool:
    return user.partition(":")[0] in ("", "0", "root")


def _size(size: tuple[int, int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}


def _environment(options: ContainerOptions, links: list[str]) -> list[str]:
    """Docker's own variables, those of links among them, go below everything that image and user set."""
    own = [config.DEFAULT_PATH, f"HOSTNAME={options.hostname}"]
    if options.tty:
        own.append("TERM=xterm")
    return config.environment(options.env, [*own, *links])


def _names(record: Container) -> dict[str, Any]:
    if record.options.uts_mode == _HOST_NAMESPACE:
        return {}
    return {"hostname": record.options.hostname, "domainname": record.options.domainname}


def _namespaces(options: ContainerOptions, place: Place) -> list[dict[str, str]]:
    """New namespaces, those of others by path; one that is the host's is not listed."""
    entries: list[dict[str, str]] = [{"type": "mount"}]
    if options.uts_mode != _HOST_NAMESPACE:
        entries.append({"type": "uts"})
    for kind, path in (("network", place.network), ("ipc", place.ipc), ("pid", place.pid)):
        if path is not None:
            entries.append({"type": kind, "path": path} if path else {"type": kind})
    if _private_cgroup(options, place):
        entries.append({"type": "cgroup"})
    return entries


def _private_cgroup(options: ContainerOptions, place: Place) -> bool:
    """Docker's default: private on v2, the host's on v1 and for privileged containers."""
    if options.cgroupns_mode:
        return options.cgroupns_mode == "private"
    return place.cgroup_version == "v2" and not options.privileged


def _mounts(record: Container, security: Security, place: Place) -> list[dict[str, Any]]:
    """Default mounts, the engine's files, the user's mounts; a user's mount replaces one at the same place."""
    options = record.options
    own = [user_mount(point, place.parts.get(point.destination, {})) for point in record.mounts]
    taken = {entry["destination"] for entry in own}
    entries = [entry for entry in _default_mounts(options, security, place) if entry["destination"] not in taken]
    files = [
        {"destination": path, "type": "bind", "source": str(source), "options": ["rbind", "rprivate"]}
        for path, source in place.files.items()
        if path not in taken
    ]
    # A mount below another one has to come after it, the engine's files after a user's /etc too.
    entries += sorted(files + own, key=lambda entry: entry["destination"].rstrip("/").count("/"))
    return entries


def _default_mounts(options: ContainerOptions, security: Security, place: Place) -> list[dict[str, Any]]:
    entries = []
    for default in defaults.MOUNTS:
        entry = {**default, "options": list(default["options"])}
        if security.privileged and entry["destination"] in ("/sys", "/sys/fs/cgroup"):
            entry["options"] = [word for word in entry["options"] if word != "ro"]
        if entry["destination"] == "/sys" and place.network is None:
            # sysfs shows the network namespace of who mounts it; the host's own is bound.
            entry = {"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]}
        if entry["destination"] == "/dev/shm" and options.ipc_mode == "none":
            continue
        if entry["destination"] == "/dev/shm":
            entry = _shm(entry, options, place)
        if entry["destination"] == "/dev/mqueue" and place.ipc is None:
            entry = {**entry, "type": "bind", "source": "/dev/mqueue", "options": ["bind"]}
            if not os.path.isdir("/dev/mqueue"):
                continue
        entries.append(entry)
    return entries


def _shm(entry: dict[str, Any], options: ContainerOptions, place: Place) -> dict[str, Any]:
    if place.shm:
        return {**entry, "type": "bind", "source": place.shm, "options": ["rbind", "rprivate"]}
    words = [word for word in entry["options"] if not word.startswith("size=")]
    return {**entry, "options": [*words, f"size={options.shm_size}"]}


def user_mount(point: MountPoint, part: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a mount that the user asked for; `part` as in `runtime/parts.py`."""
    if point.type == "tmpfs":
        words = ["nosuid", "nodev", "noexec", *filter(None, point.tmpfs_options.split(","))]
        return {"destination": point.destination, "type": "tmpfs", "source": "tmpfs", "options": _last(words)}
    words = ["bind" if point.non_recursive else "rbind"]
    if not point.read_write:
        words.append("ro")
        if not point.read_only_non_recursive and not point.non_recursive:
            words.append("rro")
    words.append(point.propagation or "rprivate")
    entry = {"destination": point.destination, "type": "bind", "source": point.source, "options": words}
    return (
        {**entry, "source": point.name if point.type == "image" else point.source, "proa": part} if part else entry
    )


_OPPOSITES = {"nosuid": "suid", "nodev": "dev", "noexec": "exec"}


def _last(words: list[str]) -> list[str]:
    """Drop a default that a later word takes back."""
    return [word for word in words if _OPPOSITES.get(word) not in words and word not in _OPPOSITES.values()]
