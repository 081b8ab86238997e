"""What a stack of unpacked layers shows at a path, without mounting it: overlayfs's rules for lower layers.

The layers are immutable, so a path that was a chain of directories a moment ago still is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from types import TracebackType

from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.overlay import is_opaque, is_whiteout

# The layers (open directories, topmost first) that a directory is merged from.
Level = tuple[int, ...]


class Lowers:
    """A stack of layers, topmost first; a context that holds them open.

    One starts from `root` and goes down with `enter`, a component at a time.
    """

    def __init__(self, directories: Iterable[str | os.PathLike[str]]) -> None:
        opened: list[int] = []
        try:
            for directory in directories:
                opened.append(os.open(directory, OPEN_DIRECTORY))
                # overlayfs itself ignores an opaque root, so nobody may stack the layers below it.
                if is_opaque(opened[-1]):
                    break
        except BaseException:
            for descriptor in opened:
                os.close(descriptor)
            raise
        self.root: Level = tuple(opened)

    def __enter__(self) -> Lowers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self.root:
            os.close(descriptor)

    def find(self, level: Level, path: bytes) -> tuple[int, os.stat_result] | None:
        """Return the layer that provides `path` and its status there; `level` is that of its directory."""
        for layer in level:
            status = _lstat(path, layer)
            if status is not None:
                return None if is_whiteout(status) else (layer, status)
        return None

    def enter(self, level: Level, path: bytes) -> Level:
        """Return what the directory `path` is merged from; () when it is missing or no directory."""
        found: list[int] = []
        for layer in level:
            try:
                descriptor = os.open(path, OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=layer)
            except FileNotFoundError:
                continue
            except OSError:
                if _lstat(path, layer) is None:
                    raise
                break  # a file, link or whiteout hides what is below it
            found.append(layer)
            try:
                if is_opaque(descriptor):
                    break
            finally:
                os.close(descriptor)
        return tuple(found)

    def names(self, level: Level, path: bytes) -> set[bytes]:
        """Return the names that the directory `path` shows; `level` is its own."""
        shown: set[bytes] = set()
        hidden: set[bytes] = set()
        for layer in level:
            descriptor = os.open(path or b".", OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=layer)
            try:
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        name = os.fsencode(entry.name)
                        if name in shown or name in hidden:
                            continue
                        (hidden if is_whiteout(entry.stat(follow_symlinks=False)) else shown).add(name)
            finally:
                os.close(descriptor)
        return shown

    def resolve(self, path: bytes) -> tuple[int, os.stat_result] | None:
        """Return the layer that provides `path` (clean, relative) and its status; links are not followed."""
        level: Level = self.root
        parts: Sequence[bytes] = path.split(b"/")
        for count in range(1, len(parts)):
            level = self.enter(level, b"/".join(parts[:count]))
        return self.find(level, path)


def _lstat(path: bytes, layer: int) -> os.stat_result | None:
    try:
        return os.lstat(path, dir_fd=layer)
    except FileNotFoundError:
        return None
