"""Networks, and the places of containers on them, as lists and `inspect` show them."""

from __future__ import annotations

from typing import Any

import msgspec

from proa import times
from proa.api.types.containers import EndpointSettings, IpamConfig
from proa.api.types.networks import NetworkCreate
from proa.engine.networks import naming
from proa.engine.networks.options import NetworkOptions
from proa.engine.networks.records import PREDEFINED, Network, Subnet
from proa.engine.records import Container, EndpointRecord
from proa.ids import short


def options(body: NetworkCreate) -> NetworkOptions:
    """Return what the engine is asked for."""
    return NetworkOptions(
        name=body.name,
        driver=body.driver,
        scope=body.scope,
        internal=body.internal,
        attachable=body.attachable,
        ingress=body.ingress,
        config_only=body.config_only,
        config_from=body.config_from.network,
        enable_ipv4=body.enable_ipv4 is not False,
        enable_ipv6=body.enable_ipv6 is True,
        ipam_driver=body.ipam.driver,
        ipam_options=body.ipam.options,
        subnets=[
            Subnet(
                subnet=each.subnet,
                range=each.ip_range,
                gateway=each.gateway,
                auxiliary=each.auxiliary_addresses,
            )
            for each in body.ipam.config
        ],
        options=body.options,
        labels=body.labels,
    )


def document(network: Network, members: list[Container]) -> dict[str, Any]:
    """Return `GET /networks/{id}`, with the containers that are on it right now."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": times.format_time(network.created),
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": network.ipam_options,
            "Config": [_subnet(each) for each in network.subnets] or None,
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": {record.id: _member(record, record.endpoints[network.name]) for record in members},
        "Options": network.options,
        "Labels": network.labels,
    }


def _subnet(subnet: Subnet) -> dict[str, Any]:
    found: dict[str, Any] = {"Subnet": subnet.subnet}
    if subnet.range:
        found["IPRange"] = subnet.range
    if subnet.gateway and not subnet.implicit_gateway:
        found["Gateway"] = subnet.gateway
    if subnet.auxiliary:
        found["AuxiliaryAddresses"] = subnet.auxiliary
    return found


def _member(record: Container, place: EndpointRecord) -> dict[str, str]:
    return {
        "Name": record.name,
        "EndpointID": place.endpoint_id,
        "MacAddress": place.mac_address,
        "IPv4Address": f"{place.address}/{place.prefix_length}" if place.address else "",
        "IPv6Address": f"{place.address6}/{place.prefix_length6}" if place.address6 else "",
    }


def members(network: Network, records: list[Container]) -> list[Container]:
    """Return the containers that are on a network right now."""
    return [
        record
        for record in records
        if (place := record.endpoints.get(network.name)) and place.attached and place.network_id == network.id
    ]


def endpoints(record: Container) -> dict[str, Any]:
    """Return `NetworkSettings.Networks`."""
    return {name: endpoint(record, place) for name, place in record.endpoints.items()}


def endpoint(record: Container, place: EndpointRecord) -> dict[str, Any]:
    """Return one place; addresses are empty while the container does not run."""
    wishes = place.wishes
    addresses = IpamConfig(
        ipv4_address=wishes.address, ipv6_address=wishes.address6, link_local_ips=wishes.link_local_addresses
    )
    settings = EndpointSettings(
        ipam_config=addresses if addresses != IpamConfig() else None,
        links=wishes.links or None,
        aliases=wishes.aliases or None,
        driver_opts=wishes.driver_options or None,
        gw_priority=wishes.gateway_priority,
        mac_address=place.mac_address or wishes.mac_address,
        network_id=place.network_id,
        endpoint_id=place.endpoint_id,
        gateway=place.gateway,
        ip_address=place.address,
        ip_prefix_len=place.prefix_length,
        ipv6_gateway=place.gateway6,
        global_ipv6_address=place.address6,
        global_ipv6_prefix_len=place.prefix_length6,
        dns_names=(naming.names(record, place) or None) if place.network_id else None,
    )
    found: dict[str, Any] = msgspec.to_builtins(settings)
    return found


def name_by_aliases(record: Container, attached: dict[str, Any]) -> None:
    """Add the names that clients older than DNSNames look for among the aliases."""
    for name, shown in attached.items():
        if name not in PREDEFINED:
            own = (short(record.id), record.options.hostname)
            shown["Aliases"] = list(dict.fromkeys([*(shown["Aliases"] or ()), *own]))


NOWHERE: dict[str, Any] = msgspec.to_builtins(EndpointSettings())
