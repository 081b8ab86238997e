"""Files of this machine as an archive, and an archive as files of this machine."""

from __future__ import annotations

import io
import os
import queue
import sys
import tarfile
import threading
from pathlib import Path

from proa.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 256 << 10
_PIECES = 4  # under way


def packed(path: str, name: str, *, follow: bool) -> Iterator[bytes]:
    """Yield an archive of what is at `path`, under the name `name`. `InvalidArgument` tells what can't be read.

    tarfile writes, and the request reads: a thread is between them.
    """
    pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(_PIECES)

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            pieces.put(bytes(data))
            return len(data)

    def work() -> None:
        try:
            source = os.path.realpath(path) if follow or path.endswith("/") else path
            with tarfile.open(fileobj=Pipe(), mode="w|", format=tarfile.PAX_FORMAT, bufsize=_PIECE) as archive:
                archive.add(source, arcname=name, filter=_numbers)
            pieces.put(None)
        except BaseException as error:  # handed to the other thread
            pieces.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (piece := pieces.get()) is not None:
        if isinstance(piece, OSError):
            raise InvalidArgument(f"{piece.filename or path}: {(piece.strerror or str(piece)).lower()}") from piece
        if isinstance(piece, BaseException):
            raise piece
        yield piece


def _numbers(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Names of users mean somebody else in a container."""
    info.uname = info.gname = ""
    return info


class _Source(io.RawIOBase):
    """Pieces of bytes as the file that tarfile reads; counts what passes."""

    def __init__(self, pieces: Iterator[bytes], counted: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._rest = b""
        self._counted = counted

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._counted(len(piece))
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpacked(
    pieces: Iterator[bytes],
    directory: str,
    rename: Callable[[str], str],
    *,
    owners: bool,
    counted: Callable[[int], None],
) -> None:
    """Unpack an archive into `directory`, with the owners of the archive only if asked for.

    Nothing is written outside of it, whatever the archive says. Raises `InvalidArgument`, `Conflict`.
    """
    source = io.BufferedReader(_Source(pieces, counted), _PIECE)  # type: ignore[type-var]
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            directories = []
            for member in archive:
                member.name = rename(member.name)
                if member.islnk():
                    member.linkname = rename(member.linkname)
                _check(member, directory)
                if member.isdir():
                    directories.append(member)
                _extract(archive, member, directory, owners=owners)
            for member in reversed(directories):  # what came into them has changed their times
                archive.utime(member, os.path.join(directory, member.name))
    except tarfile.TarError as error:
        raise InvalidArgument(f"invalid archive: {error}") from None
    except OSError as error:
        raise InvalidArgument(f"{error.filename}: {(error.strerror or str(error)).lower()}") from None


def _check(member: tarfile.TarInfo, directory: str) -> None:
    """Keep a member inside, also through links; a directory and a file do not replace each other."""
    root = os.path.realpath(directory)
    path = os.path.join(root, member.name)
    parent = os.path.realpath(os.path.dirname(path)) if member.name != "." else root
    if os.path.commonpath((root, parent)) != root or ".." in member.name.split("/"):
        raise InvalidArgument(f"the archive reaches outside of {directory}: {member.name}")
    if member.islnk():
        target = os.path.realpath(os.path.join(root, member.linkname))
        if os.path.commonpath((root, target)) != root:
            raise InvalidArgument(f"the archive links outside of {directory}: {member.linkname}")
    if not os.path.lexists(path):
        return
    there = os.path.isdir(path) and not os.path.islink(path)
    if there and not member.isdir():
        raise Conflict(f'cannot overwrite directory "{path}" with non-directory "{directory}"')
    if not there and member.isdir():
        raise Conflict(f'cannot overwrite non-directory "{path}" with directory "{directory}"')
    if not there:
        Path(path).unlink()


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: str, *, owners: bool) -> None:
    if not owners:
        member.uid, member.gid = os.geteuid(), os.getegid()
    member.uname = member.gname = ""
    # The checks are ours; newer Pythons warn without a filter.
    filtered = {"filter": "fully_trusted"} if sys.version_info >= (3, 12) else {}
    archive.extract(member, directory, numeric_owner=True, **filtered)  # type: ignore[arg-type]
