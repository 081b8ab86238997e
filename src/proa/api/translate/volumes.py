"""Volume records as the API shows them, and what volumes take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from proa import times
from proa.api.facade import Volume, Volumes
from proa.archive.tree import tree_size
from proa.engine.own_thread import in_own_thread


def document(volumes: Volumes, volume: Volume) -> dict[str, Any]:
    """Return one volume; its time has whole seconds, as Docker's."""
    return {
        "CreatedAt": times.format_time(volume.created // times.SECOND * times.SECOND),
        "Driver": volume.driver,
        "Labels": volume.labels or None,
        "Mountpoint": str(volumes.mountpoint(volume.name)),
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": "local",
    }


async def directory_size(path: Path) -> int:
    """Return the sum of the sizes of all files in a directory, in bytes, 0 if it is gone.

    It may be a file server's, and take as long as that likes: so it is read in a thread of its own.
    """
    return await in_own_thread(lambda: _size(path))


def _size(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return tree_size(descriptor)
    finally:
        os.close(descriptor)
