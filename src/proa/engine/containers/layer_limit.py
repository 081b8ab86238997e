"""`--storage-opt size=`: how much a container's writable layer may take on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proa.engine.options import ContainerOptions
from proa.engine.quotas import Quotas
from proa.engine.records import Container
from proa.snapshots.overlay import UPPER, WORK

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


def check(containers: Containers, options: ContainerOptions) -> None:
    """Raise `Unsupported` for a limit that nobody would keep. Layers in memory have one of their own."""
    if options.storage_size and not options.ephemeral:
        _quotas(containers).check("--storage-opt size is not supported by the file system of the data root")


def apply(containers: Containers, record: Container, directory: Path) -> None:
    """Limit the layer in `directory`, which has just been made, or was limited before. Raises `KernelError`."""
    if record.options.storage_size and not record.options.ephemeral:
        _quotas(containers).limit([directory / UPPER, directory / WORK], record.options.storage_size)


def release(containers: Containers, directory: Path) -> None:
    """Forget the limit of a layer that goes, or is written no more."""
    _quotas(containers).release(directory / UPPER)


def discard(containers: Containers, directory: Path) -> None:
    """Throw away a container's directory with the limit that it may have."""
    release(containers, directory)
    containers.trash.discard(directory)


def _quotas(containers: Containers) -> Quotas:
    return Quotas(containers.settings.data_root)
