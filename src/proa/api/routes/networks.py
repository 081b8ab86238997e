"""/networks: the predefined ones. Making others and connecting to them is refused by name."""

from __future__ import annotations

from typing import Any

from proa import times
from proa.api.facade import Network
from proa.api.request import Request, Response, json_response
from proa.engine import filtering, filters
from proa.engine.records import Container
from proa.errors import Forbidden, Unsupported

_PREDEFINED = frozenset({"bridge", "host", "none"})


async def list_networks(request: Request) -> Response:
    wanted = request.query.filters()
    filtering.check(wanted, filters.NETWORK_FILTERS)
    found = [network for network in request.engine.networks.all() if _passes(network, wanted, request)]
    details = request.version < (1, 28)  # later only `inspect` tells who is connected
    return json_response([
        _document(network, _members(request, network) if details else {}) for network in found
    ])  # fmt: skip


async def inspect(request: Request) -> Response:
    network = request.engine.networks.get(request.name())
    scope = request.query.text("scope")
    if scope not in ("", "local"):
        return json_response({"message": f"network {request.name()} not found"}, 404)
    return json_response(_document(network, _members(request, network)))


def _members(request: Request, network: Network) -> dict[str, Container]:
    return {record.id: record for record in _connected(request, network)}


async def remove(request: Request) -> Response:
    network = request.engine.networks.get(request.name())
    if network.name in _PREDEFINED:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
    raise _unsupported()


async def create(request: Request) -> Response:
    raise _unsupported()


async def connect(request: Request) -> Response:
    request.engine.networks.get(request.name())
    raise _unsupported()


async def disconnect(request: Request) -> Response:
    request.engine.networks.get(request.name())
    raise _unsupported()


async def prune(request: Request) -> Response:
    """There is nothing to prune: predefined networks stay."""
    filtering.check(request.query.filters(), filters.PRUNE_FILTERS)
    return json_response({"NetworksDeleted": None})


def _unsupported() -> Unsupported:
    return Unsupported("user-defined networks are not supported yet")


def _connected(request: Request, network: Network) -> list[Container]:
    return [
        record
        for record in request.engine.containers.all()
        if record.running and record.options.network_mode == network.name
    ]


def _passes(network: Network, wanted: filtering.Filters, request: Request) -> bool:
    dangling = filtering.boolean(wanted, "dangling")
    return (
        filtering.exact(wanted, "driver", network.driver)
        and filtering.exact(wanted, "scope", "local")
        and filtering.exact(wanted, "type", "builtin")
        and filtering.labelled(wanted, "label", {})
        and (not wanted.get("id") or filters.matches_any(wanted["id"], network.id))
        and (not wanted.get("name") or filters.matches_any(wanted["name"], network.name))
        and dangling is not True  # predefined networks never dangle
    )


def _document(network: Network, containers: dict[str, Container]) -> dict[str, Any]:
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": times.format_time(network.created),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": network.subnet, "Gateway": network.gateway}] if network.subnet else None,
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {identifier: _member(record) for identifier, record in containers.items()},
        "Options": network.options,
        "Labels": {},
    }


def _member(record: Container) -> dict[str, str]:
    endpoint = record.endpoint
    if endpoint is None:
        return {
            "Name": record.name,
            "EndpointID": "",
            "MacAddress": "",
            "IPv4Address": "",
            "IPv6Address": "",
        }
    return {
        "Name": record.name,
        "EndpointID": endpoint.endpoint_id,
        "MacAddress": endpoint.mac_address,
        "IPv4Address": f"{endpoint.address}/{endpoint.prefix_length}" if endpoint.address else "",
        "IPv6Address": "",
    }
