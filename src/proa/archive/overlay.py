"""How deletions are marked: by overlayfs in a directory (its kernel documentation, "whiteouts and opaque
directories"), by OCI in an archive (image-spec layer.md, "Whiteouts")."""

from __future__ import annotations

import errno
import os
import stat

WHITEOUT_PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
# Bookkeeping of AUFS that old images still hold: no files of the image.
AUFS_PREFIX = b".wh..wh."

OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this is overlayfs's mark of a deleted name: a character device 0/0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(name: bytes, dirfd: int) -> None:
    """Mark `name` as deleted from the layers below."""
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=dirfd)


def make_opaque(descriptor: int) -> None:
    """Let an open directory hide what the layers below have in it."""
    os.setxattr(descriptor, OPAQUE_ATTRIBUTE, b"y")


def is_opaque(path: int | str | bytes) -> bool:
    """Whether a directory hides what the layers below have in it."""
    try:
        return os.getxattr(path, OPAQUE_ATTRIBUTE, follow_symlinks=isinstance(path, int)) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
