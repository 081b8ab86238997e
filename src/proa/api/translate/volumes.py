"""Volume records as the API shows them, and what volumes take."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from proa import times
from proa.api.facade import Volume, Volumes


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
    """Return the sum of the sizes of all files in a directory, in bytes; reading them blocks a thread."""
    return await asyncio.to_thread(_size, path)


def _size(path: Path) -> int:
    total = 0
    seen = set()
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                status = os.lstat(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total
