"""Files that are either whole or absent, whatever happens to the writing process."""

from __future__ import annotations

import os


def write(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace the file at `path` by `data`.

    `durable` also survives a power loss (fsync of file and directory: milliseconds on disks); without it
    only the death of the process is survived, which is enough below /run.
    """
    target = os.fspath(path)
    temporary = f"{target}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        os.unlink(temporary)
        raise
    os.close(descriptor)
    os.rename(temporary, target)
    if durable:
        sync_directory(os.path.dirname(target) or ".")


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make renames, creations and removals in a directory survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
