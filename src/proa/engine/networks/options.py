"""What a network is asked to be: the engine's side of `network create`, and the drivers' options."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from proa.engine.containers import publish_policy
from proa.engine.networks import drivers
from proa.engine.networks.records import Subnet
from proa.errors import InvalidArgument
from proa.network.firewall import ISOLATED


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
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')


def _address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("nil ip") from None


def _gateway_mode(text: str) -> None:
    if text not in drivers.GATEWAY_MODES:
        raise ValueError(f"unknown gateway mode {text}")


_COMMON_OPTIONS = (_Option(drivers.MTU, _number),)
_BRIDGE_OPTIONS = (
    *_COMMON_OPTIONS,
    _Option(drivers.ICC, _boolean),
    _Option(drivers.MASQUERADE, _boolean),
    _Option(drivers.INHIBIT, _boolean),
    _Option(drivers.HOST_BINDING, _address),
    _Option(drivers.GATEWAY_MODE, _gateway_mode),
    _Option(drivers.GATEWAY_MODE6, _gateway_mode),
    _Option(publish_policy.NAME, publish_policy.check),
)
_LARGEST_MTU = 65535
_LONGEST_INTERFACE = 15  # bytes; <linux/if.h> IFNAMSIZ


def check(driver: str, options: dict[str, str], *, internal: bool = False) -> None:
    """Refuse bad values of a driver's options in Docker's words; options that it does not know are kept."""
    for option in _BRIDGE_OPTIONS if driver == "bridge" else _COMMON_OPTIONS:
        text = options.get(option.name)
        if text is None:
            continue
        try:
            option.check(text)
        except ValueError as error:
            raise InvalidArgument(f"failed to parse {option.name} value: {text} ({error})") from None
    if driver == "bridge" and not internal:
        modes = (options.get(name) for name in (drivers.GATEWAY_MODE, drivers.GATEWAY_MODE6))
        if ISOLATED in modes:
            raise InvalidArgument("gateway mode 'isolated' can only be used for an internal network")
    if driver != "bridge":
        drivers.check_parent_options(driver, options)
    mtu = int(options.get(drivers.MTU) or 0)
    if not 0 <= mtu <= _LARGEST_MTU:
        raise InvalidArgument(f"invalid MTU number: {mtu}")
    for name in (drivers.BRIDGE_NAME, drivers.DEVICE):
        if (interface := options.get(name, "")) and not is_interface_name(interface):
            raise InvalidArgument(f"invalid interface name in {name}: {interface}")


def is_interface_name(text: str) -> bool:
    """Whether the kernel takes a name for an interface (dev_valid_name in net/core/dev.c)."""
    if text in ("", ".", "..") or len(text.encode(errors="replace")) > _LONGEST_INTERFACE:
        return False
    return text.isprintable() and not any(each in text for each in "/: ")
