"""From a create body to `ContainerOptions`: shape, Docker's spellings, and what only Docker checks.

The engine itself checks what needs images, containers or the host (`engine/containers/create.py`).
"""

from __future__ import annotations

from proa.api.translate import egress, endpoints, ports, supervision
from proa.api.translate.mounts import mounts
from proa.api.translate.unsupported import refuse
from proa.api.types import host_config as wire
from proa.api.types.containers import CreateBody
from proa.engine import options as engine
from proa.engine.resources import parse_size
from proa.errors import InvalidArgument
from proa.linux import capabilities
from proa.network.published import PROTOCOLS

EPHEMERAL = "org.proa.ephemeral"  # an annotation or a label


def options(body: CreateBody, platform: str = "") -> engine.ContainerOptions:
    """Return what the engine is asked for. Raises `InvalidArgument` or `Unsupported`."""
    host = body.host_config
    refuse(body)
    if host.network_mode.startswith("container:"):
        ports.check_shared(body)
    annotations = host.annotations or {}
    return engine.ContainerOptions(
        image=body.image,
        command=_words(body.cmd),
        entrypoint=_words(body.entrypoint),
        env=environment(body.env or []),
        user=body.user,
        working_dir=body.working_dir,
        hostname=body.hostname,
        domainname=body.domainname,
        labels=body.labels,
        annotations=annotations,
        tty=body.tty,
        open_stdin=body.open_stdin,
        stdin_once=body.stdin_once,
        attach_stdin=body.attach_stdin,
        attach_stdout=body.attach_stdout,
        attach_stderr=body.attach_stderr,
        console_size=console_size(host.console_size),
        stop_signal=body.stop_signal or "",
        stop_timeout=body.stop_timeout if isinstance(body.stop_timeout, int) else None,
        exposed_ports=[_port(text) for text in body.exposed_ports or ()],
        port_bindings=ports.bindings(host.port_bindings),
        publish_all=host.publish_all_ports,
        publish_policy=ports.policy(annotations, body.labels),
        platform=platform,
        restart_policy=supervision.restart_policy(host.restart_policy, auto_remove=host.auto_remove),
        healthcheck=supervision.healthcheck(body, annotations),
        auto_remove=host.auto_remove,
        ephemeral=_is_true(annotations.get(EPHEMERAL, "")) or _is_true(body.labels.get(EPHEMERAL, "")),
        storage_size=_storage_size(host.storage_opt or {}),
        init=host.init is True,
        runtime=host.runtime or body.runtime,
        mounts=mounts(body),
        volumes_from=host.volumes_from or [],
        network_mode=endpoints.mode(body),
        networks=endpoints.networks(body),
        links=host.links or [],
        mac_address=body.mac_address or "",
        dns=host.dns or [],
        dns_search=host.dns_search or [],
        dns_options=host.dns_options or [],
        egress=egress.wanted(body.labels, annotations),
        extra_hosts=[_extra_host(text) for text in host.extra_hosts or ()],
        privileged=host.privileged,
        cap_add=_capabilities(host.cap_add, "CapAdd"),
        cap_drop=_capabilities(host.cap_drop, "CapDrop"),
        group_add=host.group_add or [],
        security_opt=host.security_opt or [],
        masked_paths=host.masked_paths,
        readonly_paths=host.readonly_paths,
        read_only=host.readonly_rootfs,
        devices=[_device(device) for device in host.devices or ()],
        device_cgroup_rules=host.device_cgroup_rules or [],
        ulimits=[_ulimit(limit) for limit in host.ulimits or ()],
        sysctls=host.sysctls or {},
        shm_size=_not_negative(host.shm_size, "SHM size can not be less than 0"),
        ipc_mode=_mode(host.ipc_mode, "IPC", ("", "none", "private", "shareable", "host"), shared=True),
        pid_mode=_mode(host.pid_mode, "PID", ("", "host"), shared=True),
        uts_mode=_mode(host.uts_mode, "UTS", ("", "host")),
        cgroupns_mode=_mode(host.cgroupns_mode, "cgroup namespace", ("", "private", "host")),
        cgroup_parent=host.cgroup_parent,
        oom_score_adj=host.oom_score_adj,
        resources=limits(host),
        log_driver=host.log_config.type,
        log_options=host.log_config.config,
    )


