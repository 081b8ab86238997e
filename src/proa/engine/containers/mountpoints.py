"""The mounts of a container: from `-v`, `--mount`, `--tmpfs`, `--volumes-from` and VOLUME to mount points."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proa import wording
from proa.engine.options import Mount
from proa.engine.records import Container, MountPoint
from proa.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


def resolve(containers: Containers, record: Container) -> list[MountPoint]:
    """Return the container's mount points; missing volumes and, for `-v`, host directories are made."""
    points: dict[str, MountPoint] = {}
    for spec in record.options.volumes_from:
        for point in _inherited(containers, spec):
            points[point.destination] = point
    made: list[MountPoint] = []
    try:
        for mount in record.options.mounts:
            target = _target(mount)
            if mount.from_image and target in points:
                continue
            if target in points and not mount.from_image and points[target] in made:
                raise InvalidArgument(f"Duplicate mount point: {target}")
            points[target] = _point(containers, record, mount, target)
            made.append(points[target])
    except BaseException:
        _release(containers, record, [point for point in made if point.anonymous])
        raise
    return list(points.values())


def _target(mount: Mount) -> str:
    target = os.path.normpath(mount.target)
    if not mount.target.startswith("/") or target in ("/", "//"):
        reason = "destination can't be '/'" if target in ("/", "//") else "mount path must be absolute"
        raise InvalidArgument(
            f"invalid mount config for type \"{mount.type}\": invalid mount path: '{mount.target}' {reason}"
            if target not in ("/", "//")
            else f"invalid specification: {reason}"
        )
    return target


def _inherited(containers: Containers, spec: str) -> list[MountPoint]:
    """`--volumes-from container[:ro|rw]`: all mounts of another container but its tmpfs ones."""
    name, _, mode = spec.partition(":")
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise InvalidArgument(f"invalid mode: {mode}")
    result = []
    donor = containers.store.find(name)
    if donor is None:  # no 404: of create, that means the image to every client
        raise InvalidArgument(wording.no_such_container(name).message)
    for point in donor.mounts:
        if point.type != "tmpfs":
            copy = MountPoint(**{field: getattr(point, field) for field in point.__struct_fields__})
            copy.read_write = point.read_write and mode != "ro"
            copy.mode = ""
            result.append(copy)
    return result


def _point(containers: Containers, record: Container, mount: Mount, target: str) -> MountPoint:
    if mount.type == "tmpfs":
        return MountPoint(
            type="tmpfs", destination=target, read_write=not mount.read_only, tmpfs_options=_tmpfs(mount)
        )
    if mount.type == "volume":
        return _volume(containers, record, mount, target)
    if mount.type == "image":
        return _image(containers, mount, target)
    return _bind(mount, target)


def _tmpfs(mount: Mount) -> str:
    words = [mount.tmpfs_options] if mount.tmpfs_options else []
    if mount.tmpfs_size:
        words.append(f"size={mount.tmpfs_size}")
    if "mode=" not in mount.tmpfs_options:
        words.append(f"mode={mount.tmpfs_mode:o}")
    if mount.read_only:
        words.append("ro")
    return ",".join(words)


def _bind(mount: Mount, target: str) -> MountPoint:
    source = mount.source
    if not source.startswith("/"):
        raise InvalidArgument(
            f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
        )
    if not os.path.exists(source):
        if not mount.create_source:
            raise InvalidArgument(
                f'invalid mount config for type "bind": bind source path does not exist: {source}'
            )
        Path(source).mkdir(parents=True, exist_ok=True)
    return MountPoint(
        type="bind",
        source=source,
        destination=target,
        mode=mount.mode,
        read_write=not mount.read_only,
        propagation=mount.propagation or "rprivate",
        non_recursive=mount.non_recursive,
        read_only_non_recursive=mount.read_only_non_recursive,
    )


def _volume(containers: Containers, record: Container, mount: Mount, target: str) -> MountPoint:
    volume = containers.volumes.create(mount.source, mount.driver or "local", mount.driver_options, mount.labels)
    return MountPoint(
        type="volume",
        name=volume.name,
        source=str(containers.volumes.path(volume.name)),
        destination=target,
        driver=volume.driver,
        mode=mount.mode,
        read_write=not mount.read_only,
        anonymous=not mount.source,
        subpath=mount.subpath,
        no_copy=mount.no_copy,
    )


def _image(containers: Containers, mount: Mount, target: str) -> MountPoint:
    """An image is mounted as it is now: the container keeps its layers, whatever becomes of the name."""
    try:
        image = containers.images.get(mount.source)
    except NotFound as error:  # no 404: of create, that means the container's image to every client
        raise InvalidArgument(
            f'invalid mount config for type "image": {error.message}', hint=f"pull it first: pull {mount.source}"
        ) from error
    containers.layers.bare_stack(image.layers)
    return MountPoint(
        type="image",
        name=mount.source,
        source=image.id,
        destination=target,
        read_write=False,
        propagation="rprivate",
        subpath=mount.subpath,
        layers=image.layers,
    )


def part(containers: Containers, point: MountPoint, overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a volume or an image is mounted, as the runtime takes it; nothing for all of a volume.

    `overlay` is that of the container's root. See `runtime/parts.py`.
    """
    if point.type == "image":
        lower = containers.layers.bare_stack(point.layers)
        image = {"base": overlay["base"], "lower": lower, "place": overlay["mountpoint"]}
        return {"subpath": point.subpath, "overlay": image}
    return {"subpath": point.subpath} if point.subpath else {}


async def mount_volumes(containers: Containers, record: Container) -> None:
    """Mount what a starting container's volumes are made of, until `unmount_volumes`. Raises `Internal`."""
    mounts = containers.volumes.mounts
    if needed := mounts.needed(_volumes(record)):
        await mounts.acquire(needed, record.id)


def unmount_volumes(containers: Containers, record: Container) -> None:
    """Let go of the volumes of a container that has ended, or could not start."""
    tell(containers, "unmount", record)
    if idle := containers.volumes.mounts.release(record.id):
        containers.later(containers.volumes.mounts.settle(idle))


async def recover(containers: Containers) -> None:
    """After a start of the engine, make the mounts of volumes what the running containers need."""
    mounts = containers.volumes.mounts
    needed = mounts.needed(volume.name for volume in containers.volumes.list())
    if not needed:
        return
    for record in containers.all():
        if record.running:
            mounts.claim(set(_volumes(record)).intersection(needed), record.id)
    await mounts.settle(name for name in needed if not mounts.users(name))
    # To mount what somebody has unmounted may take as long as a file server likes.
    containers.later(mounts.settle([name for name in needed if mounts.users(name)]))


def _volumes(record: Container) -> list[str]:
    return [point.name for point in record.mounts if point.type == "volume"]


def release(containers: Containers, record: Container, *, anonymous: bool) -> None:
    """Let go of a removed container's volumes; its anonymous ones are removed if asked."""
    _release(containers, record, record.mounts if anonymous else [])


def _release(containers: Containers, record: Container, points: list[MountPoint]) -> None:
    for point in points:
        if point.type == "volume" and point.anonymous:
            containers.volumes.remove_unused(point.name)


def tell(containers: Containers, action: str, record: Container) -> None:
    """Tell that a container's volumes are now in use ("mount"), or no more ("unmount")."""
    for point in record.mounts:
        if point.type != "volume":
            continue
        attributes = {"driver": point.driver or "local", "container": record.id}
        if action == "mount":
            attributes |= {
                "destination": point.destination,
                "read/write": "true" if point.read_write else "false",
                "propagation": point.propagation,
            }
        containers.events.emit("volume", action, point.name, attributes)
