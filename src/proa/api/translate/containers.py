"""Container records as the list (`ps`) shows them."""

from __future__ import annotations

from typing import Any

from proa.api.translate import gates, networks, ports, status
from proa.api.versions import Version
from proa.engine.records import Container, MountPoint
from proa.times import SECOND


def command(record: Container) -> str:
    """Return the command line as `ps` prints it: arguments with spaces in quotes."""
    return " ".join([record.path, *(f"'{word}'" if " " in word else word for word in record.args)])


def mount(point: MountPoint) -> dict[str, Any]:
    """Return one entry of Mounts."""
    document: dict[str, Any] = {"Type": point.type}
    if point.name:
        document["Name"] = point.name
    document["Source"] = point.source
    document["Destination"] = point.destination
    if point.driver:
        document["Driver"] = point.driver
    document["Mode"] = point.mode
    document["RW"] = point.read_write
    document["Propagation"] = point.propagation
    return document


def summary(record: Container, image: str, now: int, version: Version) -> dict[str, Any]:
    """Return one row of `GET /containers/json`. `image` is the name to show."""
    host_config: dict[str, Any] = {"NetworkMode": record.options.network_mode}
    if record.options.annotations:
        host_config["Annotations"] = record.options.annotations
    document = {
        "Id": record.id,
        "Names": [f"/{record.name}"],
        "Image": image,
        "ImageID": record.image_id,
        "Command": command(record),
        "Created": record.created // SECOND,
        "Ports": ports.port_list(record),
        "Labels": record.options.labels,
        "State": str(record.state.status),
        "Status": status.describe(record.state, now),
        "HostConfig": host_config,
        "NetworkSettings": {"Networks": networks.endpoints(record), **ports.policy_in_force(record)},
        "Mounts": [mount(point) for point in record.mounts],
    }
    return gates.fit("container", document, version)
