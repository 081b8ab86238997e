"""The directories of a tree that is being unpacked: every path is resolved inside it by the kernel.

Symbolic links that the archive planted are followed as a process chrooted into the tree would follow them.
"""

from __future__ import annotations

import errno
import os
import re
import stat

from proa.archive.entry import invalid, show
from proa.archive.overlay import WHITEOUT_PREFIX, is_whiteout, make_opaque
from proa.linux.openat import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_DESCRIPTORS = 64
_MAX_LINKS = 40  # as many as the kernel follows (MAXSYMLINKS)
_PATH_MAX = 4096

# Empty components, "." and "..": all that makes a path differ from its plain form.
_ODD = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)")


def clean(name: bytes) -> bytes:
    """Return `name` without leading slashes, "." and ".."; b"" is the root itself.

    ".." takes back the component before it, whatever that is on disk; a name that leaves the root so is
    refused, as Docker does.
    """
    if not _ODD.search(name):
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise invalid(f"entry {show(name)} is outside of the layer")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


class Directories:
    """Open directories below `root` (not owned), by the paths that the archive uses for them.

    Whoever removes or replaces a directory, link or whiteout in the tree must call `forget`.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: dict[bytes, int] = {b"": root}
        self._last = b""
        self._last_descriptor = root
        # Directories that no entry of the archive describes (so far).
        self.implied: dict[bytes, None] = {}

    def close(self) -> None:
        """Close all descriptors."""
        self.forget()

    def forget(self) -> None:
        """Drop what is remembered: a path may now mean another directory."""
        for descriptor in self._open.values():
            if descriptor != self._root:
                os.close(descriptor)
        self._open = {b"": self._root}
        self._last, self._last_descriptor = b"", self._root

    def get(self, path: bytes, *, create: bool = True) -> int:
        """Return a descriptor of the directory `path` (clean), valid until a call or two later.

        Missing directories are made with mode 0755, owned by root, and noted as implied; with `create`
        false they are a `FileNotFoundError`. Raises `InvalidArgument` where a component is a file.
        """
        if path == self._last:
            return self._last_descriptor
        # Taken out and put back: the least recently used one is always the first.
        descriptor = self._open.pop(path, -1)
        if descriptor < 0:
            descriptor = self._enter(path, create)
            if len(self._open) >= _OPEN_DESCRIPTORS:
                self._close_oldest()
        self._open[path] = descriptor
        self._last, self._last_descriptor = path, descriptor
        return descriptor

    def _close_oldest(self) -> None:
        for path, descriptor in self._open.items():
            if descriptor != self._root:
                os.close(descriptor)
                del self._open[path]
                return

    def _enter(self, path: bytes, create: bool) -> int:
        if len(path) >= _PATH_MAX:
            raise invalid(f"the path {show(path)} is longer than {_PATH_MAX - 1} bytes")
        try:
            return openat2(self._root, path, OPEN_DIRECTORY, resolve=RESOLVE_IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            if not create:
                raise
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise invalid(f"too many symbolic links in {show(path)}") from None
            raise
        return self._make(path)

    def _make(self, path: bytes) -> int:
        """Walk `path` from the root, making what is missing, also where a link points to."""
        pending = path.split(b"/")[::-1]
        real: list[bytes] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == b"..":
                del real[-1:]
            elif part not in (b"", b"."):
                target = self._step(real, part, path)
                if target is None:
                    real.append(part)
                    continue
                links += 1
                if links > _MAX_LINKS:
                    raise invalid(f"too many symbolic links in {show(path)}")
                if target.startswith(b"/"):
                    real.clear()
                pending += target.split(b"/")[::-1]
        return self._real(real)

    def _step(self, real: list[bytes], part: bytes, path: bytes) -> bytes | None:
        """Make sure that `part` is a directory in `real`; return the target where it is a link."""
        above = self._real(real)
        try:
            status = _lstat(part, above)
            if status is not None and stat.S_ISDIR(status.st_mode):
                return None
            if status is not None and stat.S_ISLNK(status.st_mode):
                return os.readlink(part, dir_fd=above)
            if status is not None and not is_whiteout(status):
                raise invalid(f"{show(b'/'.join([*real, part]))} in {show(path)} is not a directory")
            if part.startswith(WHITEOUT_PREFIX):
                raise invalid(f"{show(path)} is below a name that marks deletions")
            if status is not None:
                os.unlink(part, dir_fd=above)
            os.mkdir(part, 0o755, dir_fd=above)
            change_mode(above, part, 0o755)
            if status is None:
                self.implied[b"/".join([*real, part])] = None
                return None
            # A deleted name: nothing that the layers below have there may show in the new directory.
            descriptor = os.open(part, OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            make_opaque(descriptor)
            os.close(descriptor)
            return None
        finally:
            os.close(above)

    def _real(self, parts: list[bytes]) -> int:
        path = b"/".join(parts) or b"."
        return openat2(self._root, path, OPEN_DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def change_mode(directory: int, name: bytes, mode: int) -> None:
    """chmod(2) that follows no link, which somebody may have put there since (fchmodat2(2) needs Linux 6.6)."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
            os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


def _lstat(name: bytes, dirfd: int) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=dirfd)
    except FileNotFoundError:
        return None
