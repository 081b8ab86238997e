"""Bodies of the container endpoints, and the parts of `inspect` that have a fixed shape."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from typing import Any

from msgspec import field

from proa.api.types.base import UNSET, Empty, Int64, Unset, Wire
from proa.api.types.host_config import HostConfig


class Healthcheck(Wire, omit_defaults=True):
    test: list[str] = []
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0


class Config(Wire):
    """What runs in the container, as far as an image could say it too."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Empty] | Unset = UNSET
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | str | None = None  # old clients send one string
    healthcheck: Healthcheck | Unset = UNSET
    args_escaped: bool | Unset = UNSET
    image: str = ""
    volumes: dict[str, Empty] | None = None
    working_dir: str = ""
    entrypoint: list[str] | str | None = None
    network_disabled: bool | Unset = UNSET
    mac_address: str | Unset = UNSET
    on_build: list[str] | None = None
    labels: dict[str, str] = {}
    stop_signal: str | Unset = UNSET
    stop_timeout: Int64 | Unset = UNSET
    shell: list[str] | Unset = UNSET


class IpamConfig(Wire, omit_defaults=True):
    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_ips: list[str] = field(default_factory=list, name="LinkLocalIPs")


class EndpointSettings(Wire):
    ipam_config: IpamConfig | None = field(default=None, name="IPAMConfig")
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: Int64 = 0
    network_id: str = field(default="", name="NetworkID")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: Int64 = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: Int64 = field(default=0, name="GlobalIPv6PrefixLen")
    dns_names: list[str] | None = field(default=None, name="DNSNames")


class NetworkingConfig(Wire):
    endpoints_config: dict[str, EndpointSettings] = {}


class CreateBody(Config):
    """`POST /containers/create`: Config with the two others inside."""

    host_config: HostConfig = field(default_factory=HostConfig)
    networking_config: NetworkingConfig = field(default_factory=NetworkingConfig)
    runtime: str = ""  # where docker-py's create_container(runtime=…) puts it; dockerd overlooks it there


class ExecConfig(Wire):
    """`POST /containers/{id}/exec`."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[Int64] = []
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach_keys: str = ""
    env: list[str] = []
    working_dir: str = ""
    cmd: list[str] = []


class ExecStart(Wire):
    """`POST /exec/{id}/start`."""

    detach: bool = False
    tty: bool = False
    console_size: list[Int64] = []


Document = dict[str, Any]
