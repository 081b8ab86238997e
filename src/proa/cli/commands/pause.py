"""`proa pause`."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    return each(invocation, lambda name: invocation.client.post(f"/containers/{name}/pause"))


COMMAND = Command(_run, "CONTAINER [CONTAINER...]", least=1, most=ANY)
