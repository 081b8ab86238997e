"""The tables of iptables' legacy kernel interface, which nf_tables does not show: read only.

See <linux/netfilter_ipv4/ip_tables.h>; libc's getsockopt because Python's passes no question to the kernel.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from proa.linux import libc

_IPT_SO_GET_INFO, _IPT_SO_GET_ENTRIES = 64, 65
_NAMES = "/proc/thread-self/net/ip_tables_names"
_HOOKS = 5
_INFO = struct.Struct(f"=32sI{_HOOKS}I{_HOOKS}III")  # struct ipt_getinfo
_ENTRIES_HEADER = 40  # struct ipt_get_entries: name, size, padding
_TARGET_OFFSET = struct.Struct("=H")
_TARGET_OFFSET_AT = 88  # in struct ipt_entry
_VERDICT = struct.Struct("=i")
_VERDICT_AT = 32  # in struct xt_standard_target
_DROP = -1  # -NF_DROP - 1

_getsockopt = libc.function(
    "getsockopt",
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint32),
)


def drops_by_policy(table: str, hook: int) -> bool:
    """Whether the policy of a built-in chain of an IPv4 `table` is DROP; False without the table."""
    try:
        descriptor = os.open(_NAMES, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # a kernel without the interface
    try:
        names = os.read(descriptor, 4096).decode("ascii").split()
    finally:
        os.close(descriptor)
    # Asking for a table that is not in use would load it.
    if table not in names:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as raw:
        name = table.encode().ljust(32, b"\0")
        numbers = _INFO.unpack(_ask(raw, _IPT_SO_GET_INFO, name, _INFO.size))
        underflow = numbers[2 + _HOOKS : 2 + 2 * _HOOKS]
        size = numbers[-1]
        question = name + struct.pack("=I", size)
        entries = _ask(raw, _IPT_SO_GET_ENTRIES, question, _ENTRIES_HEADER + size)
    entry = _ENTRIES_HEADER + underflow[hook]
    target = entry + _TARGET_OFFSET.unpack_from(entries, entry + _TARGET_OFFSET_AT)[0]
    return bool(_VERDICT.unpack_from(entries, target + _VERDICT_AT)[0] == _DROP)


def _ask(raw: socket.socket, option: int, question: bytes, size: int) -> bytes:
    buffer = ctypes.create_string_buffer(question, size)
    length = ctypes.c_uint32(size)
    _getsockopt(raw.fileno(), socket.IPPROTO_IP, option, buffer, ctypes.byref(length))
    return buffer.raw
