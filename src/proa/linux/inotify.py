"""Being told of changes to files: inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct

from proa.linux.libc import function

# include/uapi/linux/inotify.h
IN_MODIFY = 0x0002
IN_CLOSE_WRITE = 0x0008
IN_MOVED_FROM = 0x0040
IN_MOVED_TO = 0x0080
IN_CREATE = 0x0100
IN_DELETE = 0x0200
IN_DELETE_SELF = 0x0400
IN_MOVE_SELF = 0x0800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x0100_0000

_HEAD = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, len
_BUFFER = 64 << 10  # bytes: hundreds of events

_init1 = function("inotify_init1", ctypes.c_int)
_add_watch = function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_rm_watch = function("inotify_rm_watch", ctypes.c_int, ctypes.c_int)


def inotify_init() -> int:
    """Return a non-blocking, close-on-exec descriptor. Users have 128 by default (max_user_instances)."""
    return _init1(os.O_NONBLOCK | os.O_CLOEXEC)


def inotify_add_watch(descriptor: int, path: str | bytes | os.PathLike[str], mask: int) -> int:
    """Watch a path and return the number of the watch: the same for the same file again."""
    return _add_watch(descriptor, os.fsencode(path), mask)


def inotify_rm_watch(descriptor: int, watch: int) -> None:
    """End a watch; IN_IGNORED is reported for it."""
    _rm_watch(descriptor, watch)


def read_events(descriptor: int) -> list[tuple[int, int, bytes]]:
    """Return what happened so far as (watch, mask, name in the watched directory); [] for nothing.

    A mask of IN_Q_OVERFLOW, with the watch -1, says that events were lost.
    """
    events = []
    try:
        buffer = os.read(descriptor, _BUFFER)
    except BlockingIOError:
        return []
    position = 0
    while position < len(buffer):
        watch, mask, _, length = _HEAD.unpack_from(buffer, position)
        position += _HEAD.size
        events.append((watch, mask, buffer[position : position + length].rstrip(b"\0")))
        position += length
    return events
