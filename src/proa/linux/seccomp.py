"""Loading seccomp filters (seccomp(2)). `cbpf.py` assembles them, `runtime/seccomp.py` says what.

A compiled filter is one byte string, so that it can be cached in a file: eight bytes with the flags to load
it with, then the classic BPF instructions.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from proa.linux import libc

FLAG_LOG, FLAG_SPEC_ALLOW = 2, 4
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277, "armv7l": 383, "riscv64": 277, "ppc64le": 358, "s390x": 348}

_seccomp = libc.system_call(_SYS_SECCOMP[os.uname().machine], ctypes.c_uint, ctypes.c_uint, ctypes.c_char_p)


def pack(instructions: bytes, flags: int) -> bytes:
    """Make a compiled filter of classic BPF instructions (struct sock_filter) and SECCOMP_FILTER_FLAG_*."""
    return struct.pack("=II", flags, 0) + instructions


def unpack(compiled: bytes) -> tuple[bytes, int]:
    """Return the instructions and flags of a compiled filter."""
    flags, _ = struct.unpack_from("=II", compiled)
    return compiled[8:], flags


def load(compiled: bytes) -> None:
    """Put the calling thread under a compiled filter, for good.

    EACCES without both no_new_privs and CAP_SYS_ADMIN. FLAG_SPEC_ALLOW, which keeps speculative store bypass
    on, is dropped where the kernel does not know it (before 4.17).
    """
    instructions, flags = unpack(compiled)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    # struct sock_fprog: unsigned short len; struct sock_filter *filter (aligned as a pointer)
    program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(buffer))
    try:
        _seccomp(_SET_MODE_FILTER, flags, program)
    except OSError as error:
        if error.errno != errno.EINVAL or not flags & FLAG_SPEC_ALLOW:
            raise
        _seccomp(_SET_MODE_FILTER, flags & ~FLAG_SPEC_ALLOW, program)


def available() -> bool:
    """Whether the kernel has seccomp filters (CONFIG_SECCOMP_FILTER)."""
    try:
        _seccomp(_GET_ACTION_AVAIL, 0, struct.pack("=I", 0x7FFF0000))
    except OSError:
        return False
    return True
