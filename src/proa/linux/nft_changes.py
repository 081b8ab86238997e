"""Hearing of changes to nf_tables, whoever makes them: a multicast group of nfnetlink.

Only that something changed is told. Elements of sets are left out, by a filter in the kernel: they come and go
with every container, and nobody else has anything to do in sets that are not his.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from proa.linux.netlink import NETLINK_NETFILTER

_NFNLGRP_NFTABLES = 7  # <linux/netfilter/nfnetlink.h>
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1  # <linux/socket.h>, <linux/netlink.h>
_SO_ATTACH_FILTER = 26
_NFNL_SUBSYS_NFTABLES = 10
# NFT_MSG_NEWSETELEM, _DELSETELEM, and _NEWGEN, which follows every transaction.
_IGNORED = (12, 14, 15)
_RECEIVE = 1 << 16

# <linux/bpf_common.h>: BPF_LD|BPF_H|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
_LOAD_HALF, _EQUAL, _RETURN = 0x28, 0x15, 0x06
_TYPE_AT = 4  # in struct nlmsghdr; a datagram of several messages is judged by its first
_instruction = struct.Struct("=HBBI").pack


def _program() -> bytes:
    kinds = [socket.htons(_NFNL_SUBSYS_NFTABLES << 8 | number) for number in _IGNORED]
    tests = [_instruction(_EQUAL, len(kinds) - place, 0, kind) for place, kind in enumerate(kinds)]
    taken, ignored = _instruction(_RETURN, 0, 0, 0xFFFFFFFF), _instruction(_RETURN, 0, 0, 0)
    return _instruction(_LOAD_HALF, 0, 0, _TYPE_AT) + b"".join(tests) + taken + ignored


class Changes:
    """A socket of the caller's namespace that becomes readable when tables, chains, rules or sets change."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
        )
        try:
            program = _program()
            buffer = ctypes.create_string_buffer(program, len(program))
            # struct sock_fprog: how many instructions, where they are
            fprog = struct.pack("HP", len(program) // 8, ctypes.addressof(buffer))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
            self._socket.bind((0, 0))  # one without an address is told nothing: 0 is who sends
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> bool:
        """Read what has come; return whether anything has, or so much that some was lost."""
        happened = False
        while True:
            try:
                self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return happened
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            happened = True
