"""Which servers stand for the domain of a reference, and how much they are trusted.

What the administrator wrote for a registry counts, from first to last: hosts.toml of it (hosts_toml.py), a rule of
registries.conf (registries_conf.py), the mirrors of docker.io (`registry-mirrors`), hosts.toml of `_default`. Else
the rules are dockerd's: an insecure registry (configured by name or network, loopback always) may speak plain HTTP
or show a certificate that nobody signed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from proa.errors import InvalidArgument, ProaError
from proa.oci.reference import DEFAULT_DOMAIN, Reference
from proa.registry import hosts_toml, registries_conf
from proa.registry.endpoint import READ, Endpoint
from proa.registry.speeds import Speeds

HUB = "registry-1.docker.io"
LOOPBACK = ("127.0.0.0/8", "::1/128")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Hosts:
    """The configuration of registries. Raises `InvalidArgument` when it is wrong."""

    def __init__(
        self, mirrors: Sequence[str] = (), insecure: Sequence[str] = (), places: Sequence[Path] = ()
    ) -> None:
        """`places` are directories with HOST/hosts.toml and registries.conf, read when they are needed."""
        self._names: set[str] = set()
        self._networks: list[Network] = [ipaddress.ip_network(text) for text in LOOPBACK]
        for entry in insecure:
            self._add_insecure(entry)
        self._mirrors = [_parse_mirror(text) for text in mirrors]
        self._places = list(places)
        self._working: dict[str, Endpoint] = {}
        self.speeds = Speeds()

    def warnings(self) -> list[str]:
        """Return what is wrong, or without effect, in files that every reference is held against."""
        found: list[str] = []
        for place in self._places:
            try:
                found += registries_conf.read(place)[1]
            except ProaError as error:
                found.append(error.message)
        return found

    async def endpoints(
        self, domain: str, reference: Reference | None = None, insecure: bool = False
    ) -> list[Endpoint]:
        """Return the ways to the images of `domain`, in the order to try them; a rule may depend on which one is
        wanted. `insecure` counts where no file says something. Raises `Forbidden` for a blocked registry."""
        found = await self._configured(domain, reference)
        if found is not None:
            return found
        mirrors: list[Endpoint] = []
        if domain == DEFAULT_DOMAIN:
            mirrors = [replace(m, verify=not await self.is_insecure(m.host)) for m in self._mirrors]
        if not mirrors:
            for place in self._places:
                if found := await self._hosts_toml(place / hosts_toml.DEFAULT_DIRECTORY, domain):
                    return found
        return [*mirrors, *await self._reach(domain, insecure)]

    async def _configured(self, domain: str, reference: Reference | None) -> list[Endpoint] | None:
        """Return what files say of this registry by name; None when they say nothing."""
        for place in self._places:
            for directory in hosts_toml.directories(place, domain):
                if found := await self._hosts_toml(directory, domain):
                    return found
            rules, _ = await asyncio.to_thread(registries_conf.read, place)
            rule = registries_conf.choose(rules, reference) if reference else None
            if rule and reference:
                return await registries_conf.endpoints(rule, reference, self._reach)
        return None

    async def _hosts_toml(self, directory: Path, domain: str) -> list[Endpoint]:
        if not directory.is_dir():
            return []
        return await hosts_toml.read(directory, domain, await self._reach(domain), self.is_insecure)

    async def _reach(self, domain: str, insecure: bool = False) -> list[Endpoint]:
        """Return the ways to a registry that nothing else is known of than its name: dockerd's rules."""
        if domain == DEFAULT_DOMAIN:
            return [Endpoint("https", HUB)]
        if not insecure and not await self.is_insecure(domain):
            return [Endpoint("https", domain)]
        found = [Endpoint("https", domain, verify=False), Endpoint("http", domain)]
        working = self._working.get(domain)
        return [working, *(other for other in found if other != working)] if working in found else found

    def remember(self, endpoint: Endpoint) -> None:
        """Try this endpoint first from now on: it answered."""
        verify = endpoint.verify or endpoint.scheme == "http"  # as `_reach` makes them
        self._working[endpoint.host] = Endpoint(endpoint.scheme, endpoint.host, verify=verify)

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
    return Endpoint(parts.scheme, parts.netloc, parts.path.rstrip("/"), mirror=True, capabilities=READ)


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
