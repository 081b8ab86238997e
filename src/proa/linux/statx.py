"""statx(2): what stat(2) does not tell, whether something is mounted on a name."""

from __future__ import annotations

import ctypes
import os
import struct

from proa.linux.libc import function

# fcntl.h, linux/stat.h
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_NO_AUTOMOUNT = 0x800
_STATX_ATTR_MOUNT_ROOT = 0x2000  # since Linux 5.8
_SIZE = 256  # of struct statx
_ATTRIBUTES = 8  # where stx_attributes is in it, after stx_mask and stx_blksize

# It may wait for a disk, so the interpreter lock is released.
_statx = function(
    "statx", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p, blocking=True
)


def is_mount_point(dirfd: int, name: bytes) -> bool:
    """Say whether something is mounted on `name` in the directory `dirfd`, in the mount namespace that it is of.

    A link is not followed. Raises `OSError`, for a name that is not there as well.
    """
    buffer = ctypes.create_string_buffer(_SIZE)
    try:
        _statx(dirfd, name, _AT_SYMLINK_NOFOLLOW | _AT_NO_AUTOMOUNT, 0, buffer)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fsdecode(name)) from None
    attributes: int = struct.unpack_from("=Q", buffer, _ATTRIBUTES)[0]
    return bool(attributes & _STATX_ATTR_MOUNT_ROOT)
