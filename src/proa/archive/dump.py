"""Write a part of a container's root as an archive: what `cp` from a container and `export` do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection

from proa.archive.members import Members, Refused
from proa.archive.tree import entries, opened
from proa.archive.writer import Writer
from proa.errors import KernelError


def write_entry(parent: int, name: bytes, base: bytes, out: Callable[[bytes], object]) -> None:
    """Write what `name` in the directory `parent` is, with all below, as an archive under the name `base`.

    "." is the directory itself. A link is written as a link. Raises `KernelError` naming what can not be read.
    """
    writer = Writer(out)
    try:
        status = os.lstat(name, dir_fd=parent)
        if stat.S_ISDIR(status.st_mode):
            with opened(parent, name) as top:
                if top is not None:
                    _tree(top, base, Members(writer), None, ())
        else:
            Members(writer).add(parent, name, base, status)
    except OSError as error:
        raise KernelError(f"read {os.fsdecode(name)}", error.errno or errno.EIO) from error
    writer.finish()


def write_root(root: int, covered: Collection[bytes], out: Callable[[bytes], object]) -> None:
    """Write a whole root, without what is mounted in it: `covered` names mount points ("etc/hosts")."""
    writer = Writer(out)
    try:
        _tree(root, b"", Members(writer), os.fstat(root).st_dev, covered)
    except OSError as error:
        raise KernelError("export a container", error.errno or errno.EIO) from error
    writer.finish()


def _tree(top: int, base: bytes, members: Members, device: int | None, covered: Collection[bytes]) -> None:
    """Add a directory and all below; with `device` only what is on it, which other mounts are not."""
    if base or device is None:
        members.directory(base, top)
    pending = [b""]
    while pending:
        path = pending.pop()
        deeper = []
        with opened(top, path) as directory:
            for name, status in sorted(entries(directory)):
                child = path + b"/" + name if path else name
                shown = base + b"/" + child if base or device is None else child
                if child in covered or (device is not None and _elsewhere(status, device)):
                    members.empty(shown, is_directory=stat.S_ISDIR(status.st_mode), mtime=status.st_mtime_ns)
                elif not stat.S_ISDIR(status.st_mode):
                    _add(members, directory, name, shown, status)
                elif _add_directory(members, top, child, shown):
                    deeper.append(child)
        pending += reversed(deeper)


def _elsewhere(status: os.stat_result, device: int) -> bool:
    """Whether a directory is another mount's. Files of an overlay may have their layer's device."""
    return stat.S_ISDIR(status.st_mode) and status.st_dev != device


def _add(members: Members, directory: int | None, name: bytes, path: bytes, status: os.stat_result) -> None:
    if directory is None:
        return
    try:
        members.add(directory, name, path, status)
    except (FileNotFoundError, Refused):
        return  # it vanished meanwhile, or is nothing to read


def _add_directory(members: Members, top: int, child: bytes, path: bytes) -> bool:
    with opened(top, child) as inner:
        if inner is None:
            return False
        members.directory(path, inner)
    return True
