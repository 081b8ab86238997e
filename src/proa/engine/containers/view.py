"""The merged root of a container that may not be running, seen for a moment by one thread.

The thread has a mount namespace of its own, which ends with it: no mount shows on the host, and none
stays whatever happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from proa.engine import spec
from proa.engine.containers import mountpoints, root
from proa.engine.own_thread import in_own_thread
from proa.engine.records import Container, MountPoint
from proa.errors import InvalidArgument
from proa.linux import mount, namespaces
from proa.runtime import inroot
from proa.runtime import mounts as runtime_mounts
from proa.runtime.failure import SetupError
from proa.runtime.rootfs import overlay_options

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_Result = TypeVar("_Result")


async def within(
    containers: Containers, record: Container, work: Callable[[int], _Result], *, mounts: bool = False
) -> _Result:
    """Return `work(root_fd)`, run in a thread that has the container's root mounted.

    With `mounts` its volumes and bind mounts are there, too, and what is read-only to the container is so here.
    """
    names = [point.name for point in record.mounts if point.type == "volume"] if mounts else []
    async with containers.volumes.mounts.held(names, "copy"), containers.steady.use(record):
        return await _within(containers, record, work, mounts=mounts)


async def _within(
    containers: Containers, record: Container, work: Callable[[int], _Result], *, mounts: bool
) -> _Result:
    directory = containers.directory(record)
    description = root.overlay(containers, record, directory)

    def run() -> _Result:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
        os.chdir(description["base"])
        place = description["mountpoint"]
        mount.mount("overlay", place, "overlay", 0, overlay_options({**description, "options": ()}))
        root_fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if mounts:
                parts = {
                    point.destination: mountpoints.part(containers, point, description) for point in record.mounts
                }
                _mount_all(record, root_fd, place, parts)
            return work(root_fd)
        finally:
            os.close(root_fd)

    return await in_own_thread(run)


def _mount_all(record: Container, root_fd: int, place: str, parts: dict[str, dict[str, Any]]) -> None:
    points = [point for point in record.mounts if point.type != "tmpfs"]
    for point in sorted(points, key=lambda point: point.destination.count("/")):
        if parts[point.destination]:
            try:
                runtime_mounts.attach(root_fd, spec.user_mount(point, parts[point.destination]), {})
            except SetupError as error:
                raise InvalidArgument(error.message) from error
        else:
            _mount(point, root_fd)
    if record.options.read_only:
        mount.mount(None, place, None, mount.MS_REMOUNT | mount.MS_BIND | mount.MS_RDONLY)


def _mount(point: MountPoint, root_fd: int) -> None:
    """Mount a volume or a file or directory of the host at its place."""
    source = os.open(point.source, os.O_PATH | os.O_CLOEXEC)
    try:
        target = inroot.open_target(root_fd, point.destination, directory=inroot.is_directory(source))
        try:
            mount.mount(_path(source), _path(target), None, mount.MS_BIND | mount.MS_REC)
        finally:
            os.close(target)
    finally:
        os.close(source)
    if not point.read_write:
        mounted = inroot.open_in_root(root_fd, point.destination)
        try:
            mount.mount(None, _path(mounted), None, mount.MS_REMOUNT | mount.MS_BIND | mount.MS_RDONLY)
        finally:
            os.close(mounted)


def _path(descriptor: int) -> str:
    return f"/proc/thread-self/fd/{descriptor}"


async def fill_volumes(containers: Containers, record: Container) -> None:
    """Copy what the image has at a volume's place into the volume, if that is new and empty."""
    points = [
        point for point in record.mounts if point.type == "volume" and not point.no_copy and not point.subpath
    ]
    mounted = containers.volumes.mounts.needed(point.name for point in points)
    points = [point for point in points if point.name in mounted or containers.volumes.is_fresh(point.name)]
    if not points:
        return
    async with containers.volumes.mounts.held(mounted, "fill"):
        await within(containers, record, lambda root_fd: _fill(containers, root_fd, points))


def _fill(containers: Containers, root_fd: int, points: list[MountPoint]) -> None:
    for point in points:
        try:
            source = inroot.open_in_root(root_fd, point.destination, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the image has nothing there
        try:
            containers.volumes.fill(point.name, source)
        finally:
            os.close(source)
