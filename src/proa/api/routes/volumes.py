"""/volumes: list, create, inspect, remove, prune."""

from __future__ import annotations

from proa import wording
from proa.api.request import NO_CONTENT, Request, Response, json_response
from proa.api.translate.volumes import directory_size, document
from proa.api.types.volumes import VolumeCreate
from proa.engine import filtering, filters
from proa.errors import Conflict, InvalidArgument, NotFound

_PRUNE_FILTERS = frozenset({"all", "label", "label!"})


async def list_volumes(request: Request) -> Response:
    volumes = request.engine.volumes
    found = volumes.list(request.query.filters())
    return json_response(
        {"Volumes": [document(request.engine.volumes, volume) for volume in found], "Warnings": None}
    )


async def create(request: Request) -> Response:
    body = await request.json(VolumeCreate) or VolumeCreate()
    if body.cluster_volume_spec is not None:
        raise wording.no_swarm_manager()
    volume = request.engine.volumes.create(body.name, body.driver or "local", body.driver_opts, body.labels)
    return json_response(document(request.engine.volumes, volume), 201)


async def inspect(request: Request) -> Response:
    return json_response(document(request.engine.volumes, request.engine.volumes.get(request.name())))


async def remove(request: Request) -> Response:
    request.engine.volumes.remove(request.name(), force=request.query.flag("force"))
    return NO_CONTENT


async def prune(request: Request) -> Response:
    """Remove volumes that no container uses; since 1.42 only anonymous ones unless `all` is asked for."""
    volumes, wanted = request.engine.volumes, request.query.filters()
    filtering.check(wanted, _PRUNE_FILTERS)
    everything = filtering.boolean(wanted, "all")
    if request.version < (1, 42):
        if everything is not None:
            raise InvalidArgument("invalid filter 'all'")
        everything = True
    removed, space = [], 0
    for volume in volumes.list():
        if volumes.users(volume.name) or not (everything or volume.anonymous):
            continue
        if not filters.pruned_by_labels(wanted, volume.labels):
            continue
        size = await directory_size(volumes.mountpoint(volume.name))
        try:
            volumes.remove(volume.name)
        except (Conflict, NotFound):
            continue
        removed.append(volume.name)
        space += size
    request.engine.events.emit("volume", "prune", "", {"reclaimed": str(space)})
    return json_response({"VolumesDeleted": removed, "SpaceReclaimed": space})
