"""Container records as `inspect` shows them: everything, with Docker's defaults filled in."""

from __future__ import annotations

from typing import Any

import msgspec

from proa import cgroups, times
from proa.api.request import without_nulls
from proa.api.translate import egress, networks, ports, supervision
from proa.api.translate.containers import mount
from proa.api.types.containers import Config, CreateBody
from proa.api.types.host_config import HostConfig
from proa.api.versions import Version
from proa.engine.logs.destination import log_path
from proa.engine.records import Container, Exec, State, Status
from proa.engine.settings import DEFAULT_LOG_DRIVER, DEFAULT_RUNTIME, Settings
from proa.runtime import defaults

# What the engine completed or spelled out: these fields are its own, not the request's.
_FROM_OPTIONS = (
    "annotations", "auto_remove", "cap_add", "cap_drop", "cgroup_parent", "device_cgroup_rules", "dns",
    "dns_options", "dns_search", "extra_hosts", "group_add", "ipc_mode", "network_mode", "oom_score_adj",
    "pid_mode", "privileged", "runtime", "security_opt", "shm_size", "sysctls", "uts_mode", "volumes_from",
)  # fmt: skip


# Limits that `update` may have changed since.
_UPDATED = (
    "blkio_weight", "cpu_period", "cpu_quota", "cpu_realtime_period", "cpu_realtime_runtime", "cpu_shares",
    "cpuset_cpus", "cpuset_mems", "memory_reservation", "nano_cpus",
)  # fmt: skip


def document(
    record: Container, execs: list[Exec], settings: Settings, links: list[str], version: Version
) -> dict[str, Any]:
    """Return the answer of `GET /containers/{id}/json`."""
    body = _body(record)
    directory = settings.container_directory(record.id)
    driver = record.options.log_driver or DEFAULT_LOG_DRIVER
    files = settings.runtime_directory(record.id)  # made anew at each start
    own = {} if record.options.egress is None else {"Egress": egress.document(record)}
    return own | {
        "Id": record.id,
        "Created": times.format_time(record.created),
        "Path": record.path,
        "Args": record.args,
        "State": _state(record.state),
        "Image": record.image_id,
        "ResolvConfPath": str(files / "resolv.conf"),
        "HostnamePath": str(files / "hostname"),
        "HostsPath": str(files / "hosts"),
        # Of the other drivers Docker shows none, though it may have a file for them, too.
        "LogPath": str(log_path(directory, record.id, record.options)) if driver == DEFAULT_LOG_DRIVER else "",
        "Name": f"/{record.name}",
        "RestartCount": record.state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": [each.id for each in execs] or None,
        "HostConfig": _host_config(record, body, settings) | {"Links": links or None},
        "GraphDriver": {
            "Data": {"UpperDir": str(directory / "upper"), "WorkDir": str(directory / "work")},
            "Name": "overlay2",
        },
        "Mounts": [mount(point) for point in record.mounts],
        "Config": _config(record, body),
        "NetworkSettings": _network_settings(record, version),
    }


def _body(record: Container) -> CreateBody:
    """Return the request that made the container; one made in-process has none."""
    return msgspec.convert(without_nulls(record.request), CreateBody)


def _state(state: State) -> dict[str, Any]:
    document = {
        "Status": str(state.status),
        "Running": state.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING),
        "Paused": state.status is Status.PAUSED,
        "Restarting": state.status is Status.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status is Status.DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": times.format_time(state.started_at),
        "FinishedAt": times.format_time(state.finished_at),
    }
    if state.health:
        document["Health"] = supervision.health(state.health)
    return document


def _host_config(record: Container, body: CreateBody, settings: Settings) -> dict[str, Any]:
    host: HostConfig = body.host_config
    options = record.options
    for name in _FROM_OPTIONS:
        if value := getattr(options, name):
            setattr(host, name, value)
    limits = options.resources
    host.memory, host.memory_swap = limits.memory, limits.memory_swap
    if limits.memory > 0 and not limits.memory_swap:
        host.memory_swap = 2 * limits.memory  # the default, spelled out as Docker does
    for name in _UPDATED:
        setattr(host, name, getattr(limits, name))
    host.pids_limit = limits.pids_limit if limits.pids_limit > 0 else None
    host.ipc_mode = host.ipc_mode or "private"
    host.cgroupns_mode = options.cgroupns_mode or host.cgroupns_mode or "private"
    host.runtime = options.runtime or DEFAULT_RUNTIME
    host.shm_size = host.shm_size or settings.default_shm_size
    host.log_config.type, host.log_config.config = options.log_driver or DEFAULT_LOG_DRIVER, options.log_options
    host.restart_policy.name = options.restart_policy.name
    host.restart_policy.maximum_retry_count = options.restart_policy.maximum_retries
    if not options.privileged:
        host.masked_paths = defaults.masked_paths() if host.masked_paths is None else host.masked_paths
        if host.readonly_paths is None:
            host.readonly_paths = list(defaults.READONLY_PATHS)
    result: dict[str, Any] = msgspec.to_builtins(host)
    if "PortBindings" not in (record.request.get("HostConfig") or {}):
        result["PortBindings"] = None
    if host.oom_kill_disable is None and cgroups.detect() == "v1":
        result["OomKillDisable"] = False  # control groups v2 have no such switch
    return result


def _config(record: Container, body: CreateBody) -> dict[str, Any]:
    options = record.options
    given: dict[str, Any] = msgspec.to_builtins(body)
    config: dict[str, Any] = {
        key: given[key] for key in (field.encode_name for field in msgspec.structs.fields(Config)) if key in given
    }
    config |= {
        "Hostname": options.hostname,
        "Domainname": options.domainname,
        "User": options.user,
        "AttachStdin": options.attach_stdin,
        "AttachStdout": options.attach_stdout,
        "AttachStderr": options.attach_stderr,
        "Tty": options.tty,
        "OpenStdin": options.open_stdin,
        "StdinOnce": options.stdin_once,
        "Env": options.env,
        "Cmd": options.command or None,
        "Image": options.image,
        "WorkingDir": options.working_dir,
        "Entrypoint": options.entrypoint or None,
        "Labels": options.labels,
    }
    declared = [each.target for each in options.mounts if each.from_image]
    config["Volumes"] = {path: {} for path in [*(body.volumes or ()), *declared]} or None
    if options.exposed_ports:
        config["ExposedPorts"] = {port: {} for port in ports.expanded(options.exposed_ports)}
    if options.healthcheck and (check := supervision.configuration(options.healthcheck)):
        config["Healthcheck"] = check
    if options.stop_signal:
        config["StopSignal"] = options.stop_signal
    if options.stop_timeout is not None:
        config["StopTimeout"] = options.stop_timeout
    return config


def _network_settings(record: Container, version: Version) -> dict[str, Any]:
    attached = networks.endpoints(record)
    if version < (1, 45):
        networks.name_by_aliases(record, attached)
    bridged = attached.get("bridge", networks.NOWHERE)  # what has no place for a network is about the default one
    return {
        "Bridge": "",
        "SandboxID": next((place.endpoint_id for place in record.endpoints.values()), ""),
        # A file of the namespace for nsenter(1) and its like; Docker keeps one mounted, Proa leaves no mounts.
        "SandboxKey": f"/proc/{record.state.pid}/ns/net" if record.running else "",
        "Ports": ports.port_map(record),
        **ports.policy_in_force(record),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{
            name: bridged[name]
            for name in (
                "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress",
                "IPPrefixLen", "IPv6Gateway", "MacAddress",
            )
        },
        "Networks": attached,
    }  # fmt: skip
