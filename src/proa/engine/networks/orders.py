"""From what a container wants of a network to an order for an endpoint; checks what can be wanted."""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from itertools import count

from proa.engine.networks.records import Network
from proa.engine.options import EndpointOptions
from proa.errors import InvalidArgument
from proa.network.addresses import parse_mac
from proa.network.endpoint import Order
from proa.network.leases import Pair

DEVICE = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
# The interface's place holder comes in small letters from the docker CLI.
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.([a-z]+)\.(?:IFNAME|ifname)\.(\w+)")


def of(
    wishes: EndpointOptions,
    network: Network,
    prefix: str,
    namespace: int,
    taken: Collection[str],
    leads: tuple[str, str],
) -> Order:
    """Return the order for an endpoint in `namespace` (-1: a new one), where interfaces `taken` are already.

    `leads` are the networks that the default routes of IPv4 and IPv6 lead to.
    """
    device = wishes.driver_options.get(DEVICE) or _free(prefix, taken)
    return Order(
        addresses=Pair.parse(wishes.address, wishes.address6),
        mac=parse_mac(wishes.mac_address) if wishes.mac_address else b"",
        device="" if device == f"{prefix}0" and namespace < 0 else device,
        namespace=namespace,
        routed=not network.enable_ipv4 or leads[0] in ("", network.name),
        routed6=not network.enable_ipv6 or leads[1] in ("", network.name),
        link_local=tuple(ip_address(text) for text in wishes.link_local_addresses),
        sysctls=sysctls(wishes.driver_options.get(SYSCTLS, ""), device),
    )


def _free(prefix: str, taken: Collection[str]) -> str:
    return next(name for number in count() if (name := f"{prefix}{number}") not in taken)


def sysctls(text: str, device: str) -> tuple[tuple[str, str], ...]:
    """Read "net.ipv4.conf.IFNAME.log_martians=1,…" into paths and values. Raises `InvalidArgument`."""
    found = []
    for word in filter(None, text.split(",")):
        name, equals, value = word.partition("=")
        if not equals or not (match := _SYSCTL.fullmatch(name)):
            raise InvalidArgument(
                f"unrecognised network interface sysctl '{word}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        found.append((f"net/{match[1]}/{match[2]}/{device}/{match[3]}", value))
    return tuple(found)
