"""An archive of images while it is read: its members, one after the other in a file without a name.

What an archive holds is known at its end only: the list of images mostly comes last. So all of it is kept aside;
whatever happens then, a crash included, nothing of it stays. Names in an archive are a stranger's: they are looked
up here, never in a file system.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from proa.archive.compression import decompress
from proa.archive.entry import DIRECTORY, HARD_LINK, PAX_GLOBAL, REGULAR, SYMLINK, Entry, show
from proa.archive.reader import Reader
from proa.errors import InvalidArgument, KernelError
from proa.oci import digest as digests

_PIECE = 1 << 20
_MOST_MEMBERS = 65_536
_LONGEST_NAME = 4096  # bytes
_MOST_LINKS = 10  # one after the other
_HARMLESS = 1 << 30  # bytes that any archive may unpack to
_EXPANSION = 2_000  # beyond those, how many bytes one compressed byte may become; gzip reaches 1,032


class Member(NamedTuple):
    """A file of the archive: where it lies in the staging file, and what it is."""

    offset: int
    size: int
    digest: str  # sha256


class Staging:
    """The files of one archive. `fill` it once, `close` it in any case. Belongs to one thread at a time."""

    def __init__(self, directory: Path) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 (closed by `close`)
        except OSError as error:
            raise _failed(error) from error
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}

    def close(self) -> None:
        self._file.close()

    def fill(self, chunks: Iterable[bytes]) -> None:
        """Read the whole archive, compressed or not. Raises `InvalidArgument` for what is no sound one."""
        reader = Reader(_bounded(chunks))
        try:
            for entry in reader:
                self._take(entry, reader)
            reader.drain()
        except InvalidArgument as error:
            raise InvalidArgument(error.message.replace("invalid layer archive", "invalid archive")) from None
        except OSError as error:
            raise _failed(error) from error

    def _take(self, entry: Entry, reader: Reader) -> None:
        name = _name(entry.name)
        if not name or entry.type in (DIRECTORY, PAX_GLOBAL):
            return
        if len(self._members) + len(self._links) >= _MOST_MEMBERS:
            raise InvalidArgument(f"invalid archive: it has more than {_MOST_MEMBERS} files")
        self._members.pop(name, None)  # of two members of one name the later one counts
        self._links.pop(name, None)
        if entry.type == REGULAR and entry.sparse is None:
            self._members[name] = self._store(entry.size, reader)
        elif entry.type == SYMLINK:
            target = os.fsdecode(entry.link)
            self._links[name] = posixpath.join(posixpath.dirname(name), target)
        elif entry.type == HARD_LINK:
            self._links[name] = os.fsdecode(entry.link)
        else:
            raise InvalidArgument(f"invalid archive: {show(entry.name)} is no file, directory or link")

    def _store(self, size: int, reader: Reader) -> Member:
        hashed, offset, left = hashlib.sha256(), self._file.tell(), size
        while left:
            piece = reader.read(min(left, _PIECE))
            hashed.update(piece)
            self._file.write(piece)
            left -= len(piece)
        return Member(offset, size, f"sha256:{hashed.hexdigest()}")

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def member(self, path: str) -> Member:
        """Return the file that the archive has under a name; links lead to what is inside of it alone.

        Raises `InvalidArgument`.
        """
        found = self._find(path)
        if found is None:
            raise InvalidArgument(f"invalid archive: {show(os.fsencode(path))} is missing")
        return found

    def _find(self, path: str) -> Member | None:
        name = _name(os.fsencode(path))
        for _ in range(_MOST_LINKS):
            if name in self._members:
                return self._members[name]
            if name not in self._links:
                return None
            target = self._links[name]
            if target.startswith("/"):
                raise InvalidArgument(f"invalid archive: {show(os.fsencode(name))} links to a place outside of it")
            name = _name(os.fsencode(target))
        raise InvalidArgument(f"invalid archive: too many links at {show(os.fsencode(path))}")

    def names(self) -> list[str]:
        """Return the names of all files and links, in no particular order."""
        return [*self._members, *self._links]

    def has_blob(self, digest: str) -> bool:
        return _blob_path(digest) in self

    def blob(self, digest: str) -> Member:
        """Return the blob of an OCI layout (image-layout.md); raises unless it is what its name says."""
        member = self.member(_blob_path(digest))
        actual = member.digest
        if digests.algorithm_of(digest) != "sha256":
            hashed = digests.hasher(digest)
            for chunk in self.chunks(member):
                hashed.update(chunk)
            actual = f"{digests.algorithm_of(digest)}:{hashed.hexdigest()}"
        if actual != digest:
            raise InvalidArgument(f"invalid archive: the blob {digest} has the digest {actual}")
        return member

    def read(self, member: Member, limit: int, what: str) -> bytes:
        """Return a small file's content."""
        if member.size > limit:
            raise InvalidArgument(f"invalid archive: {what} is larger than {limit} bytes")
        return b"".join(self.chunks(member))

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield a file's content. For any thread."""
        self._file.flush()
        position, end = member.offset, member.offset + member.size
        while position < end:
            piece = os.pread(self._file.fileno(), min(_PIECE, end - position), position)
            if not piece:
                raise KernelError("read a staged archive", errno.EIO)
            position += len(piece)
            yield piece


def _blob_path(digest: str) -> str:
    return f"blobs/{digests.algorithm_of(digest)}/{digests.encoded(digest)}"


def _name(raw: bytes) -> str:
    """Return a member's name without "." and leading slashes; refuses one that leads out of the archive."""
    if len(raw) > _LONGEST_NAME:
        raise InvalidArgument(f"invalid archive: the name {show(raw)} is too long")
    parts: list[bytes] = []
    for part in raw.split(b"/"):
        if part == b"..":
            if not parts:
                raise InvalidArgument(f"invalid archive: {show(raw)} is outside of it")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return os.fsdecode(b"/".join(parts))


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress; refuse what grows without measure: it would only fill the disk."""
    taken = made = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks:
            taken += len(chunk)
            yield chunk

    for piece in decompress(counted()):
        made += len(piece)
        if made > _HARMLESS and made > taken * _EXPANSION:
            raise InvalidArgument(f"invalid archive: it unpacks to more than {_EXPANSION} times its size")
        yield piece


def _failed(error: OSError) -> KernelError:
    return KernelError("keep an archive aside", error.errno or errno.EIO)
