"""Volumes as wholes, which Docker has no commands for: clones and snapshots of them, archives of them.

What is new is made aside and becomes a volume when it is complete: a kill in between leaves none.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from proa import times
from proa.archive.compression import decompress
from proa.archive.dump import write_entry
from proa.archive.extract import extract
from proa.engine.images.feed import Feed, fed
from proa.engine.outflow import Outflow, Stopped
from proa.engine.own_thread import in_own_thread
from proa.engine.volumes.copy_up import copy_up
from proa.engine.volumes.volumes import ANONYMOUS_LABEL, DATA, Volume, Volumes
from proa.errors import Conflict, InvalidArgument, KernelError
from proa.linux.libc import function

SNAPSHOT_LABEL = "org.proa.snapshot-of"  # the name of the volume
_Result = TypeVar("_Result")
_MACHINE_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_syncfs = function("syncfs", ctypes.c_int, blocking=True)


class Copied(msgspec.Struct, kw_only=True, frozen=True):
    """A new volume; `method` is "reflink" where its files share their contents with the original, or "copy"."""

    volume: Volume
    method: str


class VolumeCopies:
    """Copies and archives of the volumes of an engine."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    async def clone(self, source: str, name: str) -> Copied:
        """Make the volume `name` with all that `source` has, its labels too. Raises `NotFound` and `Conflict`."""
        return await self._copy(source, name, {})

    async def snapshot(self, source: str, name: str = "") -> Copied:
        """Make a volume of what `source` has now, with a label that says so; without a name one with the time."""
        moment = times.format_time(times.now()).partition(".")[0].rstrip("Z")
        name = name or f"{source}-{moment.replace('-', '').replace(':', '').replace('T', '-')}"
        return await self._copy(source, name, {SNAPSHOT_LABEL: source})

    async def _copy(self, source: str, name: str, labels: Mapping[str, str]) -> Copied:
        original = self._volumes.get(source)
        kept = {
            key: value for key, value in original.labels.items() if key not in (ANONYMOUS_LABEL, SNAPSHOT_LABEL)
        }
        size = {key: value for key, value in original.options.items() if key == "size"}
        new = Volume(
            name=self._volumes.check_free(name), labels={**kept, **labels}, options=size, created=times.now()
        )

        def work(directory: Path) -> str:
            return "reflink" if copy_up(self._volumes.path(source), directory / DATA, live=True) else "copy"

        async with self._volumes.mounts.held([source], "copy"):
            volume, method = await self._made(new, work)
        return Copied(volume=volume, method=method)

    async def _made(self, new: Volume, work: Callable[[Path], _Result]) -> tuple[Volume, _Result]:
        """Make a volume of what `work` puts into a directory, in a thread of its own."""
        directory = self._volumes.unfinished(new.options)
        task = in_own_thread(lambda: _whole(directory, work))
        try:
            result = await asyncio.shield(task)
            return self._volumes.adopt(new, directory), result
        except OSError as error:
            if error.errno == errno.ESTALE:
                raise Conflict(
                    f"create {new.name}: {error.strerror}",
                    hint="pause or stop the containers that write the volume",
                ) from error
            raise KernelError(f"create volume {new.name}", error.errno or errno.EIO) from error
        finally:
            if directory.exists():
                with suppress(BaseException):
                    await asyncio.shield(task)  # it must not write into what is being deleted
                self._volumes.discard(directory)

    @asynccontextmanager
    async def export(self, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a volume's contents as a tar archive, as a context; its entries begin with "./"."""
        path = self._volumes.path(name)
        flow = Outflow()

        def work() -> None:
            parent = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                write_entry(parent, b".", b".", flow.put)
            finally:
                os.close(parent)

        async with self._volumes.mounts.held([name], "export"):
            task = in_own_thread(work)
            try:
                yield flow.pieces(task)
            finally:
                flow.close()
                with suppress(Stopped, KernelError, OSError):
                    await asyncio.shield(task)

    async def import_(self, name: str, chunks: AsyncIterable[bytes]) -> Volume:
        """Unpack a tar archive, compressed or not, into a volume, which is made if there is none.

        No name and no link of the archive leads out of the volume. Raises `InvalidArgument` for what is no
        archive; a new volume is not made then, in one that was there what was unpacked so far stays.
        """
        feed = Feed()

        def unpack(directory: Path) -> None:
            root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                extract(decompress(_something(feed)), root, b"")
            except KernelError as error:
                if error.errno in _MACHINE_FAULTS:
                    raise
                raise InvalidArgument(error.message) from error
            finally:
                os.close(root)
                feed.stop()  # who still feeds must not wait

        if name in {volume.name for volume in self._volumes.list()}:
            async with self._volumes.mounts.held([name], "import"):
                await fed(in_own_thread(lambda: unpack(self._volumes.path(name))), feed, chunks)
                return self._volumes.get(name)
        new = Volume(name=self._volumes.check_free(name), created=times.now())
        volume, _ = await fed(self._made(new, lambda directory: unpack(directory / DATA)), feed, chunks)
        return volume


def _whole(directory: Path, work: Callable[[Path], _Result]) -> _Result:
    """Do the work and see it on the disk: once the volume has a record, a loss of power must not empty it."""
    result = work(directory)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _syncfs(descriptor)
    finally:
        os.close(descriptor)
    return result


def _something(feed: Feed) -> Iterator[bytes]:
    """Yield what is fed; nothing at all is what a command that has failed leaves to the next in a pipe."""
    count = 0
    for chunk in feed:
        count += len(chunk)
        yield chunk
    if not count:
        raise InvalidArgument("the archive is empty: no tar archive")
