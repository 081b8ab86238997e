"""The contents of a container's /etc/hosts and /etc/hostname, as Docker writes them.

Pure functions: who writes and mounts the files is elsewhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from proa.errors import InvalidArgument

HOST_GATEWAY = "host-gateway"  # in --add-host: the host's address on the default bridge

_STANDARD_HOSTS = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


def hostname(name: str) -> str:
    """Return /etc/hostname."""
    return f"{name}\n"


def hosts(
    name: str,
    domain: str = "",
    addresses: Sequence[str] = (),
    extra_hosts: Sequence[str] = (),
    host_gateway: str = "",
    links: Sequence[str] = (),
) -> str:
    """Return /etc/hosts: the standard names, `--add-host`'s, `links`, the container's own at each of `addresses`.

    `extra_hosts` are "name:address". Raises `InvalidArgument` for what is none, and for host-gateway when
    the host has no address there.
    """
    entries = [*_STANDARD_HOSTS, *(extra_host(text, host_gateway) for text in extra_hosts)]
    own = own_lines(name, domain, [address for address in addresses if address])
    return "".join([*(f"{address}\t{names}\n" for address, names in entries), *links, *own])


def own_lines(name: str, domain: str, addresses: Sequence[str]) -> list[str]:
    """Return the lines by which a container knows itself at each of its addresses."""
    own = f"{name}.{domain} {name}" if domain else name
    return [f"{address}\t{own}\n" for address in addresses]


def extra_host(text: str, host_gateway: str = HOST_GATEWAY) -> tuple[str, str]:
    """Return address and name of one `--add-host`; the address may be in brackets."""
    name, colon, address = text.partition(":")
    if not name or not colon or any(character.isspace() for character in name):
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address == HOST_GATEWAY:
        if not host_gateway:
            raise InvalidArgument(
                f"unable to derive the IP value for {HOST_GATEWAY}", hint="the default bridge has no address"
            )
        return host_gateway, name
    try:
        return str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))), name
    except ValueError:
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
