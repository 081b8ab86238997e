"""Bodies of the network endpoints."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from msgspec import field

from proa.api.types.base import Wire
from proa.api.types.containers import EndpointSettings


class IpamSubnet(Wire):
    subnet: str = ""
    ip_range: str = field(default="", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class Ipam(Wire):
    driver: str = ""
    options: dict[str, str] | None = None
    config: list[IpamSubnet] = []


class ConfigFrom(Wire):
    network: str = ""


class NetworkCreate(Wire):
    """`POST /networks/create`."""

    name: str = ""
    check_duplicate: bool = False  # always done
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = field(default=None, name="EnableIPv6")
    ipam: Ipam = field(default_factory=Ipam, name="IPAM")
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigFrom = field(default_factory=ConfigFrom)
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class NetworkConnect(Wire):
    """`POST /networks/{id}/connect`."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnect(Wire):
    """`POST /networks/{id}/disconnect`."""

    container: str = ""
    force: bool = False
