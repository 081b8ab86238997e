"""hosts.toml: which servers stand for a registry, as containerd reads it (containerd, docs/hosts.md).

    server = "https://registry.example"

    [host."https://mirror.example"]
      capabilities = ["pull", "resolve"]
      ca = "mirror.pem"

One file for each registry, `DIRECTORY/HOST/hosts.toml`. Its hosts are asked in the order of the file, the server
last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from proa.registry.endpoint import ALL, Endpoint
from proa.registry.tables import Table
from proa.registry.tls import Tls, of_directory

NAME = "hosts.toml"
DEFAULT_DIRECTORY = "_default"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def directories(place: Path, domain: str) -> list[Path]:
    """Return where the file of a registry may be; containerd writes the port also as `_5000_`."""
    host, colon, port = domain.rpartition(":")
    spelled = [f"{host}_{port}_"] if colon and port.isdecimal() else []
    return [place / name for name in (*spelled, domain)]


async def read(
    directory: Path, domain: str, usual: Sequence[Endpoint], is_insecure: Callable[[str], Awaitable[bool]]
) -> list[Endpoint]:
    """Return what a directory says of a registry, [] when it says nothing.

    `usual` are the ways to the registry itself, for a file that names no server. Raises `InvalidArgument` that
    names file and key.
    """
    try:
        document = Table.read(directory / NAME)
    except FileNotFoundError:
        found = of_directory(directory)  # as in Docker's certs.d
        return [replace(endpoint, tls=found) for endpoint in usual] if found else []
    hosts = document.table("host")
    made: list[Endpoint] = []
    for url in hosts:
        table = hosts.table(url)
        made.append(_endpoint(table, _parse(hosts, url, url), domain))
        table.finish()
    server = document.text("server")
    if server:
        own = _endpoint(document, _parse(document, "server", server), domain)
        known = own.host in (domain, *(endpoint.host for endpoint in usual))
        made.append(replace(own, mirror=False, namespace="" if known else domain))
    else:
        settings = _endpoint(document, ("https", domain, ""), domain)
        made += [
            replace(
                settings, scheme=endpoint.scheme, host=endpoint.host, mirror=False, namespace="",
                verify=settings.verify and endpoint.verify,
            )
            for endpoint in usual
        ]  # fmt: skip
    document.finish()
    return [
        replace(endpoint, verify=False)
        if endpoint.verify and not endpoint.tls.authorities and await is_insecure(endpoint.host)
        else endpoint
        for endpoint in made
    ]


def _endpoint(table: Table, where: tuple[str, str, str], domain: str) -> Endpoint:
    """Read one server's settings; they are the same for a `host` and for the whole file's `server`."""
    scheme, host, path = where
    bare = table.flag("override_path")
    return Endpoint(
        scheme,
        host,
        path if bare else path.removesuffix("/v2"),
        verify=not table.flag("skip_verify"),
        mirror=True,
        tls=Tls(_authorities(table), _certificates(table)),
        capabilities=_capabilities(table),
        headers=_headers(table),
        connect_timeout=_timeout(table),
        bare=bare,
        namespace=domain,
    )


def _parse(table: Table, key: str, url: str) -> tuple[str, str, str]:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        host = parts.hostname and parts.netloc and (parts.port, parts.netloc)[1]
    except ValueError:
        host = ""
    if parts.scheme not in ("http", "https") or not host:
        table.fail(key, f"expected a URL such as https://mirror.example:5000, not {url!r}")
    if parts.username is not None:
        table.fail(key, "a URL takes no user and password; a header of Authorization does")
    if parts.query or parts.fragment:
        table.fail(key, f"a URL takes no query and no fragment: {url!r}")
    return parts.scheme, parts.netloc, parts.path.rstrip("/")


def _capabilities(table: Table) -> frozenset[str]:
    given = table.texts("capabilities")
    for name in given:
        if name not in ALL:
            table.fail("capabilities", f"unknown capability {name!r}; known are {', '.join(sorted(ALL))}")
    return frozenset(given) if "capabilities" in table else ALL


def _authorities(table: Table) -> tuple[Path, ...]:
    return tuple(_file(table, "ca", name) for name in table.texts("ca"))


def _certificates(table: Table) -> tuple[tuple[Path, Path], ...]:
    """Read `client`: a file with certificate and key, or several, or pairs of them."""
    value = table.value("client")
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    found: list[tuple[Path, Path]] = []
    for entry in entries:
        names = entry if isinstance(entry, list) else [entry]
        pair = [name for name in names if isinstance(name, str)]
        if pair != names or not 1 <= len(pair) <= 2 or not pair[0]:
            table.wrong("client", 'a file, or a list of files or of pairs ["cert.pem", "key.pem"]', entry)
        certificate = _file(table, "client", pair[0])
        key = _file(table, "client", pair[1]) if len(pair) > 1 and pair[1] else certificate
        found.append((certificate, key))
    return tuple(found)


def _file(table: Table, key: str, name: str) -> Path:
    path = table.path.parent / name  # an absolute name stays as it is
    if not path.is_file():
        table.fail(key, f"no file {path}")
    return path


def _headers(table: Table) -> tuple[tuple[str, str], ...]:
    header = table.table("header")
    found = tuple((name, ", ".join(header.texts(name))) for name in header)
    for name, text in found:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not text.isprintable():
            header.fail(name, "no header can be like this")
    return found


def _timeout(table: Table) -> float:
    text = table.text("dial_timeout")
    if not text:
        return 0.0
    if not re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        table.fail("dial_timeout", f'expected a time such as "5s", not {text!r}')
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
