"""The engine's configuration: where things are and what it may do. dockerd's names where they apply."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec

from proa.engine.containers.publish_policy import Policy

DEFAULT_RUNTIME = "proa"
DEFAULT_LOG_DRIVER = "json-file"
# Proa's own, and where containerd and Podman have theirs: a machine's mirrors and bans count for all its engines.
REGISTRY_CONFIG_DIRS = (
    Path("/etc/proa/registries"), Path("/etc/containerd/certs.d"), Path("/etc/containers"),
)  # fmt: skip


class ConfiguredRuntime(msgspec.Struct, rename={"arguments": "runtimeArgs"}, forbid_unknown_fields=True):
    """One entry of `runtimes` in the configuration file: the program and arguments for each call of it."""

    path: str
    arguments: list[str] = []


class AddressPool(msgspec.Struct, forbid_unknown_fields=True):
    """Where the subnets of networks come from: cut out of `base` with the prefix length `size`."""

    base: str
    size: int

    def __post_init__(self) -> None:
        try:
            network = ipaddress.ip_network(self.base)
        except ValueError as error:
            raise ValueError(f"invalid base pool {self.base}: {error}") from None
        if not network.prefixlen <= self.size <= network.max_prefixlen:
            raise ValueError(f"invalid CIDR prefix {self.size} of the address pool {self.base}")


class Settings(msgspec.Struct, kw_only=True):
    """Settings of one engine; engines differ in `data_root` and `exec_root`. Either may be given as text."""

    data_root: Path = Path("/var/lib/proa")
    exec_root: Path = Path("/run/proa")
    registry_mirrors: list[str] = []
    insecure_registries: list[str] = []
    # Directories with HOST/hosts.toml and registries.conf, the first that speaks of a registry counts.
    registry_config_dirs: list[Path] = msgspec.field(default_factory=lambda: list(REGISTRY_CONFIG_DIRS))
    bridge: str = ""  # name of the default bridge; "" derives proa0 or one of its own per engine
    bip: str = ""  # address of the default bridge, "172.18.0.1/16"; "" picks a free one
    mtu: int = 0  # 0: the uplink's
    default_address_pools: list[AddressPool] = []  # of all networks; []: Docker's, in smaller pieces
    ip: str = ""  # the host's address for ports of the default bridge that name none; "" is all
    publish_policy: Policy = "direct"  # of ports whose container and network say nothing
    default_network_options: dict[str, dict[str, str]] = {}  # of networks that do not say otherwise, by driver
    dns: list[str] = []
    dns_search: list[str] = []
    dns_options: list[str] = []
    cgroup_parent: str = "/proa"
    default_shm_size: int = 64 << 20
    labels: list[str] = []
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    runtimes: dict[str, ConfiguredRuntime] = {}  # beside Proa's own and those known by name
    default_runtime: str = DEFAULT_RUNTIME
    debug: bool = False
    notices: list[str] = []  # what whoever asks about the engine is warned of
    log_driver: str = DEFAULT_LOG_DRIVER
    log_options: dict[str, str] = {}  # of containers whose driver is `log_driver`

    def __post_init__(self) -> None:
        # shims and mounts outlive the working directory that a relative path would count from
        self.data_root = Path(self.data_root).absolute()
        self.exec_root = Path(self.exec_root).absolute()
        for what, addresses in (
            ("address to publish ports at", [self.ip] if self.ip else []),
            ("DNS server", self.dns),
        ):
            for text in addresses:
                try:
                    ipaddress.ip_address(text)
                except ValueError:
                    raise ValueError(f"invalid {what}: {text!r} is no IP address") from None

    @property
    def database(self) -> Path:
        return self.data_root / "proa.db"

    @property
    def layers(self) -> Path:
        """Where unpacked layers are, a directory each."""
        return self.data_root / "layers"

    def container_directory(self, identifier: str) -> Path:
        """Where a container's writable layer, files and log are."""
        return self.data_root / "containers" / identifier

    def runtime_directory(self, identifier: str) -> Path:
        """Where a running container's sockets and state are."""
        return self.exec_root / "containers" / identifier
