"""The files that the engine makes for a container and mounts over the image's: hosts, hostname, resolv.conf."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from proa.engine import container_files
from proa.engine.records import Container
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
    _write(
        directory / "resolv.conf",
        container_files.resolv_conf(
            _host_resolvers(kind),
            options.dns or settings.dns,
            options.dns_search or settings.dns_search,
            options.dns_options or settings.dns_options,
            own_network=kind != "host",
            ipv6=any(each.address6 for each in record.endpoints.values()),
        ),
    )
    gateway = str(containers.bridge.gateway.ip)
    if kind == "host":
        extra = (container_files.extra_host(text, gateway) for text in options.extra_hosts)
        text = _host_text("/etc/hosts") + "".join(f"{address}\t{name}\n" for address, name in extra)
    else:
        addresses = [address for each in record.endpoints.values() for address in (each.address, each.address6)]
        text = container_files.hosts(options.hostname, options.domainname, addresses, options.extra_hosts, gateway)
    _write(directory / "hosts", text)


def _host_resolvers(network: str) -> str:
    """Return the host's resolv.conf; from a network of its own a container can not reach resolved's stub."""
    text = _host_text("/etc/resolv.conf")
    if network != "host" and container_files.is_behind_resolved(text):
        return _host_text(container_files.RESOLVED_PATH) or text
    return text


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


def _host_text(path: str) -> str:
    try:
        return Path(path).read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""
