"""What a container is asked to be: the engine's side of `docker create`'s body.

`api/translate/` fills these from Docker's Config, HostConfig and NetworkingConfig; Python callers fill them
directly. Field names are Docker's in snake case; units are in the comments. Records store them as JSON.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from proa.errors import InvalidArgument


class Mount(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One mount asked for by `-v`, `--mount`, `--tmpfs` or the image's VOLUME."""

    type: Literal["bind", "volume", "tmpfs", "image"]
    target: str
    source: str = ""  # bind: host path; volume: name, "" for an anonymous one; image: name or identifier
    mode: str = ""  # of `-v`, as it was written
    read_only: bool = False
    propagation: str = ""  # bind: rprivate, rslave, rshared, private, slave, shared
    create_source: bool = False  # bind: `-v` makes a missing host directory, `--mount` refuses
    non_recursive: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    no_copy: bool = False  # volume: no copy-up of what the image has at the target
    subpath: str = ""  # of a volume or an image: what of it is mounted
    labels: dict[str, str] = {}
    driver: str = ""
    driver_options: dict[str, str] = {}
    tmpfs_size: int = 0  # bytes; 0: the kernel's default, half of the memory
    tmpfs_mode: int = 0o1777
    tmpfs_options: str = ""  # `--tmpfs /x:rw,size=64m`: what stands behind the colon
    from_image: bool = False  # declared by VOLUME in the image's configuration


class Device(msgspec.Struct, kw_only=True):
    """`--device host:container:permissions`."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


class Ulimit(msgspec.Struct, kw_only=True):
    """`--ulimit name=soft:hard`; -1 is unlimited."""

    name: str
    soft: int
    hard: int


class ThrottleDevice(msgspec.Struct, kw_only=True):
    """`--device-read-bps path:rate` and its like: bytes or operations a second."""

    path: str
    rate: int


class WeightDevice(msgspec.Struct, kw_only=True):
    """`--blkio-weight-device path:weight`."""

    path: str
    weight: int


class Resources(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Limits; 0 or "" means not set. Sizes in bytes, times in microseconds unless said."""

    memory: int = 0
    memory_swap: int = 0  # memory + swap; -1 unlimited
    memory_reservation: int = 0
    memory_swappiness: int = -1  # 0-100; -1 not set
    oom_kill_disable: bool = False
    nano_cpus: int = 0  # 10^-9 CPUs
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0  # -1: none
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int = 0  # 0 not set, -1 unlimited
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] = []
    device_read_bps: list[ThrottleDevice] = []
    device_write_bps: list[ThrottleDevice] = []
    device_read_iops: list[ThrottleDevice] = []
    device_write_iops: list[ThrottleDevice] = []


class RestartPolicy(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`--restart`: whether a container that has ended is started again (`containers/restarts.py`)."""

    name: Literal["no", "always", "unless-stopped", "on-failure"] = "no"
    maximum_retries: int = 0  # on-failure: 0 is without end


class Healthcheck(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How the health is checked (`containers/health.py`). Times in nanoseconds; 0: the image's, else a default."""

    test: list[str] = []  # ["CMD", …], ["CMD-SHELL", command], ["NONE"]; [] inherits the image's
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0
    shell: list[str] = []  # of the image, for CMD-SHELL; [] is /bin/sh -c
    on_failure: Literal["none", "kill", "restart", "stop"] = "none"  # what is done to an unhealthy container


class EndpointOptions(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a container wants of its place on one network; "" and 0: whatever there is."""

    aliases: list[str] = []  # further names on this network
    links: list[str] = []  # "container:name": how others are called by this one alone
    address: str = ""
    address6: str = ""
    link_local_addresses: list[str] = []
    mac_address: str = ""
    driver_options: dict[str, str] = {}
    gateway_priority: int = 0  # the default route leads to the network with the highest


class PortBinding(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`--publish`: `count` consecutive ports of the container, one to one from the host's port `first` on.

    A single port may be given the first of `first` to `last` that is free. 0 and 0 is any port.
    """

    protocol: str
    port: int
    count: int = 1
    host_address: str = ""  # "" is every address, or what the network says
    first: int = 0
    last: int = 0


class Egress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`--egress`: what a container may reach, and nothing else (`network/egress.py`)."""

    allow: list[str] = []  # destinations, as `str` of a rule writes them


class ContainerOptions(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything `create` can be told. Empty means: what the image says, else Docker's default."""

    image: str
    command: list[str] | None = None
    entrypoint: list[str] | None = None  # [] (or [""]) clears the image's
    env: list[str] = []  # NAME=value, or NAME to remove an inherited one
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    domainname: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    console_size: tuple[int, int] | None = None  # rows, columns: before the first prompt
    stop_signal: str = ""
    stop_timeout: int | None = None  # seconds; -1 waits for ever
    exposed_ports: list[str] = []  # "80/tcp"
    port_bindings: list[PortBinding] = []
    publish_all: bool = False  # exposed ports without a binding get any port
    publish_policy: str = ""  # "" is the network's, or the engine's (`containers/publish_policy.py`)
    platform: str = ""
    restart_policy: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    healthcheck: Healthcheck | None = None
    auto_remove: bool = False
    ephemeral: bool = False  # the writable layer lives in memory
    storage_size: int = 0  # bytes that the writable layer may take; 0: no limit
    init: bool = False
    runtime: str = ""
    mounts: list[Mount] = []
    volumes_from: list[str] = []
    network_mode: str = "bridge"  # none, host, container:<id or name>, or a network's name or id
    networks: dict[str, EndpointOptions] = {}  # by name or id; that of `network_mode` may be among them
    links: list[str] = []  # `--link` on the default bridge: "container:alias"
    mac_address: str = ""
    dns: list[str] = []
    dns_search: list[str] = []
    dns_options: list[str] = []
    extra_hosts: list[str] = []  # "name:address"; address may be host-gateway
    egress: Egress | None = None  # None: it reaches whatever its networks do
    privileged: bool = False
    cap_add: list[str] = []
    cap_drop: list[str] = []
    group_add: list[str] = []
    security_opt: list[str] = []
    masked_paths: list[str] | None = None  # None: Docker's default
    readonly_paths: list[str] | None = None
    read_only: bool = False
    devices: list[Device] = []
    device_cgroup_rules: list[str] = []
    ulimits: list[Ulimit] = []
    sysctls: dict[str, str] = {}
    shm_size: int = 0  # bytes; 0: 64 MiB
    ipc_mode: str = ""  # "" and private, shareable, none, host, container:<id>
    pid_mode: str = ""
    uts_mode: str = ""
    cgroupns_mode: str = ""  # "" default: private on v2, host on v1
    cgroup_parent: str = ""
    oom_score_adj: int = 0
    resources: Resources = msgspec.field(default_factory=Resources)
    log_driver: str = ""
    log_options: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.image:
            raise InvalidArgument("no image is given")
