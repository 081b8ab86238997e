"""Project quotas: whose project a directory is (ioctl_xfs_fsgetxattr(2)) and what one may take (quotactl(2)).

Structures and numbers from <linux/fs.h>, <linux/quota.h> and <linux/dqblk_xfs.h>; ext4 has the same interface.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct

from proa.linux.libc import system_call

_FSGETXATTR, _FSSETXATTR = 0x801C581F, 0x401C5820
_FSXATTR = struct.Struct("=5I8x")  # flags, extent size, extents, project, extent size for copy on write
_PROJINHERIT = 0x200

_PRJQUOTA = 2
_Q_XGETQUOTA, _Q_XSETQLIM, _Q_XGETQSTAT = 0x5803, 0x5804, 0x5805
_ENFORCED = 1 << 5  # FS_QUOTA_PDQ_ENFD
_STATE_SIZE = 80  # struct fs_quota_stat; its flags are a short at 2
# Version, flags, field mask, id; hard and soft limit of blocks and of inodes, what is used of either; the rest.
_DISK_QUOTA = struct.Struct("=bbHI6Q56x")
_VERSION, _OF_PROJECT = 1, 2
_LIMITS = 1 << 2 | 1 << 3  # FS_DQ_BSOFT, FS_DQ_BHARD
_BLOCK = 512  # bytes

# quotactl_fd(2), Linux 5.14: the number is the same on every architecture. It may wait for a disk.
_quotactl_fd = system_call(443, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_char_p, blocking=True)


def are_enforced(fd: int) -> bool:
    """Whether the file system that `fd` is on limits projects."""
    state = ctypes.create_string_buffer(_STATE_SIZE)
    try:
        _quotactl_fd(fd, _Q_XGETQSTAT << 8 | _PRJQUOTA, 0, state)
    except OSError:
        return False  # no quotas at all (ESRCH, ENOSYS, ENOTTY …)
    return bool(struct.unpack_from("=H", state, 2)[0] & _ENFORCED)


def project(fd: int) -> int:
    """Return the project of a file or directory, 0 for none."""
    found: int = _FSXATTR.unpack(fcntl.ioctl(fd, _FSGETXATTR, bytes(_FSXATTR.size)))[3]
    return found


def set_project(fd: int, project: int) -> None:
    """Give a directory a project that what is made in it inherits."""
    flags, size, extents, _, cow_size = _FSXATTR.unpack(fcntl.ioctl(fd, _FSGETXATTR, bytes(_FSXATTR.size)))
    fcntl.ioctl(fd, _FSSETXATTR, _FSXATTR.pack(flags | _PROJINHERIT, size, extents, project, cow_size))


def set_limit(fd: int, project: int, size: int) -> None:
    """Let a project take `size` bytes (a multiple of 512, rounded up) of the file system of `fd`; 0: no limit."""
    blocks = -(-size // _BLOCK)
    quota = _DISK_QUOTA.pack(_VERSION, _OF_PROJECT, _LIMITS, project, blocks, blocks, 0, 0, 0, 0)
    _quotactl_fd(fd, _Q_XSETQLIM << 8 | _PRJQUOTA, project, quota)


def is_unused(fd: int, project: int) -> bool:
    """Whether a project has no limit and no files on the file system of `fd`."""
    buffer = ctypes.create_string_buffer(_DISK_QUOTA.size)
    try:
        _quotactl_fd(fd, _Q_XGETQUOTA << 8 | _PRJQUOTA, project, buffer)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return True
        raise
    return not any(_DISK_QUOTA.unpack(buffer.raw)[4:])
