"""Unpack a layer into a directory, in the form in which overlayfs stacks it.

The directory belongs to this layer alone and nobody else sees it yet. Deleted names become character
devices 0/0, emptied directories get trusted.overlay.opaque; both speak of the layers below only, whatever
their place in the archive (image-spec layer.md). Where an archive names something twice, the last one wins.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from proa.archive import attributes
from proa.archive.directories import OPEN_DIRECTORY, Directories, change_mode, clean
from proa.archive.entry import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
    invalid,
    show,
)
from proa.archive.overlay import (
    AUFS_PREFIX,
    OPAQUE_NAME,
    WHITEOUT_PREFIX,
    is_whiteout,
    make_opaque,
    make_whiteout,
)
from proa.archive.reader import Reader
from proa.archive.tree import remove_tree, tree_size
from proa.errors import KernelError
from proa.linux.openat import RESOLVE_IN_ROOT, openat2

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}
_MAX_WARNINGS = 16


@dataclass(frozen=True, slots=True)
class Applied:
    """What an unpacked layer amounts to."""

    size: int  # bytes in its files, as Docker counts them
    entries: int
    implied: tuple[bytes, ...] = ()  # directories that the archive uses but does not describe
    warnings: tuple[str, ...] = ()


def apply_layer(chunks: Iterable[bytes], root: int | str | os.PathLike[str]) -> Applied:
    """Unpack the uncompressed tar stream `chunks` into the directory `root` (a path or a descriptor).

    `chunks` is consumed to its end, also beyond the archive's. Raises `InvalidArgument` for an archive that
    is unsound or reaches outside, `KernelError` naming the entry when the file system refuses; the directory
    is then to be thrown away.
    """
    if isinstance(root, int):
        return Application(root).run(Reader(chunks))
    descriptor = os.open(root, OPEN_DIRECTORY)
    try:
        return Application(descriptor).run(Reader(chunks))
    finally:
        os.close(descriptor)


class Application:
    """One archive being unpacked; `extract.py` has another kind."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._directories = Directories(root)
        # Attributes of directories are set last: contents change times, and a set-group-id bit, a default
        # ACL or a foreign owner would rub off on what is created inside.
        self._attributes: dict[bytes, Entry] = {}
        self._size = 0
        self._recount = False
        self._warnings: list[str] = []
        self._umask = _umask()
        self._owns_all = os.geteuid() == 0 and os.getegid() == 0

    def run(self, reader: Reader) -> Applied:
        count = 0
        entry: Entry | None = None
        try:
            for entry in reader:
                count += 1
                self._entry(reader, entry)
            reader.drain()
            for path, entry in self._attributes.items():
                self._finish_directory(path, entry)
            entry = None
            size = tree_size(self._root) if self._recount else self._size
        except OSError as error:
            what = f"unpack {show(entry.name)}" if entry is not None else "unpack a layer"
            raise KernelError(what, error.errno or errno.EIO) from error
        finally:
            self._directories.close()
        return Applied(size, count, tuple(self._directories.implied), tuple(self._warnings))

    def _path(self, name: bytes) -> bytes:
        """Return where below the root a name of the archive is."""
        return clean(name)

    def _entry(self, reader: Reader, entry: Entry) -> None:
        path = self._path(entry.name)
        if b".wh." in path and self._reserved(path):
            return
        kind = entry.type
        if kind == DIRECTORY:
            self._directory(path, entry)
            return
        parent, _, name = path.rpartition(b"/")
        if not name:
            raise invalid(f"entry {show(entry.name)} replaces the root by something that is no directory")
        if kind == REGULAR:
            self._file(reader, parent, name, entry)
        elif kind == SYMLINK:
            self._symlink(parent, name, entry)
        elif kind == HARD_LINK:
            self._hard_link(parent, name, entry)
        elif kind in _NODES:
            self._node(parent, name, entry)
        else:
            raise invalid(f"entry {show(entry.name)} has the unknown type {show(kind)}")

    def _file(self, reader: Reader, parent: bytes, name: bytes, entry: Entry) -> None:
        mode = entry.mode
        directory = self._directories.get(parent)
        try:
            descriptor = os.open(name, _CREATE, mode & 0o777, dir_fd=directory)
        except FileExistsError:
            descriptor = os.open(name, _CREATE, mode & 0o777, dir_fd=self._clear(parent, name))
        try:
            if entry.sparse is not None:
                os.ftruncate(descriptor, entry.real_size)
                for offset, length in entry.sparse:
                    os.lseek(descriptor, offset, os.SEEK_SET)
                    reader.copy_to(descriptor, length)
            elif entry.size:
                reader.copy_to(descriptor)
            self._size += entry.real_size
            if entry.uid or entry.gid or not self._owns_all:
                os.fchown(descriptor, entry.uid, entry.gid)
            # After the owner: chown clears the set-id bits.
            if mode & (0o7000 | self._umask):
                os.fchmod(descriptor, mode)
            # After owner and data: either removes security.capability.
            if entry.xattrs:
                self._set_xattrs(descriptor, entry)
            os.utime(descriptor, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(descriptor)

    def _symlink(self, parent: bytes, name: bytes, entry: Entry) -> None:
        directory = self._directories.get(parent)
        try:
            os.symlink(entry.link, name, dir_fd=directory)
        except FileExistsError:
            directory = self._clear(parent, name)
            os.symlink(entry.link, name, dir_fd=directory)
        self._size += len(entry.link)
        self._finish_name(directory, name, entry)

    def _node(self, parent: bytes, name: bytes, entry: Entry) -> None:
        device = 0
        if entry.type != FIFO:
            if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
                raise invalid(f"entry {show(entry.name)} has the device number {entry.major}:{entry.minor}")
            device = os.makedev(entry.major, entry.minor)
        mode = _NODES[entry.type] | entry.mode & 0o777
        directory = self._directories.get(parent)
        try:
            os.mknod(name, mode, device, dir_fd=directory)
        except FileExistsError:
            directory = self._clear(parent, name)
            os.mknod(name, mode, device, dir_fd=directory)
        self._finish_name(directory, name, entry)
        change_mode(directory, name, entry.mode)

    def _hard_link(self, parent: bytes, name: bytes, entry: Entry) -> None:
        target = self._path(entry.link)
        above, _, last = target.rpartition(b"/")
        try:
            source = self._directories.get(above, create=False)
            status = os.lstat(last, dir_fd=source)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is None or is_whiteout(status):
            raise invalid(f"hard link {show(entry.name)}: {show(entry.link)} is not in this layer")
        if stat.S_ISDIR(status.st_mode):
            raise invalid(f"hard link {show(entry.name)}: {show(entry.link)} is a directory")
        directory = self._directories.get(parent)
        try:
            os.link(last, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
        except FileExistsError:
            found = os.lstat(name, dir_fd=directory)
            if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
                return  # it links to itself, or says so twice
            self._clear(parent, name)
            # The target may have gone with what was in the way; both descriptors have been closed.
            source = self._directories.get(above, create=False)
            directory = self._directories.get(parent)
            os.link(last, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)

    def _directory(self, path: bytes, entry: Entry) -> None:
        if path:
            parent, _, name = path.rpartition(b"/")
            above = self._directories.get(parent)
            try:
                os.mkdir(name, 0o755, dir_fd=above)
            except FileExistsError:
                status = os.lstat(name, dir_fd=above)
                if not stat.S_ISDIR(status.st_mode):
                    above = self._clear(parent, name)
                    os.mkdir(name, 0o755, dir_fd=above)
                    if is_whiteout(status):
                        self._mark_opaque(path)
            self._directories.implied.pop(path, None)
        self._attributes[path] = entry

    def _finish_directory(self, path: bytes, entry: Entry) -> None:
        try:
            flags = OPEN_DIRECTORY | os.O_NOFOLLOW
            descriptor = openat2(self._root, path or b".", flags, resolve=RESOLVE_IN_ROOT)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return  # a later entry replaced it
            raise
        try:
            os.fchown(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, entry.mode)
            if entry.xattrs:
                self._set_xattrs(descriptor, entry)
            os.utime(descriptor, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(descriptor)

    def _finish_name(self, directory: int, name: bytes, entry: Entry) -> None:
        """Set owner, attributes and time of what cannot be opened: links, devices, FIFOs."""
        if entry.uid or entry.gid or not self._owns_all:
            os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
        if entry.xattrs:
            self._set_xattrs(attributes.of_name(directory, name), entry)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=directory, follow_symlinks=False)

    def _set_xattrs(self, target: int | bytes, entry: Entry) -> None:
        for reason in attributes.set_all(target, entry.xattrs or {}):
            if len(self._warnings) < _MAX_WARNINGS:
                self._warnings.append(f"{show(entry.name)}: attribute {reason}")

    def _reserved(self, path: bytes) -> bool:
        """Handle names that mark deletions; False for a path that is none after all."""
        parts = path.split(b"/")
        for part in parts:
            # "Aufs metadata" in Docker's words: ignored wherever it stands.
            if part.startswith(AUFS_PREFIX) and part != OPAQUE_NAME:
                return True
        name = parts.pop()
        if not name.startswith(WHITEOUT_PREFIX):
            return False
        parent = b"/".join(parts)
        if name == OPAQUE_NAME:
            self._mark_opaque(parent)
            return True
        deleted = name[len(WHITEOUT_PREFIX) :]
        if deleted in (b"", b".", b".."):
            raise invalid(f"entry {show(path)} marks no name as deleted")
        directory = self._directories.get(parent)
        try:
            make_whiteout(deleted, directory)
        except FileExistsError:
            # What this layer itself brings stays; a directory must only stop showing the one below it.
            if stat.S_ISDIR(os.lstat(deleted, dir_fd=directory).st_mode):
                self._mark_opaque(parent + b"/" + deleted if parent else deleted)
        return True

    def _mark_opaque(self, path: bytes) -> None:
        make_opaque(self._directories.get(path))

    def _clear(self, parent: bytes, name: bytes) -> int:
        """Remove what is in an entry's way; return its directory's descriptor, which may be a new one."""
        directory = self._directories.get(parent)
        status = os.lstat(name, dir_fd=directory)
        if stat.S_ISDIR(status.st_mode):
            remove_tree(directory, name)
        else:
            os.unlink(name, dir_fd=directory)
        self._recount = self._recount or not is_whiteout(status)
        if stat.S_ISREG(status.st_mode):
            return directory
        # Remembered paths may have led through it.
        self._directories.forget()
        return self._directories.get(parent)


def _umask() -> int:
    """The process's file mode creation mask, read without changing it for other threads."""
    for line in Path("/proc/self/status").read_bytes().splitlines():
        if line.startswith(b"Umask:"):
            return int(line[6:], 8)
    return 0o777
