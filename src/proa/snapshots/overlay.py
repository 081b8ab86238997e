"""The description of a container's root file system: layers below, its own writable directory on top."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypedDict

from proa.errors import Unsupported
from proa.snapshots.layers import Layers

# mount(2) copies one page of options; a few bytes are left for what the runtime adds to them.
_OPTIONS_LIMIT = 4095 - 64


class Overlay(TypedDict):
    """An overlay mount for the runtime: to be mounted with `base` as the working directory."""

    lower: list[str]  # relative to `base`, topmost first
    base: str
    upper: str
    work: str


def overlay_mount(layers: Layers, chain_ids: Sequence[str], directory: str | os.PathLike[str]) -> Overlay:
    """Describe the stack of `chain_ids` (base first) under the writable `directory`/upper.

    Raises `NotFound` for a missing layer, `Unsupported` when the stack is too high for one mount.
    """
    path = os.fspath(directory)
    overlay = Overlay(
        lower=layers.stack(chain_ids),
        base=str(layers.root),
        upper=f"{path}/upper",
        work=f"{path}/work",
    )
    options = f"lowerdir={':'.join(overlay['lower'])},upperdir={path}/upper,workdir={path}/work"
    if len(os.fsencode(options)) > _OPTIONS_LIMIT:
        raise Unsupported(f"an image of {len(chain_ids)} layers is too high for one mount")
    return overlay


def make_writable(directory: str | os.PathLike[str]) -> None:
    """Make the two directories of a container's own layer below `directory`."""
    for name, mode in (("upper", 0o755), ("work", 0o700)):
        path = os.path.join(directory, name)
        os.mkdir(path)
        os.chown(path, os.geteuid(), os.getegid())
        os.chmod(path, mode)
