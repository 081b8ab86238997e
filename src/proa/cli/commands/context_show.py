"""`proa context show`."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    invocation.print(invocation.context)


COMMAND = Command(_run)
