"""Mounts that are no plain bind: a directory or file inside a volume, an image, a part of an image.

The specification's entry has the key "proa" then:

    subpath   what is mounted, relative to the volume or the image; "" is all of it
    overlay   of an image: `base`, where the names in `lower` (topmost first) begin, and `place`, a directory

Others write the contents: the path is resolved by the kernel, which lets no link and no ".." lead out
(CVE-2017-1002101, CVE-2023-5043 are what happens otherwise), and what it found is what is mounted.
"""

from __future__ import annotations

import errno
import os

from proa.linux import mount
from proa.linux.openat import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from proa.runtime.failure import SetupError

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any


def open_tree(entry: dict[str, Any], flags: int) -> int:
    """Return a detached mount of what `entry` describes; raises `SetupError`.

    The caller has a mount namespace of its own.
    """
    own = entry["proa"]
    if "overlay" not in own:
        return _clone(entry["source"], own["subpath"], flags)
    overlay = own["overlay"]
    place = overlay["place"]
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(overlay["base"])  # relative names keep many layers within the one page that mount(2) takes
        options = f"lowerdir={':'.join(overlay['lower'])},redirect_dir=off,metacopy=off"
        mount.mount("overlay", place, "overlay", mount.MS_RDONLY, options)
        try:
            mount.mount(None, place, None, mount.MS_PRIVATE)
            return _clone(place, own["subpath"], flags, shown=entry["source"])
        finally:
            mount.umount2(place, mount.MNT_DETACH)
    finally:
        os.fchdir(before)
        os.close(before)


def _clone(base: str, subpath: str, flags: int, shown: str = "") -> int:
    """Clone the mounts at `subpath` below the directory `base`, which users know as `shown`."""
    shown = shown or base
    directory = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = openat2(
            directory, subpath or ".", os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
        )
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise SetupError(
                f"path concatenation escapes the base directory, base: {shown}, subpath: {subpath}", errno.EXDEV
            ) from error
        reason = (error.strerror or str(error)).lower()
        raise SetupError(f"cannot access path {shown}/{subpath}: {reason}", error.errno or errno.EIO) from error
    finally:
        os.close(directory)
    try:
        return mount.open_tree(found, "", flags | mount.AT_EMPTY_PATH)
    finally:
        os.close(found)
