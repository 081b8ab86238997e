"""What the other handlers take and give: the system, volumes, networks, builds, and what there is not."""

from __future__ import annotations

from proa.api.description.operation import (
    CREATED,
    DONE,
    EMPTY,
    REFUSED,
    STREAM,
    TAR,
    TEXT,
    Operation,
    filters,
    flag,
    several,
    text,
)
from proa.api.types.networks import NetworkConnect, NetworkCreate, NetworkDisconnect
from proa.api.types.volumes import VolumeCreate
from proa.engine import events
from proa.engine.filters import NETWORK_FILTERS, PRUNE_FILTERS
from proa.engine.volumes.volumes import LIST_FILTERS

OPERATIONS: dict[str, Operation] = {
    # System
    "system:ping": Operation("Say that the engine is there", answers={200: TEXT}),
    "system:version": Operation("Tell versions"),
    "system:info": Operation("Tell of the engine and its host"),
    "system:disk_usage": Operation(
        "Tell what images, containers and volumes take on disk",
        (several("type", "Of these only", one_of=("container", "image", "volume", "build-cache")),),
    ),
    "events:events": Operation(
        "Tell what happens, as it happens",
        (
            text("since", "From this moment on: seconds since the epoch, with a fraction"),
            text("until", "Up to this moment"),
            filters(events.ACCEPTED),
        ),
        answers=STREAM,
    ),
    "description:openapi": Operation("Give this document"),
    # Volumes
    "volumes:list_volumes": Operation("List volumes", (filters(LIST_FILTERS),)),
    "volumes:create": Operation("Make a volume", body=VolumeCreate, answers=CREATED),
    "volumes:prune": Operation("Remove unused volumes", (filters({"all", "label", "label!"}),)),
    "volumes:inspect": Operation("Tell of a volume"),
    "volumes:remove": Operation(
        "Remove a volume", (flag("force", "One that is missing is no error"),), answers=DONE
    ),
    "volume_copies:rename": Operation(
        "Give a volume another name", (text("name", "The new name", required=True),), answers=DONE
    ),
    "volume_copies:clone": Operation(
        "Make a volume with all that another has", (text("name", "Its name", required=True),), answers=CREATED
    ),
    "volume_copies:snapshot": Operation(
        "Make a volume of what another has now",
        (text("name", "Its name; without one it gets the volume's, with the time"),),
        answers=CREATED,
    ),
    "volume_copies:read": Operation("Read a volume as tar", answers={200: TAR}),
    "volume_copies:write": Operation(
        "Unpack a tar archive into a volume, which is made if there is none", body=TAR, answers=EMPTY
    ),
    "unsupported:cluster_volume": Operation("Change a cluster volume: not supported", answers=REFUSED),
    # Networks
    "networks:list_networks": Operation("List networks", (filters(NETWORK_FILTERS),)),
    "networks:inspect": Operation("Tell of a network", (text("scope", "Among networks of this scope"),)),
    "networks:remove": Operation("Remove a network", answers=DONE),
    "networks:create": Operation("Make a network", body=NetworkCreate, answers=CREATED),
    "networks:connect": Operation("Give a container a place on a network", body=NetworkConnect, answers=EMPTY),
    "networks:disconnect": Operation("Take a container from a network", body=NetworkDisconnect, answers=EMPTY),
    "networks:prune": Operation("Remove unused networks", (filters(PRUNE_FILTERS),)),
    # Builds
    "builds:build": Operation("Build an image: not supported yet", answers=REFUSED),
    "builds:prune": Operation("Empty the build cache"),
    "builds:cancel": Operation("Cancel a build", (text("id", "Which", required=True),), answers=EMPTY),
    "builds:session": Operation("Join a client to BuildKit: not supported yet", answers=REFUSED),
    # What there is not
    "unsupported:checkpoint": Operation("Checkpoints: not supported", answers=REFUSED),
    "unsupported:no_plugins": Operation("List plugins: there are none"),
    "unsupported:no_such_plugin": Operation("Plugins: not supported", answers=REFUSED),
    "unsupported:plugins": Operation("Plugins: not supported", answers=REFUSED),
    "unsupported:swarm": Operation("Swarm mode: not supported", answers=REFUSED),
    "unsupported:no_swarm": Operation("Leave a swarm: this node is in none", answers=REFUSED),
    "unsupported:swarm_mode": Operation("Swarm mode: not supported", answers=REFUSED),
}
