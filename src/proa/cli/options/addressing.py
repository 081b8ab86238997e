"""The addresses of `network create`: which range, gateway and address goes with which subnet, as docker has it."""

from __future__ import annotations

import ipaddress

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

# The flag, what docker calls its values, and the field of the subnet that one of them fills.
_PARTS = (("ip-range", "range", "IPRange"), ("gateway", "gateway", "Gateway"))


def config(options: Options) -> list[dict[str, Any]]:
    """Return `IPAM.Config`, a subnet each. Raises `InvalidArgument` for what belongs to none."""
    subnets = options["subnet"]
    if len(subnets) < max(len(options["ip-range"]), len(options["gateway"])):
        raise InvalidArgument("every ip-range or gateway must have a corresponding subnet")
    found: dict[str, dict[str, Any]] = {}
    for subnet in subnets:
        if any(_contains(subnet, other) or _contains(other, subnet) for other in found):
            raise InvalidArgument("multiple overlapping subnet configuration is not supported")
        found[subnet] = {"Subnet": subnet}
    for flag, name, field in _PARTS:
        for value in options[flag]:
            _put(found, value, name, field)
    for text in options["aux-address"]:
        name, _, address = text.partition("=")
        matches = [subnet for subnet in found if _contains(subnet, address)]
        if not matches:
            raise InvalidArgument(f"no matching subnet for aux-address {address}")
        for subnet in matches:
            found[subnet].setdefault("AuxiliaryAddresses", {})[name] = address
    return list(found.values())


def _put(found: dict[str, dict[str, Any]], value: str, name: str, field: str) -> None:
    matches = [subnet for subnet in found if _contains(subnet, value)]
    if not matches:
        raise InvalidArgument(f"no matching subnet for {name} {value}")
    for subnet in matches:
        if other := found[subnet].get(field):
            many = f"{name}s"
            where = "on the same subnet" if field == "IPRange" else "for the same subnet"
            raise InvalidArgument(f"cannot configure multiple {many} ({value}, {other}) {where} ({subnet})")
        found[subnet][field] = value


def _contains(subnet: str, data: str) -> bool:
    """Whether an address, or the one that a range is written with, is in a subnet."""
    try:
        network = ipaddress.ip_network(subnet, strict=False) if "/" in subnet else None
    except ValueError:
        network = None
    if network is None:
        raise InvalidArgument(f"invalid subnet: invalid CIDR address: {subnet}")
    try:
        return ipaddress.ip_interface(data).ip in network
    except ValueError:
        if "/" in data:
            raise InvalidArgument(f"invalid CIDR address: {data}") from None
        return False


def auxiliary(text: str) -> str:
    """Check "name=address", as docker's option for maps does. Raises `ValueError`."""
    if "=" not in text:
        raise ValueError(f"{text} must be in the format KEY=VALUE")
    return text
