"""`--init`: a process 1 that forwards signals and reaps orphans, where the user's program does neither.

It is the forked runtime itself, not another executable, so nothing has to be installed in the image or on
the host. See pid_namespaces(7) on what process 1 must do.
"""

from __future__ import annotations

import os
import signal

from proa.linux import command_line

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import NoReturn

_EXEC_FAILED = 255
# Raised by the process itself: forwarding them would hide a fault.
_OWN = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS")
}


def run(executable: str, args: list[str], environment: dict[str, str]) -> NoReturn:
    """Run the program as a child; end with its status once it has ended."""
    watched = signal.valid_signals() - _OWN - {signal.SIGKILL, signal.SIGSTOP}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        _start(executable, args, environment)
    command_line.show(["proa-init", "--", *args])
    # The parent keeps only what reports: a program must see end of file when its peer closes.
    for fd in (0, 1, 2):
        os.close(fd)
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            _forward(child, number)
            continue
        status = _reap(child)
        if status is not None:
            os._exit(status)


def _start(executable: str, args: list[str], environment: dict[str, str]) -> NoReturn:
    os.setpgid(0, 0)
    if os.isatty(0):
        # As a background group it would be stopped at its first read.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execve(executable, args, environment)
    except OSError as error:
        os.write(2, f"exec {executable}: {os.strerror(error.errno or 0).lower()}\n".encode())
        os._exit(_EXEC_FAILED)


def _forward(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass  # it has just ended; SIGCHLD follows


def _reap(child: int) -> int | None:
    """Reap everything that has ended; return the main program's status if it is among it."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code
