"""What ps shows of a process that goes on as something else: proc_pid_cmdline(5)."""

from __future__ import annotations

import ctypes
import os

# Counted behind the name, which may hold anything. In proc_pid_stat(5) arg_start is the 48th field.
_ARG_START = 48 - 3

_where: list[int] = []


def remember() -> None:
    """Find where the kernel keeps what this process was executed with; its forks need no /proc for `show` then."""
    if _where:
        return
    fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    fields = os.read(fd, 4096).rpartition(b")")[2].split()
    os.close(fd)
    arguments, _, variables, end = map(int, fields[_ARG_START : _ARG_START + 4])
    _where.extend((arguments, variables, end))


def show(words: list[str]) -> None:
    """Show `words` as the command, cut where there is no room; the environment is shown as empty.

    They are written over the arguments and variables that the process was executed with, which nobody may need
    any more. prctl(PR_SET_MM) would ask for CAP_SYS_RESOURCE.
    """
    remember()
    arguments, variables, end = _where
    said = b"\0".join(map(os.fsencode, words))
    if len(said) >= variables - arguments:
        # It runs over into the variables. The kernel takes that for a title, which ends at its first NUL.
        said = said.replace(b"\0", b" ")[: end - arguments - 1]
    ctypes.memset(arguments, 0, end - arguments)
    ctypes.memmove(arguments, said, len(said))
