"""What several writable layers, one above the other, change together: a container's own and its sealed ones.

Seen as one layer they hold whiteouts and opaque directories, which a mount of them would hide. The topmost may
be in use: every directory is opened without following links, and what vanishes meanwhile is left out.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import NamedTuple

from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.lowers import Level
from proa.archive.overlay import is_opaque
from proa.archive.tree import entries, opened
from proa.linux.openat import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2


class Entry(NamedTuple):
    """A name in a directory, in the topmost layer that has it; `directory` is open there."""

    directory: int
    name: bytes
    status: os.stat_result


class Delta:
    """A stack of writable layers, topmost first; a context that holds them open. `root` is where to start."""

    def __init__(self, directories: Iterable[str | os.PathLike[str]]) -> None:
        found: list[int] = []
        try:
            found.extend(os.open(directory, OPEN_DIRECTORY) for directory in directories)
        except BaseException:
            for descriptor in found:
                os.close(descriptor)
            raise
        self.root: Level = tuple(found)

    def __enter__(self) -> Delta:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self.root:
            os.close(descriptor)

    @contextmanager
    def contents(self, level: Level, path: bytes) -> Iterator[list[Entry]]:
        """Give what the directory `path` has, marks of deletion included; `level` is its own."""
        found: dict[bytes, Entry] = {}
        with ExitStack() as stack:
            for layer in level:
                directory = stack.enter_context(opened(layer, path))
                if directory is not None:
                    for name, status in entries(directory):
                        found.setdefault(name, Entry(directory, name, status))
            yield list(found.values())

    def enter(self, level: Level, path: bytes) -> tuple[Level, bool]:
        """Return what the directory `path` is merged from, and whether it hides what lies below all layers.

        `level` is that of the directory it is in.
        """
        found: list[int] = []
        for layer in level:
            with opened(layer, path) as directory:
                if directory is None:
                    if _exists(layer, path):
                        return tuple(found), True  # a file or a mark: what is below it was deleted once
                    continue
                found.append(layer)
                if is_opaque(directory):
                    return tuple(found), True
        return tuple(found), False


def _exists(layer: int, path: bytes) -> bool:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(openat2(layer, path, flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return False
    return True
