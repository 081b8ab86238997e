"""/build…, /session, /grpc: nothing is built yet, so there is nothing to cancel and no cache to prune."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response
from proa.errors import InvalidArgument, Unsupported


async def build(request: Request) -> Response:
    raise Unsupported("building images is not supported yet")


async def prune(request: Request) -> Response:
    return json_response({"CachesDeleted": None, "SpaceReclaimed": 0})


async def cancel(request: Request) -> Response:
    """A build that is not there counts as cancelled, in Docker too."""
    if not request.query.text("id"):
        raise InvalidArgument("build ID not provided")
    return Response(200)


async def session(request: Request) -> Response:
    if not request.upgrade:
        raise InvalidArgument("no upgrade proto in request")
    raise Unsupported("building images with BuildKit is not supported yet")
