"""/_ping, /version, /info, /system/df."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response
from proa.api.translate import disk_usage as usage
from proa.api.translate import gates, system

_PING_HEADERS = {
    "Builder-Version": "1",  # the classic builder: there is no BuildKit behind /grpc
    "Swarm": "inactive",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
}


async def ping(request: Request) -> Response:
    """Say that the engine is there; every client's first request, also to learn the API's version."""
    if request.method == "HEAD":
        return Response(200, b"", headers={**_PING_HEADERS, "Content-Type": "text/plain; charset=utf-8"})
    return Response(200, b"OK", "text/plain; charset=utf-8", _PING_HEADERS)


async def version(request: Request) -> Response:
    return json_response(system.version())


async def info(request: Request) -> Response:
    return json_response(gates.fit("info", system.info(request.engine), request.version))


async def disk_usage(request: Request) -> Response:
    """Say what images, containers and volumes take; `type` selects, which spares measuring the others."""
    kinds = request.query.all("type") or ["container", "image", "volume", "build-cache"]
    usage.check_kinds(kinds)
    return json_response(await usage.document(request.engine, kinds, request.version))
