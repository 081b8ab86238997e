"""`proa kill`."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("signal", "s", "string", "Signal to send, by name or number", "", ""),)


def _run(invocation: Invocation) -> int:
    signal = {"signal": invocation["signal"]} if invocation["signal"] else {}
    return each(invocation, lambda name: invocation.client.post(f"/containers/{name}/kill", None, **signal))


COMMAND = Command(_run, "[OPTIONS] CONTAINER [CONTAINER...]", flags=_FLAGS, least=1, most=ANY)
