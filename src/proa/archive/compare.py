"""Whether two directory trees are the same layer: contents, owners, modes, times, attributes, marks."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from proa.archive import attributes
from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.overlay import is_opaque, is_whiteout
from proa.archive.tree import entries, opened

_PIECE = 1 << 20


def differences(
    actual: str | os.PathLike[str],
    expected: str | os.PathLike[str],
    implied: Collection[bytes] = (),
    limit: int = 10,
) -> list[str]:
    """Return in words how `actual` differs from `expected`, at most `limit` of it; [] when it does not.

    `implied` are directories whose times say nothing: no entry of the layer made them. Raises `OSError`.
    """
    ours, theirs = os.open(actual, OPEN_DIRECTORY), os.open(expected, OPEN_DIRECTORY)
    try:
        return _Comparison(ours, theirs, frozenset(implied) | {b""}, limit).run()
    finally:
        os.close(ours)
        os.close(theirs)


class _Comparison:
    def __init__(self, actual: int, expected: int, implied: frozenset[bytes], limit: int) -> None:
        self._actual = actual
        self._expected = expected
        self._implied = implied
        self._limit = limit
        self._found: list[str] = []

    def run(self) -> list[str]:
        pending = [b""]
        while pending and len(self._found) < self._limit:
            path = pending.pop()
            with opened(self._actual, path) as ours, opened(self._expected, path) as theirs:
                if ours is None or theirs is None:
                    self._say(path, "is no directory any more")
                    continue
                if is_opaque(ours) != is_opaque(theirs):
                    self._say(path, "hides what is below it, or does not, by mistake")
                self._directory(path, ours, theirs, pending)
        return self._found[: self._limit]

    def _directory(self, path: bytes, ours: int, theirs: int, pending: list[bytes]) -> None:
        here, there = dict(entries(ours)), dict(entries(theirs))
        for name in sorted(here.keys() | there.keys()):
            child = path + b"/" + name if path else name
            if name not in here:
                self._say(child, "is missing")
            elif name not in there:
                self._say(child, "should not be there")
            else:
                if problem := self._entry(child, name, (ours, here[name]), (theirs, there[name])):
                    self._say(child, problem)
                if stat.S_ISDIR(here[name].st_mode) and stat.S_ISDIR(there[name].st_mode):
                    pending.append(child)

    def _entry(
        self, path: bytes, name: bytes, actual: tuple[int, os.stat_result], expected: tuple[int, os.stat_result]
    ) -> str:
        (ours, here), (theirs, there) = actual, expected
        if stat.S_IFMT(here.st_mode) != stat.S_IFMT(there.st_mode):
            return "is of another kind"
        if is_whiteout(here) and is_whiteout(there):
            return ""  # nothing else of it counts, and no layer says it
        for field, what in (
            ("st_mode", "mode"), ("st_uid", "owner"), ("st_gid", "group"), ("st_rdev", "device"),
        ):  # fmt: skip
            if getattr(here, field) != getattr(there, field):
                return f"has another {what}"
        is_directory = stat.S_ISDIR(here.st_mode)
        if not is_directory and here.st_nlink != there.st_nlink:
            return "has another number of names"
        if not is_directory and here.st_size != there.st_size:
            return f"has {here.st_size} bytes instead of {there.st_size}"
        if here.st_mtime_ns != there.st_mtime_ns and not (is_directory and path in self._implied):
            return "has another time"
        if _attributes(ours, name) != _attributes(theirs, name):
            return "has other attributes"
        if stat.S_ISLNK(here.st_mode) and os.readlink(name, dir_fd=ours) != os.readlink(name, dir_fd=theirs):
            return "leads elsewhere"
        if stat.S_ISREG(here.st_mode) and not _same_data(ours, theirs, name):
            return "has other contents"
        return ""

    def _say(self, path: bytes, problem: str) -> None:
        self._found.append(f"/{os.fsdecode(path)} {problem}")


def _attributes(directory: int, name: bytes) -> dict[str, bytes]:
    return attributes.get_all(attributes.of_name(directory, name))


def _same_data(ours: int, theirs: int, name: bytes) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    first = os.open(name, flags, dir_fd=ours)
    try:
        second = os.open(name, flags, dir_fd=theirs)
        try:
            while True:
                piece = os.read(first, _PIECE)
                if piece != os.read(second, _PIECE):
                    return False
                if not piece:
                    return True
        finally:
            os.close(second)
    finally:
        os.close(first)
