"""`diff`: what a container changed in its image; and how much its own layer holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from proa.archive import diff
from proa.archive.diff import Change
from proa.archive.tree import tree_size
from proa.engine.containers import sealing
from proa.engine.records import Container
from proa.snapshots.overlay import UPPER

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def of(containers: Containers, record: Container) -> list[Change]:
    """Return the changes sorted by path, as `docker diff` counts them. Works while the container runs."""
    lowers = [containers.layers.root / name for name in containers.layers.stack(record.layers)]
    async with containers.steady.use(record):
        uppers = sealing.directories(containers, record)
        return await asyncio.to_thread(diff.changes, uppers, lowers)


async def sizes_rw(containers: Containers, records: Iterable[Container]) -> list[int]:
    """Return the bytes in the files that each container made or changed, since its layer was sealed last."""
    uppers = [containers.directory(record) / UPPER for record in records]
    return await asyncio.to_thread(lambda: [_size(upper) for upper in uppers])


def _size(upper: Path) -> int:
    try:
        descriptor = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return tree_size(descriptor)
    finally:
        os.close(descriptor)
