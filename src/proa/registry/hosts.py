"""Which servers stand for the domain of a reference, and how much they are trusted: dockerd's rules.

Images of docker.io come from the configured mirrors first. An insecure registry (configured by name or
network, loopback always) may speak plain HTTP or show a certificate that nobody signed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from proa.errors import InvalidArgument
from proa.oci.reference import DEFAULT_DOMAIN

HUB = "registry-1.docker.io"
LOOPBACK = ("127.0.0.0/8", "::1/128")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to a registry: `url` has no trailing slash and no /v2."""

    scheme: str
    host: str  # with the port, as it was written
    prefix: str = ""  # path of a mirror behind another server
    verify: bool = True  # the certificate
    mirror: bool = False

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"


class Hosts:
    """The configuration of registries. Raises `InvalidArgument` when it is wrong."""

    def __init__(self, mirrors: Sequence[str] = (), insecure: Sequence[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = [ipaddress.ip_network(text) for text in LOOPBACK]
        for entry in insecure:
            self._add_insecure(entry)
        self._mirrors = [_parse_mirror(text) for text in mirrors]
        self._working: dict[str, Endpoint] = {}

    async def endpoints(self, domain: str) -> list[Endpoint]:
        """Return the ways to the images of `domain`, in the order to try them."""
        if domain == DEFAULT_DOMAIN:
            mirrors = [
                Endpoint(m.scheme, m.host, m.prefix, verify=not await self.is_insecure(m.host), mirror=True)
                for m in self._mirrors
            ]
            return [*mirrors, Endpoint("https", HUB)]
        if not await self.is_insecure(domain):
            return [Endpoint("https", domain)]
        found = [Endpoint("https", domain, verify=False), Endpoint("http", domain)]
        working = self._working.get(domain)
        return [working, *(other for other in found if other != working)] if working else found

    def remember(self, endpoint: Endpoint) -> None:
        """Try this endpoint first from now on: it answered."""
        if not endpoint.mirror and (not endpoint.verify or endpoint.scheme == "http"):
            self._working[endpoint.host] = endpoint

    async def is_insecure(self, host: str) -> bool:
        """Whether `host` (with or without port) may do without a verified certificate."""
        if host in self._names:
            return True
        addresses = await _addresses(_without_port(host))
        return any(
            address.version == network.version and address in network
            for address in addresses
            for network in self._networks
        )

    def _add_insecure(self, entry: str) -> None:
        name = entry.strip()
        if "://" in name:  # dockerd takes it with a warning; the scheme says nothing
            name = urlsplit(name).netloc
        if not name:
            raise InvalidArgument(f'invalid insecure registry "{entry}"')
        if "/" not in name:
            self._names.add(name)
            return
        try:
            self._networks.append(ipaddress.ip_network(name, strict=False))
        except ValueError:
            message = f'insecure registry "{entry}" is neither host:port nor network/bits'
            raise InvalidArgument(message) from None


def _parse_mirror(text: str) -> Endpoint:
    """Check a mirror's URL as dockerd does."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise InvalidArgument(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{text}"')
    if parts.query or parts.fragment:
        raise InvalidArgument(f'invalid mirror: query or fragment at end of the URI "{text}"')
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument("invalid mirror: username/password not allowed in URI")
    if not parts.netloc:
        raise InvalidArgument(f'invalid mirror: no host in "{text}"')
    return Endpoint(parts.scheme, parts.netloc, parts.path.rstrip("/"), mirror=True)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


async def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Resolve a host; [] when that fails, which then shows at the first request."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
