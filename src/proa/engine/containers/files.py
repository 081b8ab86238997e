"""The files that the engine makes for a container and mounts over the image's: hosts, hostname, resolv.conf."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from proa.engine import container_files, resolv_conf
from proa.engine.containers import links
from proa.engine.records import Container, EndpointRecord
from proa.engine.spec import Place

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_NAMES = {"/etc/resolv.conf": "resolv.conf", "/etc/hostname": "hostname", "/etc/hosts": "hosts"}


def write(containers: Containers, record: Container, place: Place) -> None:
    """Write the files of a starting container; one that shares another's network shares its files."""
    kind, _, other = record.options.network_mode.partition(":")
    options, settings = record.options, containers.settings
    if kind == "container":
        place.files = paths(settings.runtime_directory(containers.get(other).id))
        return
    directory = settings.runtime_directory(record.id)
    place.files = paths(directory)
    _write(directory / "hostname", container_files.hostname(options.hostname))
    if containers.resolution.is_wanted(record):
        text = containers.resolution.embedded(record).text
    else:
        ipv6 = any(each.address6 for each in record.endpoints.values())
        text = _resolv_conf(containers, record, ipv6=ipv6)
    _write(directory / "resolv.conf", text)
    gateway = str(containers.bridge.gateway.ip)
    if kind == "host":
        extra = (container_files.extra_host(text, gateway) for text in options.extra_hosts)
        text = _host_text("/etc/hosts") + "".join(f"{address}\t{name}\n" for address, name in extra)
    else:
        addresses = [address for each in record.endpoints.values() for address in (each.address, each.address6)]
        text = container_files.hosts(
            options.hostname,
            options.domainname,
            addresses,
            options.extra_hosts,
            gateway,
            links.hosts(containers, record),
        )
    _write(directory / "hosts", text)


def ask_name_server(containers: Containers, record: Container) -> None:
    """Make a running container that has got the engine's name server ask it, unless its file has been changed."""
    path = containers.settings.runtime_directory(record.id) / "resolv.conf"
    # Whether there was IPv6 before is no longer known.
    if _host_text(path) in (_resolv_conf(containers, record, ipv6=ipv6) for ipv6 in (False, True)):
        _write(path, containers.resolution.embedded(record).text)


def _resolv_conf(containers: Containers, record: Container, *, ipv6: bool) -> str:
    """Return the file of a container that asks the host's servers."""
    options, settings = record.options, containers.settings
    own_network = options.network_mode != "host"
    return resolv_conf.resolv_conf(
        resolv_conf.HostFile.read(own_network=own_network).text,
        options.dns or settings.dns,
        options.dns_search or settings.dns_search,
        options.dns_options or settings.dns_options,
        own_network=own_network,
        ipv6=ipv6,
    )


def add_addresses(containers: Containers, record: Container, place: EndpointRecord) -> None:
    """Name a running container at the addresses of one more place in its own /etc/hosts."""
    path = containers.settings.runtime_directory(record.id) / "hosts"
    _write(path, _host_text(path) + "".join(_own_lines(record, place)))


def remove_addresses(containers: Containers, record: Container, place: EndpointRecord) -> None:
    """Undo `add_addresses`; what the container's programs have written stays."""
    path = containers.settings.runtime_directory(record.id) / "hosts"
    gone = frozenset(_own_lines(record, place))
    _write(path, "".join(line for line in _host_text(path).splitlines(keepends=True) if line not in gone))


def tell_of_link(containers: Containers, record: Container, alias: str, line: str = "") -> None:
    """Let a running container's /etc/hosts say of a link what `line` says, or nothing any more."""
    path = containers.settings.runtime_directory(record.id) / "hosts"
    lines = _host_text(path).splitlines(keepends=True)
    kept = [each for each in lines if each.split()[1:2] != [alias]]
    _write(path, "".join([*kept, line]))


def _own_lines(record: Container, place: EndpointRecord) -> list[str]:
    addresses = [address for address in (place.address, place.address6) if address]
    return container_files.own_lines(record.options.hostname, record.options.domainname, addresses)


def paths(directory: Path) -> dict[str, Path]:
    """Return where the files of a container are on the host, by their place inside."""
    return {inside: directory / name for inside, name in _NAMES.items()}


def _write(path: Path, text: str) -> None:
    """In place, not by renaming: another container may have the file mounted."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, text.encode(errors="surrogateescape"))
    finally:
        os.close(fd)


def _host_text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""
