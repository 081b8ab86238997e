"""Namespaces: unshare(2) and setns(2), which Python's os has only from 3.12. See namespaces(7)."""

from __future__ import annotations

import ctypes

from proa.linux import libc

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEWTIME = 0x00000080

# The OCI runtime specification's names (config-linux.md, Namespaces).
OCI_TYPES = {
    "mount": CLONE_NEWNS,
    "cgroup": CLONE_NEWCGROUP,
    "uts": CLONE_NEWUTS,
    "ipc": CLONE_NEWIPC,
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "network": CLONE_NEWNET,
    "time": CLONE_NEWTIME,
}

_unshare = libc.function("unshare", ctypes.c_int)
_unshare_blocking = libc.function("unshare", ctypes.c_int, blocking=True)
_setns = libc.function("setns", ctypes.c_int, ctypes.c_int)


def unshare(flags: int) -> None:
    """unshare(2). CLONE_NEWUSER needs a single-threaded process; CLONE_NEWPID acts on later children."""
    _unshare(flags)


def new_network() -> None:
    """unshare(CLONE_NEWNET) by one thread of several: others run while the kernel takes down old namespaces."""
    _unshare_blocking(CLONE_NEWNET)


def setns(fd: int, flags: int) -> None:
    """setns(2). `fd` is a namespace, or a pidfd (Linux 5.8) with the set of namespaces in `flags`."""
    _setns(fd, flags)
