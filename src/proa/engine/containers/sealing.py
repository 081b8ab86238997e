"""Sealing: what a container has written becomes a layer that others share, and it goes on in an empty one.

    stopped   its writable directory is renamed: nothing is copied, however much it is
    running   the kernel holds the directory, whatever its name is: the container is frozen and the directory
              copied (by reference where the file system can), and it goes on in its own

The record comes first, with what is to be done to the directory, and is on disk before the directory is touched.
So a crash at any moment leaves the state before, or one that `finish` completes at the next start.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from proa import ids
from proa.engine.containers import layer_limit
from proa.engine.records import Container, Status
from proa.engine.volumes.copy_up import copy_up
from proa.errors import Conflict, KernelError, ProaError, Unsupported
from proa.snapshots.overlay import UPPER, WORK, has_room

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_log = logging.getLogger(__name__)


async def ready(containers: Containers, record: Container, verb: str) -> None:
    """Begin something with a container's writable layer, under its lock; refuses as `check` does."""
    containers.get(record.id)  # it may have been removed while we waited
    check(containers, record, verb)
    await finish(containers, record)


def check(containers: Containers, record: Container, verb: str) -> None:
    """Refuse a container whose writable layer can not be sealed or replaced now."""
    if record.state.status in (Status.REMOVING, Status.DEAD):
        raise Conflict(f"cannot {verb} container {record.name}: it is being removed")
    if record.options.ephemeral:
        raise Unsupported(
            f"cannot {verb} container {record.name}: it is ephemeral, its layer is in memory",
            hint="commit it to an image",
        )
    if not record.running and containers.steady.is_used(record):
        raise Conflict(f"cannot {verb} container {record.name}: its files are being read or written: try again")


class Sealed(NamedTuple):
    """The layers that hold all that a container has written, base first. `key` is that of a new one, if any."""

    layers: list[str]
    key: str
    is_copy: bool  # the new one is there, and nothing to the container; else it is its directory, to be renamed


async def seal(containers: Containers, record: Container) -> Sealed:
    """Return what a container has written as layers; the caller holds its lock, and makes use of it by `record`.

    Raises `Unsupported` when no other layer fits above it.
    """
    directory = containers.directory(record) / UPPER
    if not await asyncio.to_thread(_has_entries, directory):
        return Sealed(record.sealed, "", is_copy=False)
    below = [*record.layers, *record.sealed]
    if not has_room(containers.layers, below, containers.settings.container_directory(record.id)):
        raise Unsupported(
            f"container {record.name} has too many layers for another: {len(record.sealed)} beside its image's",
            hint="commit it to an image, and go on with a container of that",
        )
    key, is_copy = ids.new_id(), record.running
    if is_copy:
        async with containers.holds.hold(record):
            await asyncio.to_thread(_copy, containers, directory, key)
    return Sealed([*record.sealed, key], key, is_copy)


async def keep(
    containers: Containers,
    record: Container,
    sealed: Sealed,
    changes: dict[str, Any],
    new: Sequence[Container] = (),
) -> None:
    """Make visible, all at once, what goes with sealed layers: changes of the record, copies of the container."""
    try:
        if sealed.key and not sealed.is_copy:
            check(containers, record, "seal")  # somebody may have begun to use the directory meanwhile
            changes = {**changes, "sealed": sealed.layers, "unfinished": "seal"}
        containers.store.change(record, changes, new)
    except BaseException:
        if sealed.is_copy:
            containers.layers.remove(sealed.key)
        raise
    await finish(containers, record)


async def finish(containers: Containers, record: Container) -> None:
    """Do to the writable directory what the record says, once the record is on disk."""
    if record.unfinished:
        await asyncio.to_thread(containers.database.sync)
        finish_now(containers, record)


def finish_now(containers: Containers, record: Container) -> None:
    """As `finish`, for a record that is on disk for sure. Raises `KernelError` and leaves it to be done."""
    if not record.unfinished:
        return
    directory = containers.settings.container_directory(record.id)
    try:
        layer_limit.release(containers, directory)  # what is written from now on is counted anew
        if record.unfinished == "seal":
            containers.layers.adopt(directory / UPPER, record.sealed[-1])
        else:
            containers.trash.discard(directory / UPPER)
        containers.trash.discard(directory / WORK)
    except OSError as error:
        raise KernelError(
            f"{record.unfinished} the layer of container {record.id}", error.errno or errno.EIO
        ) from error
    record.unfinished = ""
    containers.store.save(record)


def recover(containers: Containers) -> None:
    """At the start of the engine: finish what a crash interrupted, before anything is swept."""
    for record in containers.all():
        try:
            finish_now(containers, record)
        except ProaError as error:
            _log.error("container %s: %s", record.id, error)


def release(containers: Containers, candidates: Iterable[str]) -> None:
    """Remove those sealed layers that no container and no snapshot needs any more."""
    gone = set(candidates)
    if gone:
        gone -= {layer for record in containers.all() for layer in record.own_layers()}
    for layer in gone:
        try:
            containers.layers.remove(layer)
        except OSError as error:
            _log.warning("cannot remove layer %s now, the next start will: %s", layer, error)


def directories(containers: Containers, record: Container) -> list[Path]:
    """Return the directories that hold what a container has changed in its image, topmost first."""
    upper = containers.directory(record) / UPPER
    below = [containers.layers.directory(layer) for layer in reversed(record.sealed)]
    return [upper, *below] if upper.is_dir() else below


def _has_entries(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


def _copy(containers: Containers, source: Path, layer: str) -> None:
    target = containers.layers.prepare(layer)
    try:
        copy_up(source, target, marks=True)
        containers.layers.adopt(target, layer)
    except OSError as error:
        containers.layers.discard(target)
        raise KernelError("copy the layer of a running container", error.errno or errno.EIO) from error
    except BaseException:
        containers.layers.discard(target)
        raise
