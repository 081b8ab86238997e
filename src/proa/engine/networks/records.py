"""What the engine remembers of a network; stored as JSON in the database."""

from __future__ import annotations

import msgspec

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}  # name: driver
DEFAULT = "bridge"


class Subnet(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A range of addresses of a network, with Docker's names for its parts."""

    subnet: str  # "172.18.0.0/16" or of IPv6
    gateway: str = ""
    range: str = ""  # the part that is given out; "" is the whole subnet
    auxiliary: dict[str, str] = {}  # by name: addresses that are never given out
    automatic: bool = False  # the engine chose it
    implicit_gateway: bool = False  # the engine chose the gateway alone, which `inspect` does not show


class Network(msgspec.Struct, kw_only=True):
    """A network as `inspect` shows it."""

    id: str
    name: str
    driver: str
    created: int  # nanoseconds since the epoch
    scope: str = "local"
    subnets: list[Subnet] = []
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False  # leads nowhere: no default route, nothing comes in or out
    attachable: bool = False
    config_only: bool = False  # a template for others' `config_from`
    config_from: str = ""
    options: dict[str, str] = {}
    labels: dict[str, str] = {}

    @property
    def predefined(self) -> bool:
        """Whether it is one of Docker's three, which nobody makes or removes."""
        return self.name in PREDEFINED
