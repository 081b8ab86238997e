"""openat2(2): opening paths that others chose, with the kernel refusing to leave a directory."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from proa.linux.libc import system_call

# The number is the same on every architecture that Linux added it to but alpha (asm-generic/unistd.h).
_SYS_OPENAT2 = 437

# linux/openat2.h
RESOLVE_NO_XDEV = 0x01  # do not cross mounts
RESOLVE_NO_MAGICLINKS = 0x02  # refuse /proc/<pid>/fd and its like
RESOLVE_NO_SYMLINKS = 0x04  # refuse any symbolic link, in the last component too (ELOOP)
RESOLVE_BENEATH = 0x08  # refuse to leave `dirfd`: "..", absolute names and links (EXDEV)
RESOLVE_IN_ROOT = 0x10  # treat `dirfd` as the root: "..", absolute names and links stay inside

_RETRIES = 128

# Opening may wait for a disk, so the interpreter lock is released.
_openat2 = system_call(
    _SYS_OPENAT2, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, blocking=True
)


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open `path` below `dirfd` as openat2(2) does; the descriptor is close-on-exec.

    With RESOLVE_BENEATH or RESOLVE_IN_ROOT the kernel answers EAGAIN when a rename elsewhere might have
    misled its check of ".."; that is tried again. Raises `OSError` naming the path; ENOSYS below Linux 5.6.
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_RETRIES):
        try:
            return _openat2(dirfd, name, how, len(how))
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise OSError(error.errno, error.strerror, path) from None
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
