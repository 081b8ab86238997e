"""Waking those who wait for changes in a directory: one inotify instance for all of an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

from proa.linux import inotify

_MASK = (
    inotify.IN_MODIFY | inotify.IN_CLOSE_WRITE | inotify.IN_CREATE | inotify.IN_DELETE
    | inotify.IN_MOVED_FROM | inotify.IN_MOVED_TO | inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF
    | inotify.IN_ONLYDIR
)  # fmt: skip

_log = logging.getLogger(__name__)
_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()


class Change:
    """Something that may have happened in a directory."""

    def __init__(self, *, live: bool) -> None:
        self.live = live  # whether the kernel tells; otherwise only time passes
        self._happened = asyncio.Event()

    def tell(self) -> None:
        self._happened.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a change since the last call, `seconds` at most; return whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._happened.wait()
        except TimeoutError:
            return False
        self._happened.clear()
        return True


@contextmanager
def watch(directory: Path) -> Iterator[Change]:
    """Watch the files of a directory while the block runs.

    Where that is not possible (the system's limits, the directory is gone) the `Change` is not `live`.
    """
    loop = asyncio.get_running_loop()
    try:
        watcher = _watchers.get(loop) or Watcher(loop)
    except OSError as error:
        _log.warning("cannot be told of changes, so files are polled: %s", error)
        yield Change(live=False)
        return
    try:
        number = watcher.add(directory)
    except OSError as error:
        _log.debug("cannot watch %s: %s", directory, error)
        watcher.close_if_unused()
        yield Change(live=False)
        return
    change = Change(live=True)
    watcher.waiting[number].add(change)
    try:
        yield change
    finally:
        watcher.remove(number, change)


class Watcher:
    """The inotify instance of one event loop; open while anything is watched."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._descriptor = inotify.inotify_init()
        self.waiting: dict[int, set[Change]] = {}
        loop.add_reader(self._descriptor, self._read)
        _watchers[loop] = self

    def add(self, directory: Path) -> int:
        """Return the watch of a directory; all who wait for the same one share it."""
        number = inotify.inotify_add_watch(self._descriptor, directory, _MASK)
        self.waiting.setdefault(number, set())
        return number

    def remove(self, number: int, change: Change) -> None:
        """End a wait, with the last one the watch, and with the last watch the instance."""
        changes = self.waiting.get(number)
        if changes is not None:
            changes.discard(change)
            if not changes:
                del self.waiting[number]
                try:
                    inotify.inotify_rm_watch(self._descriptor, number)
                except OSError:
                    pass  # EINVAL: the directory is gone, and the watch with it
        self.close_if_unused()

    def close_if_unused(self) -> None:
        if not self.waiting and _watchers.get(self._loop) is self:
            del _watchers[self._loop]
            if not self._loop.is_closed():
                self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)

    def _read(self) -> None:
        for number, mask, _ in inotify.read_events(self._descriptor):
            told = self.waiting.values() if mask & inotify.IN_Q_OVERFLOW else [self.waiting.get(number, ())]
            for change in [change for changes in told for change in changes]:
                change.tell()
