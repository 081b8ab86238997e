"""Layers that a power loss may still take, told from those that are safe on disk.

Waiting for the disk at each commit would make every pull wait for all that the machine has to write. So a
layer gets a mark that names the running boot before it becomes visible, a thread syncs the file system a
moment later and removes the mark. A mark of an earlier boot says: not known to be whole.
"""

from __future__ import annotations

import ctypes
import logging
import os
from pathlib import Path
from threading import Event, Lock, Thread

from proa.linux.libc import function

_DELAY = 1.0  # seconds: the layers of one image share a sync

_syncfs = function("syncfs", ctypes.c_int, blocking=True)
_log = logging.getLogger(__name__)


class Durability:
    """Marks in `root`/.unsynced, for names in `root`. The order of operations on one journalling file system
    does the rest: the mark is on disk whenever the layer's directory is."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._marks = root / ".unsynced"
        self._marks.mkdir(mode=0o700, exist_ok=True)
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._again = False
        self._stop = Event()

    def doubtful(self) -> list[str]:
        """Return the names whose data an earlier boot may not have written; `forget` them once removed."""
        return [mark.name for mark in self._marks.iterdir() if mark.read_text() != self._boot]

    def forget(self, name: str) -> None:
        """Drop the mark of `name`."""
        (self._marks / name).unlink(missing_ok=True)

    def expect(self, name: str) -> None:
        """Mark `name`, which is about to appear."""
        (self._marks / name).write_text(self._boot)

    def settle(self) -> None:
        """Make everything marked safe, in the background."""
        with self._lock:
            self._again = True
            if self._thread is None and not self._stop.is_set():
                self._thread = Thread(target=self._run, name="sync", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread; marks that are left stay true until the machine stops."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            self._stop.wait(_DELAY)
            with self._lock:
                if self._stop.is_set() or not self._again:
                    self._thread = None
                    return
                self._again = False
            try:
                self._sync()
            except OSError:  # an input/output error of the disk: the marks stay
                _log.exception("layers are not synced to disk: %s", self._root)

    def _sync(self) -> None:
        marks = list(self._marks.iterdir())
        if not marks:
            return
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _syncfs(descriptor)
        finally:
            os.close(descriptor)
        for mark in marks:
            mark.unlink(missing_ok=True)
