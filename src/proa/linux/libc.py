"""The C library through ctypes: the one place that loads it, and how its errors become `OSError`."""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# PyDLL keeps the GIL: these calls are short, and a fork between releasing and taking it cannot happen.
_libc = ctypes.PyDLL(None, use_errno=True)
# For calls that may block.
_libc_blocking = ctypes.CDLL(None, use_errno=True)


def function(name: str, *argtypes: Any, restype: Any = ctypes.c_int, blocking: bool = False) -> Callable[..., int]:
    """Return the libc function `name`, with the result -1 turned into `OSError` and EINTR retried."""
    raw = getattr(_libc_blocking if blocking else _libc, name)
    # A fresh function object: argtypes set here never leak to another user of the same symbol.
    raw = raw.__class__((name, _libc_blocking if blocking else _libc))
    raw.argtypes = argtypes
    raw.restype = restype

    def call(*arguments: Any) -> int:
        while True:
            result: int = raw(*arguments)
            if result != -1:
                return result
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))

    call.__name__ = name
    return call


def system_call(number: int, *argtypes: Any, blocking: bool = False) -> Callable[..., int]:
    """Return a function for a system call that the C library may not wrap."""
    call = function("syscall", ctypes.c_long, *argtypes, restype=ctypes.c_long, blocking=blocking)
    return lambda *arguments: call(number, *arguments)
