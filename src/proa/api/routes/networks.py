"""/networks: the predefined ones. Making others and connecting to them is refused by name."""

from __future__ import annotations

from typing import Any

from proa.api.request import Request, Response, json_response
from proa.api.translate import networks
from proa.engine import filtering, filters
from proa.engine.networks.records import Network
from proa.errors import Forbidden, Unsupported


async def list_networks(request: Request) -> Response:
    wanted = request.query.filters()
    filtering.check(wanted, filters.NETWORK_FILTERS)
    found = [network for network in request.engine.networks.all() if _passes(network, wanted, request)]
    details = request.version < (1, 28)  # later only `inspect` tells who is connected
    return json_response([_document(request, network, details=details) for network in found])


async def inspect(request: Request) -> Response:
    network = request.engine.networks.get(request.name())
    scope = request.query.text("scope")
    if scope not in ("", "local"):
        return json_response({"message": f"network {request.name()} not found"}, 404)
    return json_response(_document(request, network))


def _document(request: Request, network: Network, *, details: bool = True) -> dict[str, Any]:
    records = list(request.engine.containers.all()) if details else []
    return networks.document(network, networks.members(network, records))


async def remove(request: Request) -> Response:
    network = request.engine.networks.get(request.name())
    if network.predefined:
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
