"""A container's root: the layers of its image and what it has sealed, below its own writable layer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proa.engine.containers import layer_limit
from proa.engine.records import Container
from proa.snapshots.overlay import UPPER, WORK, make_writable, overlay_mount

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_VOLATILE_MARK = (WORK, "work", "incompat")  # overlayfs leaves it in its work directory


def overlay(containers: Containers, record: Container, directory: Path) -> dict[str, Any]:
    """Return the runtime's description of the container's root; its writable directories are made."""
    # Nobody needs such a layer after a crash of the host, so it is never synced (overlayfs.rst, "Volatile
    # mount"); the mark of an earlier run would forbid the next one.
    options = ["volatile"] if record.options.auto_remove or record.options.ephemeral else []
    if not os.path.exists(f"{directory}/{UPPER}"):
        containers.get(record.id)  # one that was removed meanwhile must not come back
        os.makedirs(directory, mode=0o710, exist_ok=True)
        like = containers.layers.directory(record.sealed[-1]) if record.sealed else None
        make_writable(directory, like)
    elif options:
        shutil.rmtree(Path(directory, *_VOLATILE_MARK), ignore_errors=True)
    layer_limit.apply(containers, record, directory)
    mounted = overlay_mount(containers.layers, [*record.layers, *record.sealed], directory)
    return {**mounted, "mountpoint": str(containers.settings.exec_root / "rootfs"), "options": options}