def limits(host: wire.HostConfig) -> engine.Resources:
    """Return the limits that a body sets, checked one by one."""
    return engine.Resources(
        memory=_not_negative(host.memory, "invalid memory limit: must not be negative"),
        memory_swap=host.memory_swap,
        memory_reservation=_reservation(host),
        memory_swappiness=-1 if host.memory_swappiness is None else host.memory_swappiness,
        oom_kill_disable=bool(host.oom_kill_disable),
        nano_cpus=host.nano_cpus,
        cpu_shares=_not_negative(
            host.cpu_shares, f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer"
        ),
        cpu_period=_period(host.cpu_period),
        cpu_quota=_quota(host.cpu_quota),
        cpu_realtime_period=host.cpu_realtime_period,
        cpu_realtime_runtime=host.cpu_realtime_runtime,
        cpuset_cpus=host.cpuset_cpus,
        cpuset_mems=host.cpuset_mems,
        pids_limit=_pids_limit(host.pids_limit),
        blkio_weight=host.blkio_weight,
        blkio_weight_device=[
            engine.WeightDevice(path=device.path, weight=device.weight)
            for device in host.blkio_weight_device or ()
        ],
        device_read_bps=_throttles(host.blkio_device_read_bps),
        device_write_bps=_throttles(host.blkio_device_write_bps),
        device_read_iops=_throttles(host.blkio_device_read_i_ops),
        device_write_iops=_throttles(host.blkio_device_write_i_ops),
    )


def _reservation(host: wire.HostConfig) -> int:
    if host.memory > 0 and host.memory_reservation > host.memory:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    return host.memory_reservation


def _period(period: int) -> int:
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    return period


def _quota(quota: int) -> int:
    if 0 < quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    return max(quota, -1)  # -1 is no quota


def _pids_limit(limit: int | None) -> int:
    """0 and negative ones are no limit, which `update` must tell from none that is given."""
    return 0 if limit is None else (limit if limit > 0 else -1)


def _throttles(devices: list[wire.ThrottleDevice] | None) -> list[engine.ThrottleDevice]:
    return [engine.ThrottleDevice(path=device.path, rate=device.rate) for device in devices or ()]


def _storage_size(given: dict[str, str]) -> int:
    """Return the bytes of `--storage-opt size=`, the one option that overlayfs has."""
    for name in given:
        if name.lower() != "size":
            raise InvalidArgument(f"unknown storage option {name}: there is size")
    size = min((parse_size(text) for text in given.values()), default=0)
    if size < 0:
        raise InvalidArgument(f"invalid size: '{given.popitem()[1]}'")
    return size


def console_size(size: list[int]) -> tuple[int, int] | None:
    """Return rows and columns, None for [0, 0] and for none."""
    if not any(size):
        return None
    if len(size) != 2 or not all(0 <= each < 1 << 16 for each in size):
        raise InvalidArgument(f"invalid console size: {size}")
    return size[0], size[1]


def _words(value: list[str] | str | None) -> list[str] | None:
    return [value] if isinstance(value, str) else value


def environment(entries: list[str]) -> list[str]:
    """Return variables for a process. Raises `InvalidArgument` for what can not be one."""
    for entry in entries:
        if not entry or entry.startswith("="):
            raise InvalidArgument(f"invalid environment variable: {entry}")
        if "\0" in entry:
            raise InvalidArgument(f"invalid environment variable: {entry.partition('=')[0]} contains a null byte")
    return entries


def _port(text: str) -> str:
    number, _, protocol = text.partition("/")
    first, _, last = number.partition("-")
    for each in (first, last or first):
        if not (each.isascii() and each.isdecimal() and int(each) < 65536):
            raise InvalidArgument(f"invalid port specification: {text}")
    if protocol.lower() not in ("", *PROTOCOLS):
        raise InvalidArgument(f"invalid proto: {protocol}")
    return f"{number}/{protocol.lower() or 'tcp'}"


def _extra_host(text: str) -> str:
    name, separator, address = text.replace("=", ":", 1).partition(":") if ":" not in text else text.partition(":")
    if not separator or not name:
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        import ipaddress

        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
    return f"{name}:{address.strip('[]')}"


def _capabilities(names: list[str] | str | None, option: str) -> list[str]:
    wanted = []
    for name in _words(names) or ():
        upper = name.upper()
        full = upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in ("ALL", "CAP_ALL") and full not in capabilities.NUMBERS:
            raise InvalidArgument(f'invalid {option}: unknown capability: "{name}"')
        wanted.append("ALL" if full == "CAP_ALL" else full)
    return wanted


def _device(device: wire.DeviceMapping) -> engine.Device:
    permissions = device.cgroup_permissions or "rwm"
    if set(permissions) - set("rwm"):
        raise InvalidArgument(f"invalid device mode: {permissions}")
    return engine.Device(
        host_path=device.path_on_host,
        container_path=device.path_in_container or device.path_on_host,
        permissions=permissions,
    )


def _ulimit(limit: wire.Ulimit) -> engine.Ulimit:
    if -1 < limit.hard < limit.soft or (limit.soft == -1 and limit.hard > -1):
        raise InvalidArgument(
            f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
        )
    return engine.Ulimit(name=limit.name, soft=limit.soft, hard=limit.hard)


def _mode(mode: str, kind: str, accepted: tuple[str, ...], *, shared: bool = False) -> str:
    if mode in accepted or (shared and mode.startswith("container:") and mode != "container:"):
        return mode
    raise InvalidArgument(f"invalid {kind} mode: {mode}")


def _not_negative(value: int, message: str) -> int:
    if value < 0:
        raise InvalidArgument(message)
    return value


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")
