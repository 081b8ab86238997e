"""Signals while a command is attached: pass them on to the container, follow the window's size.

`_signal` is what `signal` is made of; importing the latter builds enumerations for 3 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

# What says something to this process alone: children, terminals, a closed output, the kernel's own.
_OWN = ("SIGCHLD", "SIGPIPE", "SIGURG", "SIGKILL", "SIGSTOP")


def names() -> dict[int, str]:
    """Return {number: "SIGTERM"} of the signals of this machine."""
    return {
        int(number): name
        for name, number in vars(_signal).items()
        if name.startswith("SIG") and not name.startswith("SIG_") and isinstance(number, int)
    }


def default_pipe() -> None:
    """End quietly when standard output is closed, as other programs do; Python ignores SIGPIPE."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)


def proxy(send: Callable[[str], None]) -> None:
    """Call `send(name)` for each signal that this process gets from now on, but for those of its own.

    A closed output is an error from now on, not an end: docker's command line, too, takes all signals to forward.
    """
    known = names()
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)

    def forward(number: int, _frame: object) -> None:
        send(known[number])

    for number, name in known.items():
        if name not in _OWN and not name.startswith("SIGRT"):
            try:
                _signal.signal(number, forward)
            except (OSError, ValueError):
                pass  # the C library keeps a few for itself


def on_resize(changed: Callable[[], None]) -> None:
    """Call `changed` whenever the window has a new size."""
    _signal.signal(_signal.SIGWINCH, lambda _number, _frame: changed())
