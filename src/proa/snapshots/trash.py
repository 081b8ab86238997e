"""Removal in two steps: a rename that answers at once, a deletion that takes its time.

ext4 avoids inodes that were freed a short while ago (`recently_deleted` in its ialloc.c): after a mass
deletion, creating the files of a layer takes ten times as long. So trash is emptied late and in small bites.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from threading import Event, Lock, Thread

from proa.archive.tree import remove_tree

_DELAY = 3.0  # seconds between a removal and the start of the deletion
_BITE = 64  # files
_PAUSE = 0.025  # seconds after each bite: 2,500 files a second
_SCARCE = 16  # below 1/16 of free space or inodes nobody waits

_log = logging.getLogger(__name__)


class Trash:
    """A directory whose contents nobody needs; must be on the file system of what is put into it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._again = False
        self._stop = Event()
        self._hurry = Event()
        self._bite = 0

    def discard(self, path: Path) -> None:
        """Take `path` (a file or tree) away at once; its space comes back later.

        A missing path is no error. Raises `OSError` as rename(2) does.
        """
        target = self._directory / f"{path.name[:100]}.{os.urandom(8).hex()}"
        try:
            path.rename(target)
        except FileNotFoundError:
            return
        self.empty()

    def empty(self) -> None:
        """Start deleting in the background what is there, also what an earlier process left."""
        with self._lock:
            self._again = True
            if self._thread is None and not self._stop.is_set():
                self._thread = Thread(target=self._run, name="trash", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop deleting; what is left waits for the next `empty`."""
        self._stop.set()
        self._hurry.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def flush(self) -> None:
        """Delete everything now, without pauses, and return when it is gone: the disk is full, or a test."""
        self._hurry.set()
        self.empty()
        while (thread := self._thread) is not None:
            thread.join()
        self._hurry.clear()

    def _run(self) -> None:
        while True:
            self._hurry.wait(0 if self._is_scarce() else _DELAY)
            with self._lock:
                if self._stop.is_set() or not self._again:
                    self._thread = None
                    return
                self._again = False
            try:
                self._delete_all()
            except _Stopped:
                continue
            except OSError:
                _log.exception("trash is not emptied: %s", self._directory)

    def _delete_all(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in os.listdir(directory):
                try:
                    if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
                        remove_tree(directory, name, self._pace)
                    else:
                        os.unlink(name, dir_fd=directory)
                except OSError as error:  # one stubborn file must not keep the others
                    _log.warning("trash keeps %s: %s", name, error)
        finally:
            os.close(directory)

    def _pace(self) -> None:
        self._bite += 1
        if self._bite < _BITE:
            return
        self._bite = 0
        if self._stop.is_set():
            raise _Stopped
        if not self._hurry.is_set() and not self._is_scarce():
            self._stop.wait(_PAUSE)

    def _is_scarce(self) -> bool:
        status = os.statvfs(self._directory)
        return status.f_bavail * _SCARCE < status.f_blocks or status.f_favail * _SCARCE < status.f_files


class _Stopped(Exception):
    """`close` was called."""
