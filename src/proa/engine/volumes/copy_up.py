"""Copying a directory tree, of an image or a volume into a volume, with everything a file can have.

The tree is hostile: it may be nested by the thousand, its links may lead anywhere. So it is walked with one
descriptor at a time, climbing by "..", nothing is followed, and there is no recursion. The contents of files are
shared with the original where the file system can do that (FICLONE, ioctl_ficlonerange(2)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from proa.archive import attributes
from proa.archive.overlay import is_opaque, make_opaque

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 30  # bytes for one sendfile(2)
_FICLONE = 0x40049409  # linux/fs.h
_NO_CLONES = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)


def copy_up(
    source: int | str | os.PathLike[str],
    target: int | str | os.PathLike[str],
    *,
    marks: bool = False,
    live: bool = False,
) -> bool:
    """Copy what is in the directory `source` (path or descriptor) into the existing, empty one `target`.

    Owners, modes, times, extended attributes (but for overlayfs' own), links, hard links within the tree,
    devices, pipes and sockets come out the same, and `target` itself gets all that `source` has. With `marks`
    directories also keep overlayfs' mark that they hide what is below: for copies of writable layers. Nobody else
    may change `target` meanwhile, nor `source` unless it is `live`: then what vanishes is left out. Returns
    whether all contents are shared with the original: it took neither time nor space. Raises `OSError`, with
    ESTALE for a directory that was moved while it was copied.
    """
    copy = _Copy(source, target, marks=marks, live=live)
    try:
        copy.run()
        return copy.shared > 0 and not copy.copied
    finally:
        copy.close()


class _Copy:
    """One copy: where it is in both trees, and which hard links it has met."""

    def __init__(
        self,
        source: int | str | os.PathLike[str],
        target: int | str | os.PathLike[str],
        *,
        marks: bool,
        live: bool,
    ) -> None:
        self._marks = marks
        self._live = live
        self.shared = self.copied = 0  # files with contents
        self._clones = True  # until the file system says no
        self._above: list[tuple[int, int]] = []  # device and inode of the directories that we climb back to
        self._source = _open(source)
        try:
            self._target = _open(target)
            self._root = os.dup(self._target)
        except BaseException:
            os.close(self._source)
            raise
        self._path: list[bytes] = []  # names of the directories we are in
        self._linked: dict[tuple[int, int], bytes] = {}  # device and inode of the source: path in the target

    def close(self) -> None:
        for descriptor in (self._source, self._target, self._root):
            os.close(descriptor)

    def run(self) -> None:
        pending = [self._copy_entries()]
        while True:
            if pending[-1]:
                name = pending[-1].pop()
                if self._enter(name):
                    pending.append(self._copy_entries())
                continue
            if self._marks and is_opaque(self._source):
                make_opaque(self._target)
            copy_metadata(self._source, self._target, os.fstat(self._source))  # after the entries: times
            pending.pop()
            if not pending:
                return
            self._move(b"..")
            self._path.pop()
            if _identity(self._source) != self._above.pop():
                # Moved meanwhile, ".." leads elsewhere, and further up perhaps out of the volume.
                raise OSError(errno.ESTALE, "a directory was moved while it was copied")

    def _enter(self, name: bytes) -> bool:
        """Go into a directory of both trees, unless it has vanished."""
        above = _identity(self._source)
        try:
            self._move(name)
        except (FileNotFoundError, NotADirectoryError):
            if not self._live:
                raise
            return False
        self._above.append(above)
        self._path.append(name)
        return True

    def _move(self, name: bytes) -> None:
        """Go into a directory of both trees, or back out of one."""
        below = os.open(name, _DIRECTORY, dir_fd=self._source)
        os.close(self._source)
        self._source = below
        below = os.open(name, _DIRECTORY, dir_fd=self._target)
        os.close(self._target)
        self._target = below

    def _copy_entries(self) -> list[bytes]:
        """Copy what is no directory, make the directories, and return their names."""
        directories = []
        for name in os.listdir(self._source):
            encoded = os.fsencode(name)
            try:
                status = os.stat(encoded, dir_fd=self._source, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(encoded, 0o700, dir_fd=self._target)
                    directories.append(encoded)
                elif not self._link(encoded, status):
                    self._copy_entry(encoded, status)
            except OSError as error:
                # EINVAL: no link any more, readlink(2).
                if not self._live or error.errno not in (errno.ENOENT, errno.ELOOP, errno.EINVAL):
                    raise
        return directories

    def _link(self, name: bytes, status: os.stat_result) -> bool:
        """Make a hard link when the file was copied under another name; remember it when it is the first."""
        if status.st_nlink < 2:
            return False
        key = (status.st_dev, status.st_ino)
        first = self._linked.get(key)
        if first is None:
            self._linked[key] = b"/".join([*self._path, name])
            return False
        try:
            os.link(first, name, src_dir_fd=self._root, dst_dir_fd=self._target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EMLINK):
                raise
            return False  # too deep to be named, or too many: a copy has the same contents
        return True

    def _copy_entry(self, name: bytes, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode):
            self._copy_file(name)
            return
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=self._source), name, dir_fd=self._target)
        else:
            os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=self._target)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=self._target, follow_symlinks=False)
        wanted = attributes.get_all(attributes.of_name(self._source, name))
        attributes.set_all(attributes.of_name(self._target, name), wanted)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=self._target)
        times = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=self._target, follow_symlinks=False)

    def _copy_file(self, name: bytes) -> None:
        source = self._open_file(name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=self._target)
            try:
                status = os.fstat(source)
                self._copy_contents(source, target, status.st_size)
                copy_metadata(source, target, status)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _open_file(self, name: bytes) -> int:
        """Open what is surely a regular file: opening a device may do things."""
        place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._source)
        try:
            if not stat.S_ISREG(os.fstat(place).st_mode):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(place)

    def _copy_contents(self, source: int, target: int, size: int) -> None:
        if not size:
            return
        if self._clones:
            try:
                fcntl.ioctl(target, _FICLONE, source)
            except OSError as error:
                if error.errno not in _NO_CLONES:
                    raise
                self._clones = False
            else:
                self.shared += 1
                return
        self.copied += 1
        _copy_data(source, target, size, live=self._live)


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino


def _open(directory: int | str | os.PathLike[str]) -> int:
    """Open a directory afresh: the caller's descriptor keeps its own position."""
    if isinstance(directory, int):
        return os.open(".", _DIRECTORY, dir_fd=directory)
    return os.open(directory, _DIRECTORY)


def _copy_data(source: int, target: int, size: int, *, live: bool) -> None:
    """Copy the parts of a file that have data; holes stay holes."""
    position = 0
    while position < size:
        try:
            start = os.lseek(source, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # only a hole is left
        end = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(target, start, os.SEEK_SET)
        while start < end:
            sent = os.sendfile(target, source, start, min(end - start, _CHUNK))
            if sent == 0 and live:
                return
            if sent == 0:
                raise OSError(errno.EIO, "file became shorter while it was copied")
            start += sent
        position = end
    os.ftruncate(target, size)


def copy_metadata(source: int, target: int, status: os.stat_result) -> None:
    """Copy owner, attributes, mode and times: in this order, since each one resets some of the next."""
    os.fchown(target, status.st_uid, status.st_gid)
    attributes.set_all(target, attributes.get_all(source))
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
