"""Mounts: mount(2), umount2(2), pivot_root(2) and the file-descriptor based mount API (Linux 5.2, 5.12).

Constants from <linux/mount.h>.
"""

from __future__ import annotations

import ctypes
import os
import struct

from proa.linux import libc

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 32, 4096, 8192, 16384
MS_NOATIME, MS_NODIRATIME, MS_RELATIME, MS_STRICTATIME = 1024, 2048, 1 << 21, 1 << 24
MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE = 1 << 18, 1 << 19, 1 << 20, 1 << 17
MNT_DETACH = 2

OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR__ATIME, MOUNT_ATTR_RELATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME = 0x70, 0, 0x10, 0x20
MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_IDMAP, MOUNT_ATTR_NOSYMFOLLOW = 0x80, 0x100000, 0x200000

FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6

# The same numbers on every architecture: added after the numbers were unified (asm-generic/unistd.h).
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 428, 429, 430, 431, 432
_SYS_MOUNT_SETATTR = 442
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "armv7l": 218, "riscv64": 41, "ppc64le": 203, "s390x": 217}

_text, _int, _uint, _ulong = ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_ulong
_mount = libc.function("mount", _text, _text, _text, _ulong, _text)
_umount2 = libc.function("umount2", _text, _int)
_pivot_root = libc.system_call(_SYS_PIVOT_ROOT[os.uname().machine], _text, _text)
_open_tree = libc.system_call(_SYS_OPEN_TREE, _int, _text, _uint)
_move_mount = libc.system_call(_SYS_MOVE_MOUNT, _int, _text, _int, _text, _uint)
_mount_setattr = libc.system_call(_SYS_MOUNT_SETATTR, _int, _text, _uint, _text, ctypes.c_size_t)
_fsopen = libc.system_call(_SYS_FSOPEN, _text, _uint)
_fsconfig = libc.system_call(_SYS_FSCONFIG, _int, _uint, _text, _text, _int)
_fsmount = libc.system_call(_SYS_FSMOUNT, _int, _uint, _uint)

_CLOEXEC_FLAG = 1  # FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC


def mount(source: str | None, target: str, fstype: str | None, flags: int, data: str | None = None) -> None:
    """mount(2). `data` is limited to one page by the kernel."""
    encoded = (None if text is None else os.fsencode(text) for text in (source, target, fstype))
    _mount(*encoded, flags, None if data is None else os.fsencode(data))


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _umount2(os.fsencode(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2): moves the root of every process that has the caller's mount namespace."""
    _pivot_root(os.fsencode(new_root), os.fsencode(put_old))


def open_tree(directory_fd: int, path: str, flags: int) -> int:
    """open_tree(2) with OPEN_TREE_CLOEXEC. With OPEN_TREE_CLONE: a detached copy of the mount at `path`."""
    return _open_tree(directory_fd, os.fsencode(path), flags | os.O_CLOEXEC)


def move_mount(from_fd: int, to_fd: int) -> None:
    """move_mount(2) between two descriptors: attach the mount `from_fd` to the place `to_fd`."""
    _move_mount(from_fd, b"", to_fd, b"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)


def mount_setattr(
    fd: int,
    *,
    set: int = 0,
    clear: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
    recursive: bool = False,
) -> None:
    """mount_setattr(2) of the mount that `fd` is in: change MOUNT_ATTR_ flags and propagation."""
    attributes = struct.pack("QQQQ", set, clear, propagation, userns_fd)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _mount_setattr(fd, b"", flags, attributes, len(attributes))


def new_mount(fstype: str, options: dict[str, str | None], attributes: int = 0, source: str = "") -> int:
    """Return a detached mount of a new file system: fsopen, fsconfig for each option, fsmount.

    Options with the value None are flags. A value may have 255 bytes at most. Raises `OSError`, with the
    kernel's own words, if it has any, as a note.
    """
    context = _fsopen(os.fsencode(fstype), _CLOEXEC_FLAG)
    try:
        if source:
            _fsconfig(context, FSCONFIG_SET_STRING, b"source", os.fsencode(source), 0)
        for key, value in options.items():
            if value is None:
                _fsconfig(context, FSCONFIG_SET_FLAG, os.fsencode(key), None, 0)
            else:
                _fsconfig(context, FSCONFIG_SET_STRING, os.fsencode(key), os.fsencode(value), 0)
        _fsconfig(context, FSCONFIG_CMD_CREATE, None, None, 0)
        return _fsmount(context, _CLOEXEC_FLAG, attributes)
    except OSError as error:
        for message in _messages(context):
            error.add_note(message)
        raise
    finally:
        os.close(context)


def _messages(context: int) -> list[str]:
    """Return what the kernel says of a failed mount: a line each, after "e " (error), "w " or "i "."""
    found = []
    try:
        while message := os.read(context, 1024):
            found.append(message.decode(errors="replace").partition(" ")[2].strip())
    except OSError:
        pass  # ENODATA: that was all
    return found
