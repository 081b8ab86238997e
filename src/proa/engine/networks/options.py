"""What a network is asked to be: the engine's side of `network create`, and the drivers' options."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from proa.engine.networks import drivers
from proa.engine.networks.records import Subnet
from proa.errors import InvalidArgument, Unsupported


class NetworkOptions(msgspec.Struct, kw_only=True):
    """Everything `create` can be told. `subnets` without addresses are chosen by the engine."""

    name: str
    driver: str = ""  # "" is bridge
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    ipam_driver: str = ""
    ipam_options: dict[str, str] | None = None
    subnets: list[Subnet] = []
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class _Option(NamedTuple):
    name: str
    check: Callable[[str], None]  # raises `ValueError` with the reason


def _boolean(text: str) -> None:
    if text and not drivers.is_boolean(text):
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _number(text: str) -> None:
    try:
        int(text)
    except ValueError:
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax') from None


def _address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("nil ip") from None


def _gateway_mode(text: str) -> None:
    if text not in ("", *drivers.GATEWAY_MODES):
        raise ValueError(f"unknown gateway mode {text}")
    if text in ("nat-unprotected", "isolated"):
        raise Unsupported(f"the gateway mode {text} is not supported yet")


_BRIDGE_OPTIONS = (
    _Option(drivers.ICC, _boolean),
    _Option(drivers.MASQUERADE, _boolean),
    _Option(drivers.INHIBIT, _boolean),
    _Option(drivers.MTU, _number),
    _Option(drivers.HOST_BINDING, _address),
    _Option(drivers.GATEWAY_MODE, _gateway_mode),
    _Option(drivers.GATEWAY_MODE6, _gateway_mode),
)
_LONGEST_INTERFACE = 15  # bytes; <linux/if.h> IFNAMSIZ


def check(driver: str, options: dict[str, str]) -> None:
    """Refuse bad values of a driver's options in Docker's words; options that it does not know are kept."""
    if driver != "bridge":
        drivers.check_parent_options(driver, options)
        return
    for option in _BRIDGE_OPTIONS:
        text = options.get(option.name)
        if text is None:
            continue
        try:
            option.check(text)
        except ValueError as error:
            raise InvalidArgument(f"failed to parse {option.name} value: {text} ({error})") from None
    mtu = int(options.get(drivers.MTU) or 0)
    if mtu < 0:
        raise InvalidArgument(f"invalid MTU number: {mtu}")
    for name in (drivers.BRIDGE_NAME, drivers.DEVICE):
        interface = options.get(name, "")
        if len(interface.encode()) > _LONGEST_INTERFACE or any(each in interface for each in "/ \t\n:"):
            raise InvalidArgument(f"invalid interface name in {name}: {interface}")
