"""HostConfig of `create` and `inspect`: a container and its host. Order and defaults are Docker's."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from msgspec import field

from proa.api.types.base import UNSET, Empty, Int64, Unset, Wire


class LogConfig(Wire):
    type: str = ""
    config: dict[str, str] = {}


class RestartPolicy(Wire):
    name: str = ""
    maximum_retry_count: Int64 = 0


class PortBinding(Wire):
    host_ip: str = ""
    host_port: str = ""


class ThrottleDevice(Wire):
    path: str = ""
    rate: Int64 = 0


class WeightDevice(Wire):
    path: str = ""
    weight: Int64 = 0


class DeviceMapping(Wire):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Wire):
    driver: str = ""
    count: Int64 = 0
    device_ids: list[str] | None = field(default=None, name="DeviceIDs")
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class Ulimit(Wire):
    name: str = ""
    hard: Int64 = 0
    soft: Int64 = 0


class BindOptions(Wire, omit_defaults=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriver(Wire, omit_defaults=True):
    name: str = ""
    options: dict[str, str] = {}


class VolumeOptions(Wire, omit_defaults=True):
    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_config: VolumeDriver | None = None
    subpath: str = ""


class ImageOptions(Wire, omit_defaults=True):
    subpath: str = ""


class TmpfsOptions(Wire, omit_defaults=True):
    size_bytes: Int64 = 0
    mode: Int64 = 0
    options: list[list[str]] = []


class Mount(Wire, omit_defaults=True):
    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    cluster_options: Empty | None = None


class HostConfig(Wire):
    binds: list[str] | None = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding]] = {}
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: list[Int64] = field(default_factory=lambda: [0, 0])
    annotations: dict[str, str] | Unset = UNSET
    cap_add: list[str] | str | None = None
    cap_drop: list[str] | str | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: Int64 = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | Unset = UNSET
    tmpfs: dict[str, str] | Unset = UNSET
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: Int64 = 0
    sysctls: dict[str, str] | Unset = UNSET
    runtime: str = ""
    isolation: str = ""
    cpu_shares: Int64 = 0
    memory: Int64 = 0
    nano_cpus: Int64 = 0
    cgroup_parent: str = ""
    blkio_weight: Int64 = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_i_ops: list[ThrottleDevice] | None = field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_i_ops: list[ThrottleDevice] | None = field(default=None, name="BlkioDeviceWriteIOps")
    cpu_period: Int64 = 0
    cpu_quota: Int64 = 0
    cpu_realtime_period: Int64 = 0
    cpu_realtime_runtime: Int64 = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    kernel_memory: Int64 | Unset = UNSET
    kernel_memory_tcp: Int64 | Unset = field(default=UNSET, name="KernelMemoryTCP")
    memory_reservation: Int64 = 0
    memory_swap: Int64 = 0
    memory_swappiness: Int64 | None = None
    oom_kill_disable: bool | None = None
    pids_limit: Int64 | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: Int64 = 0
    cpu_percent: Int64 = 0
    io_maximum_i_ops: Int64 = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: Int64 = field(default=0, name="IOMaximumBandwidth")
    mounts: list[Mount] | Unset = UNSET
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | Unset = UNSET
