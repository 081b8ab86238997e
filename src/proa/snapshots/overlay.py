"""The description of a container's root file system: layers below, its own writable directory on top."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import TypedDict

from proa.archive import attributes
from proa.errors import Unsupported
from proa.snapshots.layers import NAME_LENGTH, Layers

UPPER = "upper"
WORK = "work"
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
    lower = layers.stack(chain_ids)
    if not _fit(lower, path):
        raise Unsupported(f"an image of {len(chain_ids)} layers is too high for one mount")
    return Overlay(lower=lower, base=str(layers.root), upper=f"{path}/{UPPER}", work=f"{path}/{WORK}")


def has_room(layers: Layers, chain_ids: Sequence[str], directory: str | os.PathLike[str], more: int = 1) -> bool:
    """Whether the stack could be mounted with so many layers `more` above it."""
    return _fit([*layers.stack(chain_ids), *(["x" * NAME_LENGTH] * more)], os.fspath(directory))


def _fit(lower: list[str], path: str) -> bool:
    options = f"lowerdir={':'.join(lower)},upperdir={path}/{UPPER},workdir={path}/{WORK}"
    return len(os.fsencode(options)) <= _OPTIONS_LIMIT


def make_writable(directory: str | os.PathLike[str], like: str | os.PathLike[str] | None = None) -> None:
    """Make the two directories of a container's own layer below `directory`; who finds the upper has both.

    The root of the mount looks as the upper directory does: as `like`, a writable layer before it.
    """
    path, aside = os.fspath(directory), f"{os.fspath(directory)}/{UPPER}.new"
    for name, mode in ((f"{path}/{WORK}", 0o700), (aside, 0o755)):
        with suppress(FileExistsError):  # a crash left it
            os.mkdir(name)
        os.chown(name, os.geteuid(), os.getegid())
        os.chmod(name, mode)
    if like is not None:
        _look_like(like, aside)
    os.rename(aside, f"{path}/{UPPER}")


def _look_like(source: str | os.PathLike[str], target: str) -> None:
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
    attributes.set_all(os.fsencode(target), attributes.get_all(os.fsencode(source)))
    os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
