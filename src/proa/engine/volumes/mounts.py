"""File systems that are mounted while a volume is in use: tmpfs, NFS, block devices, directories with options.

A mount is made at the volume's own directory with its first user and goes with the last, as Docker's. Who uses
a volume is known of the containers that run, and of what else holds it for a moment. `settle` makes the mount
table say what the users do, so that nothing depends on the order in which they come and go, and a new engine
begins by settling everything: what a killed one, or a crash of the host, has left.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from proa.engine.own_thread import in_own_thread
from proa.engine.volumes import options as volume_options
from proa.errors import Internal
from proa.ids import new_id
from proa.linux import mount
from proa.linux.mountinfo import mount_points
from proa.runtime import mounts as runtime_mounts

_log = logging.getLogger(__name__)
_HINTS = {
    errno.ENODEV: "the kernel does not know this file system, or its module is missing: see /proc/filesystems",
    errno.ENOTBLK: "a file has to be a block device first: losetup(8)",
}


class VolumeMounts:
    """Who uses which volume. `place` tells where a volume is mounted, `options` what is."""

    def __init__(self, place: Callable[[str], Path], options: Callable[[str], Mapping[str, str]]) -> None:
        self._place = place
        self._options = options
        self._users: dict[str, set[str]] = {}
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._settling: set[asyncio.Task[None]] = set()

    def needed(self, names: Iterable[str]) -> list[str]:
        """Return those of the volumes that have to be mounted to be used."""
        return [name for name in names if volume_options.needs_mount(self._options(name))]

    def users(self, name: str) -> Collection[str]:
        """Return who uses a volume's mount: containers that run, and names of other work."""
        return sorted(self._users.get(name, ()))

    async def acquire(self, names: Collection[str], user: str) -> None:
        """Mount volumes for `user`, who has to `release` them, also when this fails. Raises `Internal`."""
        self.claim(names, user)
        for name in names:
            # Whoever is cancelled here releases, and the next settling finds out what this one did.
            await asyncio.shield(self._begin(name))

    def claim(self, names: Iterable[str], user: str) -> None:
        """Note a user; `settle` mounts."""
        for name in names:
            self._users.setdefault(name, set()).add(user)

    def release(self, user: str) -> list[str]:
        """Forget a user; return the volumes that nobody uses any more, for `settle`."""
        idle = []
        for name, users in list(self._users.items()):
            users.discard(user)
            if not users:
                del self._users[name]
                idle.append(name)
        return idle

    async def settle(self, names: Iterable[str]) -> None:
        """Mount and unmount as the users ask; what fails is logged."""
        for name in names:
            try:
                await asyncio.shield(self._begin(name))
            except (Internal, OSError) as error:
                _log.warning("volume %s: %s", name, error)

    @asynccontextmanager
    async def held(self, names: Iterable[str], work: str) -> AsyncIterator[None]:
        """Have volumes in use for a moment, mounted if that is to be; `work` tells what for."""
        names = tuple(names)
        user = f"{work}-{new_id()[:12]}"
        self.claim(names, user)
        try:
            for name in self.needed(names):
                await asyncio.shield(self._begin(name))
            yield
        finally:
            await self.settle(self.needed(self.release(user)))

    def remove(self, name: str) -> None:
        """Unmount what is left at a volume's place, before that is removed. Raises `OSError`."""
        if self.is_mounted(name):
            mount.umount2(str(self._place(name)), mount.MNT_DETACH)

    def is_mounted(self, name: str) -> bool:
        place = os.path.realpath(self._place(name).parent) + "/" + self._place(name).name
        return any(found == place for found, _ in mount_points())

    def _begin(self, name: str) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._settle(name))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _settle(self, name: str) -> None:
        async with self._locks.setdefault(name, asyncio.Lock()):
            options = self._options(name)
            wanted, mounted = name in self._users, self.is_mounted(name)
            if wanted and not mounted:
                await in_own_thread(lambda: _mount(options, self._place(name)))
            elif mounted and not wanted:
                # A server that does not answer, or somebody's working directory, must not keep it here.
                await in_own_thread(lambda: mount.umount2(str(self._place(name)), mount.MNT_DETACH))


def _mount(options: Mapping[str, str], place: Path) -> None:
    """Mount what `options` describe at `place`. Blocks as long as a server lets it. Raises `Internal`."""
    try:
        entry, parsed = volume_options.mount_entry(options)
        tree, _ = runtime_mounts.detached(entry, parsed)
        try:
            target = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                mount.move_mount(tree, target)
            finally:
                os.close(target)
            for propagation, recursive in parsed.propagation:
                mount.mount_setattr(tree, propagation=propagation, recursive=recursive)
        finally:
            os.close(tree)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        said = "; ".join(getattr(error, "__notes__", ()))
        raise Internal(
            f"error while mounting volume '{place}': failed to mount local volume: "
            f"{volume_options.described(options, str(place))}: {reason}" + (f" ({said})" if said else ""),
            hint=_HINTS.get(error.errno or 0, ""),
        ) from error
