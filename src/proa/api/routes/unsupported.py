"""What Docker has and Proa has not: a clear no, so that clients can tell it from a failure."""

from __future__ import annotations

from proa import wording
from proa.api.request import Request, Response, json_response
from proa.errors import NotFound, Unavailable, Unsupported


async def checkpoint(request: Request) -> Response:
    raise Unsupported(
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order "
        "to enable it."
    )


async def no_plugins(request: Request) -> Response:
    return json_response([])


async def no_such_plugin(request: Request) -> Response:
    raise NotFound(f'plugin "{request.name()}" not found')


async def plugins(request: Request) -> Response:
    raise Unsupported("plugins are not supported")


async def swarm(request: Request) -> Response:
    raise wording.no_swarm_manager()


async def no_swarm(request: Request) -> Response:
    raise Unavailable("This node is not part of a swarm")


async def cluster_volume(request: Request) -> Response:
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


async def swarm_mode(request: Request) -> Response:
    raise Unsupported("swarm mode is not supported")
