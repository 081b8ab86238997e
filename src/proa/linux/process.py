"""Processes: prctl(2), clone3(2), pidfds, close_range(2), execveat(2)."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from _signal import signal as _signal  # type: ignore[import-not-found]

from proa.linux import libc

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
CLONE_PARENT, CLONE_INTO_CGROUP = 0x8000, 0x200000000
CLOSE_RANGE_CLOEXEC = 4
_MAX_FD = 0xFFFFFFFF

_SYS_CLONE3, _SYS_CLOSE_RANGE = 435, 436
_SYS_EXECVEAT = {"x86_64": 322, "aarch64": 281, "armv7l": 387, "riscv64": 281, "ppc64le": 362, "s390x": 354}

_SYS_RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "armv7l": 174, "riscv64": 134, "ppc64le": 173, "s390x": 174}
_KERNEL_SIGACTION, _KERNEL_SIGSET = 64, 8  # bytes; struct sigaction has 32 or less
_rt_sigaction = libc.system_call(
    _SYS_RT_SIGACTION[os.uname().machine],
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
)

_prctl = libc.function("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)
_clone3 = libc.system_call(_SYS_CLONE3, ctypes.c_char_p, ctypes.c_size_t)
_close_range = libc.system_call(_SYS_CLOSE_RANGE, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_execveat = libc.system_call(
    _SYS_EXECVEAT[os.uname().machine],
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.c_int,
)


_sethostname = libc.function("sethostname", ctypes.c_char_p, ctypes.c_size_t)
_setdomainname = libc.function("setdomainname", ctypes.c_char_p, ctypes.c_size_t)


def set_host_name(name: str) -> None:
    """sethostname(2) of the calling process's UTS namespace: 64 bytes at most (EINVAL)."""
    encoded = os.fsencode(name)
    _sethostname(encoded, len(encoded))


def set_domain_name(name: str) -> None:
    """setdomainname(2), the NIS domain: 64 bytes at most (EINVAL)."""
    encoded = os.fsencode(name)
    _setdomainname(encoded, len(encoded))


def prctl(option: int, argument: int = 0) -> int:
    """prctl(2) with one argument."""
    return _prctl(option, argument, 0, 0, 0)


def set_name(name: str) -> None:
    """Set the main thread's name as shown in /proc/PID/comm: 15 bytes; proc_pid_comm(5)."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name.encode())
    os.close(fd)


def fork(flags: int = 0, cgroup_fd: int = -1) -> int:
    """Fork with CLONE_ flags; with `cgroup_fd` the child is born in that cgroup v2 directory.

    That is no migration, so no wait for an RCU grace period. A raw clone3(2): Python's after-fork hooks do
    not run in the child, which must be single-threaded and should execute another program soon.
    """
    if cgroup_fd >= 0:
        flags |= CLONE_INTO_CGROUP
    # struct clone_args (linux/sched.h), 11 u64: flags pidfd child_tid parent_tid exit_signal stack
    # stack_size tls set_tid set_tid_size cgroup
    notify = 0 if flags & CLONE_PARENT else signal.SIGCHLD
    arguments = struct.pack("11Q", flags, 0, 0, 0, notify, 0, 0, 0, 0, 0, max(cgroup_fd, 0))
    return _clone3(arguments, len(arguments))


def set_signal(number: int, handler: Callable[[int, Any], object] | int) -> None:
    """Set a signal's handler, as `signal.signal` does, which makes enums of arguments and results.

    What that touches, every shim would keep a copy of.
    """
    _signal(int(number), handler)


def default_signal(number: int) -> None:
    """Give a signal its default action, also one that the C library keeps for itself (32 and 33).

    posix_spawn(3) of glibc leaves those two ignored in what it starts, and what that executes inherits it.
    """
    action = bytes(_KERNEL_SIGACTION)  # SIG_DFL, no flags, empty mask
    _rt_sigaction(number, action, None, _KERNEL_SIGSET)


def close_range(first: int, last: int = _MAX_FD, flags: int = 0) -> None:
    """close_range(2)."""
    _close_range(first, last, flags)


def close_all_but(keep: Sequence[int]) -> None:
    """Close every descriptor from 3 on that is not in `keep`."""
    first = 3
    for fd in sorted(set(keep)):
        if fd < first:
            continue
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def execveat(fd: int, argv: Sequence[str], environment: dict[str, str]) -> None:
    """Execute the program that is open as `fd` (AT_EMPTY_PATH)."""
    encoded = [os.fsencode(argument) for argument in argv]
    settings = [os.fsencode(f"{key}={value}") for key, value in environment.items()]
    arguments = (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)
    variables = (ctypes.c_char_p * (len(settings) + 1))(*settings, None)
    _execveat(fd, b"", arguments, variables, 0x1000)
