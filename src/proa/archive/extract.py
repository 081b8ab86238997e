"""Unpack an archive into a directory of a container, which may be running: what `cp` to a container does.

Names in the archive are relative to the directory; symbolic links are followed as the container would follow
them, never out of its root. What is there and has the same name is replaced, directories are merged.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from proa.archive.apply import Application, Applied
from proa.archive.directories import clean
from proa.archive.entry import DIRECTORY, Entry, show
from proa.archive.reader import Reader
from proa.errors import InvalidArgument
from proa.linux.statx import is_mount_point


def extract(
    chunks: Iterable[bytes],
    root: int,
    directory: bytes,
    *,
    keep_kinds: bool = False,
    owner: tuple[int, int] | None = None,
) -> Applied:
    """Unpack the tar stream `chunks` into `directory` (clean, without links) below the descriptor `root`.

    With `keep_kinds` no directory is replaced by something else, nor the other way round. `owner` (user and
    group) takes the place of the archive's. Raises what `apply_layer` raises; what was unpacked until then
    stays.
    """
    return _Extraction(root, directory, keep_kinds=keep_kinds, owner=owner).run(Reader(chunks))


class _Extraction(Application):
    def __init__(self, root: int, directory: bytes, *, keep_kinds: bool, owner: tuple[int, int] | None) -> None:
        super().__init__(root)
        self._directory_path = directory
        self._keep_kinds = keep_kinds
        self._owner = owner

    def _path(self, name: bytes) -> bytes:
        inside = clean(name)
        return b"/".join(part for part in (self._directory_path, inside) if part)

    def _entry(self, reader: Reader, entry: Entry) -> None:
        if self._owner:
            entry.uid, entry.gid = self._owner
        if self._keep_kinds:
            self._check_kind(entry)
        super()._entry(reader, entry)

    def _reserved(self, path: bytes) -> bool:
        return False  # names that mark deletions do so in layers only

    def _clear(self, parent: bytes, name: bytes) -> int:
        """Leave what the container has mounted: seen from outside, the kernel would let it be removed.

        Since Linux 3.18 a name's removal takes away what is mounted on it in other mount namespaces
        (mount_namespaces(7)), so that a container would lose its volume or its /etc/hosts.
        """
        if is_mount_point(self._directories.get(parent), name):
            raise InvalidArgument(f"RemoveAll {show(name)}: device or resource busy")
        return super()._clear(parent, name)

    def _check_kind(self, entry: Entry) -> None:
        path = self._path(entry.name)
        parent, _, name = path.rpartition(b"/")
        try:
            status = os.lstat(name or b".", dir_fd=self._directories.get(parent, create=False))
        except (FileNotFoundError, NotADirectoryError):
            return
        there, brought = stat.S_ISDIR(status.st_mode), entry.type == DIRECTORY
        if there and not brought:
            raise InvalidArgument(
                f"cannot overwrite directory {show(b'/' + path)} with non-directory {show(entry.name)}"
            )
        if brought and not there:
            raise InvalidArgument(
                f"cannot overwrite non-directory {show(b'/' + path)} with directory {show(entry.name)}"
            )
