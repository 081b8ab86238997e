"""Through which proxy a server is reached: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by the rules of Go's programs
(golang.org/x/net/http/httpproxy), so that one setting does for dockerd and Proa.

NO_PROXY is a list with commas: `*` for everything, addresses, networks, and domains with all below them; `.domain`
and `*.domain` stand only for what is below. A port may follow. Loopback is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proa.errors import InvalidArgument

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SCHEMES = ("http", "https")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxies:
    """URLs of proxies for the two schemes, "" for none. They may hold a password: not for logs."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    exceptions: str = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None, **given: str) -> Proxies:
        """Take what is `given`, and for the rest what the environment says, upper case first."""
        known = os.environ if environment is None else environment
        found = {
            name: given.get(name) or known.get(variable.upper()) or known.get(variable) or ""
            for name, variable in (("http", "http_proxy"), ("https", "https_proxy"), ("exceptions", "no_proxy"))
        }
        return cls(_checked("HTTP", found["http"]), _checked("HTTPS", found["https"]), found["exceptions"])

    def of(self, scheme: str, host: str, port: int) -> str:
        """Return the URL of the proxy for a server, "" for none."""
        proxy = self.https if scheme == "https" else self.http
        host = host.lower().strip(".")
        address = _address(host)
        if not proxy or host == "localhost" or (address is not None and address.is_loopback):
            return ""
        port = port or _PORTS.get(scheme, 0)
        entries = (entry.strip().lower() for entry in self.exceptions.split(","))
        return "" if any(_covers(entry, host, address, port) for entry in entries if entry) else proxy


def _checked(name: str, url: str) -> str:
    """Return a proxy's URL with its scheme."""
    if not url:
        return ""
    full = url if "://" in url else f"http://{url}"
    parts = urlsplit(full)
    try:
        usable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if parts.scheme not in _SCHEMES:
        raise InvalidArgument(
            f"invalid {name} proxy: scheme {parts.scheme!r} is not supported, only http and https"
        )
    if not usable:
        raise InvalidArgument(f"invalid {name} proxy: expected a URL such as http://proxy.example:3128")
    return full


def _covers(entry: str, host: str, address: _Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted = _split(entry)
    if wanted and wanted != port:
        return False
    excepted = _address(name)
    if excepted is not None or address is not None:
        return excepted == address
    below = name.removeprefix("*")
    if below.startswith("."):
        return host.endswith(below)
    return host == name or host.endswith(f".{name}")


def _split(entry: str) -> tuple[str, int]:
    """Split off a port; an IPv6 address has brackets when there is one."""
    if _address(entry.strip("[]")) is not None:
        return entry.strip("[]"), 0
    name, colon, port = entry.rpartition(":")
    return (name.strip("[]"), int(port)) if colon and port.isdecimal() else (entry, 0)


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
