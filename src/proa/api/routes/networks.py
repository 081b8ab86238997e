"""/networks: list, create, inspect, remove, connect, disconnect, prune."""

from __future__ import annotations

from typing import Any

from proa.api.request import NO_CONTENT, Request, Response, json_response, required
from proa.api.translate import endpoints, networks
from proa.api.types.networks import NetworkConnect, NetworkCreate, NetworkDisconnect
from proa.engine import filtering, filters
from proa.engine.networks.records import Network
from proa.errors import InvalidArgument

_DONE = Response(200)


async def list_networks(request: Request) -> Response:
    wanted = request.query.filters()
    filtering.check(wanted, filters.NETWORK_FILTERS)
    found = [network for network in request.engine.networks.all() if _passes(network, wanted, request)]
    details = request.version < (1, 28)  # later only `inspect` tells who is connected
    return json_response([_document(request, network, details=details) for network in found])


async def inspect(request: Request) -> Response:
    network = request.engine.networks.get(request.name())
    scope = request.query.text("scope")
    if scope not in ("", network.scope):
        return json_response({"message": f"network {request.name()} not found"}, 404)
    return json_response(_document(request, network))


def _document(request: Request, network: Network, *, details: bool = True) -> dict[str, Any]:
    records = list(request.engine.containers.all()) if details else []
    return networks.document(network, networks.members(network, records))


async def create(request: Request) -> Response:
    body = required(await request.json(NetworkCreate))
    if request.version < (1, 48):
        body.enable_ipv4 = None  # not known yet
    network = await request.engine.networks.create(networks.options(body))
    return json_response({"Id": network.id, "Warning": ""}, 201)


async def remove(request: Request) -> Response:
    await request.engine.containers.remove_network(request.name())
    return NO_CONTENT


async def connect(request: Request) -> Response:
    body = await request.json(NetworkConnect) or NetworkConnect()
    settings = body.endpoint_config
    if settings is not None and request.version < (1, 48):
        settings.gw_priority = 0
    request.engine.networks.get(request.name())
    wishes = endpoints.options(settings) if settings is not None else None
    await request.engine.containers.connect(request.name(), _named(body.container), wishes)
    return _DONE


async def disconnect(request: Request) -> Response:
    body = await request.json(NetworkDisconnect) or NetworkDisconnect()
    if not body.container:
        request.engine.networks.get(request.name())  # what is wrong with that one is told first
    await request.engine.containers.disconnect(request.name(), _named(body.container), force=body.force)
    return _DONE


def _named(container: str) -> str:
    if not container:
        raise InvalidArgument('invalid name or ID supplied: ""')
    return container


async def prune(request: Request) -> Response:
    removed = await request.engine.containers.prune_networks(request.query.filters())
    return json_response({"NetworksDeleted": removed or None})


def _passes(network: Network, wanted: filtering.Filters, request: Request) -> bool:
    dangling = filtering.boolean(wanted, "dangling")
    if dangling is not None:
        used = network.predefined or networks.members(network, list(request.engine.containers.all()))
        if dangling is bool(used):
            return False
    return (
        filtering.exact(wanted, "driver", network.driver)
        and filtering.exact(wanted, "scope", network.scope)
        and filtering.exact(wanted, "type", "builtin" if network.predefined else "custom")
        and filtering.labelled(wanted, "label", network.labels)
        and (not wanted.get("id") or filters.matches_any(wanted["id"], network.id))
        and (not wanted.get("name") or filters.matches_any(wanted["name"], network.name))
    )
