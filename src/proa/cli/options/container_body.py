"""From the flags of `run` and `create` to the body of `POST /containers/create`.

Two tables say what a flag becomes: most are copied to a field, the others have a function in a module that is
imported when one of its flags is given. Fields of flags that are not given are left out.
"""

from __future__ import annotations

from proa.cli.flags import check
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

_CONFIG = {
    "domainname": "Domainname", "hostname": "Hostname", "stop-signal": "StopSignal", "user": "User",
    "stop-timeout": "StopTimeout", "workdir": "WorkingDir",
}  # fmt: skip
_HOST_CONFIG = {
    "add-host": "ExtraHosts", "blkio-weight": "BlkioWeight", "blkio-weight-device": "BlkioWeightDevice",
    "cgroup-parent": "CgroupParent", "cidfile": "ContainerIDFile",
    "cpu-count": "CpuCount", "cpu-percent": "CpuPercent", "cpu-period": "CpuPeriod", "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod", "cpu-rt-runtime": "CpuRealtimeRuntime", "cpu-shares": "CpuShares",
    "cpus": "NanoCpus", "cpuset-cpus": "CpusetCpus", "cpuset-mems": "CpusetMems",
    "device-cgroup-rule": "DeviceCgroupRules", "dns": "Dns", "dns-option": "DnsOptions",
    "dns-search": "DnsSearch", "group-add": "GroupAdd", "init": "Init", "io-maxbandwidth": "IOMaximumBandwidth",
    "io-maxiops": "IOMaximumIOps", "ipc": "IpcMode", "isolation": "Isolation", "kernel-memory": "KernelMemory",
    "memory": "Memory", "memory-reservation": "MemoryReservation", "memory-swap": "MemorySwap",
    "memory-swappiness": "MemorySwappiness", "oom-kill-disable": "OomKillDisable",
    "oom-score-adj": "OomScoreAdj", "pids-limit": "PidsLimit", "privileged": "Privileged",
    "publish-all": "PublishAllPorts", "read-only": "ReadonlyRootfs", "rm": "AutoRemove", "runtime": "Runtime",
    "shm-size": "ShmSize", "volume-driver": "VolumeDriver", "volumes-from": "VolumesFrom",
}  # fmt: skip
_FUNCTIONS = {
    "devices.devices_body": ("device",),
    "devices.gpus_body": ("gpus",),
    "devices.throttles_body": ("device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops"),
    "environment.annotations_body": ("annotation", "egress", "ephemeral", "health-on-failure", "publish-policy"),
    "environment.environment_body": ("env", "env-file"),
    "environment.labels_body": ("label", "label-file"),
    "environment.log_body": ("log-driver", "log-opt"),
    "environment.storage_body": ("storage-opt",),
    "environment.sysctls_body": ("sysctl",),
    "health.health_body": (
        "health-cmd", "health-interval", "health-retries", "health-start-interval", "health-start-period",
        "health-timeout", "no-healthcheck",
    ),
    "limits.restart_body": ("restart",),
    "limits.ulimits_body": ("ulimit",),
    "mounts.mounts_body": ("mount",),
    "mounts.tmpfs_body": ("tmpfs",),
    "mounts.volumes_body": ("volume",),
    "networks.networks_body": (
        "network", "network-alias", "ip", "ip6", "mac-address", "link", "link-local-ip",
    ),
    "networks.ports_body": ("expose", "publish"),
    "security.capabilities_body": ("cap-add", "cap-drop"),
    "security.namespaces_body": ("cgroupns", "pid", "userns", "uts"),
    "security.options_body": ("security-opt",),
}  # fmt: skip


def body(options: Options, image: str, command: list[str]) -> dict[str, Any]:
    """Return the request's body. Raises `InvalidArgument` for flags that make no sense together."""
    host: dict[str, Any] = {"NetworkMode": "default"}
    config: dict[str, Any] = {"Image": image, "HostConfig": host}
    if command:
        config["Cmd"] = command
    values = options.values
    for flag, field in _CONFIG.items():
        if flag in values:
            config[field] = values[flag]
    for flag, field in _HOST_CONFIG.items():
        if flag in values:
            host[field] = values[flag]
    if options.given("entrypoint"):
        config["Entrypoint"] = [options["entrypoint"]]
    _streams(options, config)
    for name, flags in _FUNCTIONS.items():
        if any(flag in values for flag in flags):
            check(name)(options, config)
    _check(options)
    return config


def _streams(options: Options, config: dict[str, Any]) -> None:
    attach = options["attach"]
    interactive = options["interactive"]
    config["Tty"] = options["tty"]
    config["OpenStdin"] = interactive
    config["AttachStdin"] = "stdin" in attach or interactive
    config["AttachStdout"] = "stdout" in attach or not attach
    config["AttachStderr"] = "stderr" in attach or not attach
    config["StdinOnce"] = interactive and config["AttachStdin"]


def _check(options: Options) -> None:
    swappiness = options["memory-swappiness"]
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidArgument(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    if not options["disable-content-trust"]:
        raise InvalidArgument(
            "--disable-content-trust=false: signed images of Docker Content Trust are not supported"
        )


def leave_unattached(config: dict[str, Any]) -> None:
    """For `--detach`: nothing is attached when the container starts."""
    for field in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"):
        config[field] = False
