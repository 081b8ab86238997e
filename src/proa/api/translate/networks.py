"""Endpoints and ports of a container, as `ps` and `inspect` show them."""

from __future__ import annotations

from typing import Any

import msgspec

from proa.api.types.containers import EndpointSettings
from proa.engine.records import Container, EndpointRecord


def network_name(record: Container) -> str:
    """Return the network that a container is on, "" when it shares another one's."""
    mode = record.options.network_mode
    return "" if mode.startswith("container:") else mode


def endpoints(record: Container) -> dict[str, Any]:
    """Return `NetworkSettings.Networks`."""
    name = network_name(record)
    if not name:
        return {}
    return {name: endpoint(record.endpoint, record.options.mac_address)}


def endpoint(record: EndpointRecord | None, mac_address: str = "") -> dict[str, Any]:
    """Return one endpoint; addresses are empty while the container does not run."""
    settings = EndpointSettings(mac_address=mac_address)
    if record is not None:
        settings.mac_address = record.mac_address or mac_address
        settings.network_id = record.network_id
        settings.endpoint_id = record.endpoint_id
        settings.gateway = record.gateway
        settings.ip_address = record.address
        settings.ip_prefix_len = record.prefix_length
    document: dict[str, Any] = msgspec.to_builtins(settings)
    return document


def port_map(record: Container) -> dict[str, None]:
    """Return `NetworkSettings.Ports` of a running container: exposed ports; none is published."""
    if not record.running or record.options.network_mode in ("host", "none") or not network_name(record):
        return {}
    return dict.fromkeys(expanded(record.options.exposed_ports))


def port_list(record: Container) -> list[dict[str, Any]]:
    """Return `Ports` of the container list."""
    ports = (port.partition("/") for port in port_map(record))
    return [{"PrivatePort": int(number), "Type": protocol} for number, _, protocol in ports]


def expanded(ports: list[str]) -> list[str]:
    """Return single ports for ranges: "8000-8001/tcp" is two."""
    result = []
    for port in ports:
        numbers, _, protocol = port.partition("/")
        first, _, last = numbers.partition("-")
        result += [f"{number}/{protocol or 'tcp'}" for number in range(int(first), int(last or first) + 1)]
    return result
