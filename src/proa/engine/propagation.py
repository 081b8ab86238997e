"""Whether a host directory can be mounted `shared` or `slave`: what proc_pid_mountinfo(5) says of its mount.

The kernel would take either and do nothing, so this is checked in Docker's words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from proa.engine.records import MountPoint
from proa.errors import Internal
from proa.linux.mountinfo import mount_points

_WANTED = {
    "shared": (("shared:",), "shared mount"),
    "slave": (("shared:", "master:"), "shared or slave mount"),
}


def check(points: Iterable[MountPoint]) -> None:
    """Raise `Internal` for the first mount whose source does not propagate as asked for."""
    for point in points:
        kind = point.propagation.removeprefix("r")
        if kind not in _WANTED:
            continue
        fields, words = _WANTED[kind]
        mount_point, optional = _mount_of(os.path.realpath(point.source))
        if not any(field.startswith(fields) for field in optional):
            raise Internal(f"path {point.source} is mounted on {mount_point} but it is not a {words}")


def _mount_of(path: str) -> tuple[str, list[str]]:
    """Return the mount point that `path` is below and its optional fields."""
    best, optional = "", []
    for place, fields in mount_points():
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, optional = place, fields
    return best, optional
