"""`diff`: what a container changed in its image; and how much its own layer holds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from proa.archive import diff
from proa.archive.diff import Change
from proa.archive.tree import tree_size
from proa.engine.records import Container

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def of(containers: Containers, record: Container) -> list[Change]:
    """Return the changes sorted by path, as `docker diff` counts them. Works while the container runs."""
    upper = containers.directory(record) / "upper"
    names = containers.layers.stack(record.layers)
    return await asyncio.to_thread(_changes, upper, [containers.layers.root / name for name in names])


async def size_rw(containers: Containers, record: Container) -> int:
    """Return the bytes in the files that a container made or changed."""
    return await asyncio.to_thread(_size, containers.directory(record) / "upper")


def _changes(upper: Path, lowers: list[Path]) -> list[Change]:
    if not upper.is_dir():  # never started
        return []
    return diff.changes(upper, lowers)


def _size(upper: Path) -> int:
    try:
        descriptor = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return tree_size(descriptor)
    finally:
        os.close(descriptor)
