"""What a container may want of a network, in Docker's words where it may not."""

from __future__ import annotations

import ipaddress

from proa import wording
from proa.engine.networks import options, orders
from proa.engine.networks.records import PREDEFINED, Network
from proa.engine.options import EndpointOptions
from proa.errors import InvalidArgument
from proa.network.addresses import parse_mac

_IP_ON_PREDEFINED = "user specified IP address is supported on user defined networks only"
_ALIAS_ON_PREDEFINED = "network-scoped alias is supported only for containers in user defined networks"
_IP_WITHOUT_SUBNET = (
    "user specified IP address is supported only when connecting to networks with user configured subnets"
)


def check(name: str, wishes: EndpointOptions, network: Network | None, *, prefix: str) -> None:
    """Raise `InvalidArgument` for what is wrong; what only the network tells, when that is known."""
    if wishes.mac_address:
        try:
            parse_mac(wishes.mac_address)
        except InvalidArgument:
            raise InvalidArgument(f"invalid MAC address {wishes.mac_address}") from None
    problems = [*_problems(name, wishes), *(_network_problems(wishes, network) if network else ())]
    if problems:
        raise InvalidArgument(f"{prefix}invalid endpoint settings:\n{wording.joined(problems)}")


def _problems(name: str, wishes: EndpointOptions) -> list[str]:
    found = []
    if name in PREDEFINED:
        if wishes.address or wishes.address6:
            found.append(_IP_ON_PREDEFINED)
        if wishes.aliases:
            found.append(_ALIAS_ON_PREDEFINED)
    for text, version in ((wishes.address, 4), (wishes.address6, 6)):
        if text and not is_address(text, version):
            found.append(f"invalid IPv{version} address: {text}")
    for text in wishes.link_local_addresses:
        if not (is_address(text, 4) or is_address(text, 6)):
            found.append(f"invalid link-local IP address: {text}")
    device = wishes.driver_options.get(orders.DEVICE, "")
    if device and not options.is_interface_name(device):
        found.append(f"invalid interface name: {device}")
    try:
        orders.sysctls(wishes.driver_options.get(orders.SYSCTLS, ""), "eth0")
    except InvalidArgument as error:
        found.append(error.message)
    return found


def _network_problems(wishes: EndpointOptions, network: Network) -> list[str]:
    """Docker's rules for addresses: only of subnets that somebody chose, and in one of them."""
    found = []
    for text, version in ((wishes.address, 4), (wishes.address6, 6)):
        if not text:
            continue
        subnets = [ipaddress.ip_network(each.subnet) for each in network.subnets if not each.automatic]
        candidates = [subnet for subnet in subnets if subnet.version == version and not network.predefined]
        if not candidates:
            found.append(_IP_WITHOUT_SUBNET)
        elif not is_address(text, version) or not any(
            ipaddress.ip_address(text) in subnet for subnet in candidates
        ):
            found.append(f"no configured subnet or ip-range contain the IP address {text}")
    return found


def is_address(text: str, version: int) -> bool:
    try:
        return "%" not in text and ipaddress.ip_address(text).version == version
    except ValueError:
        return False
