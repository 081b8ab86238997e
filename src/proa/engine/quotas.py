"""Limits of what a volume or a container's writable layer takes on the disk: project quotas of xfs and ext4.

A directory that is limited belongs to a project of its own, which all that is made in it inherits. The number
is kept nowhere else: whoever finds the directory finds the project.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proa.errors import KernelError, Unsupported
from proa.linux import quota

_FIRST, _COUNT = 1 << 30, 1 << 30  # far from the numbers that people choose (projid(5))
_ADVICE = (
    "the data root has to be on xfs mounted with the option pquota, or on ext4 made with -O quota,project and "
    "mounted with prjquota (Linux 5.14)"
)
_log = logging.getLogger(__name__)


class Quotas:
    """The quotas of the file system that `root` is on."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self, what: str) -> None:
        """Raise `Unsupported`, which begins with `what`, where projects can not be limited."""
        with _opened(self._root) as fd:
            if not quota.are_enforced(fd):
                raise Unsupported(what, hint=_ADVICE)

    def limit(self, directories: Sequence[Path], size: int) -> None:
        """Let `directories`, empty unless they were limited before, take `size` bytes together.

        Raises `KernelError`.
        """
        try:
            with _opened(directories[0]) as first:
                project = quota.project(first) or self._new_project(first)
                for directory in directories:
                    with _opened(directory) as fd:
                        if quota.project(fd) != project:
                            quota.set_project(fd, project)
                quota.set_limit(first, project, size)
        except OSError as error:
            raise KernelError(f"limit {directories[0]}", error.errno or 0) from error

    def release(self, directory: Path) -> None:
        """Forget the limit of a directory that is about to go; one without a limit, or not there, has none."""
        try:
            with _opened(directory) as fd:
                project = quota.project(fd)
                if _FIRST <= project < _FIRST + _COUNT:
                    quota.set_limit(fd, project, 0)
        except FileNotFoundError:
            return
        except OSError as error:  # a file system without projects says ENOTTY or EOPNOTSUPP
            _log.debug("no quota of %s is released: %s", directory, error)

    def _new_project(self, fd: int) -> int:
        while True:
            project = _FIRST + secrets.randbelow(_COUNT)
            if quota.is_unused(fd, project):
                return project


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
