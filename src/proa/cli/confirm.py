"""Ask before something is removed that does not come back."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_PIECE = 4096
CONTINUE = "Are you sure you want to continue?"


def confirm(invocation: Invocation, question: str) -> bool:
    """Ask on standard output and return whether one line of standard input says y.

    An input that ends, ctrl-c and everything else mean no, from a terminal or not, as docker has it.
    """
    try:
        sys.stdout.write(f"{question} [y/N] ")
        invocation.flush()
        return _line().strip().lower() == b"y"
    except KeyboardInterrupt:
        invocation.print("")
        return False


def _line() -> bytes:
    """Read from the descriptor: `sys.stdin` would keep what comes after the line, and cannot be closed."""
    data = b""
    while b"\n" not in data:
        piece = os.read(0, _PIECE)
        if not piece:
            break
        data += piece
    return data.partition(b"\n")[0]
