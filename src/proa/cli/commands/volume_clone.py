"""`proa volume clone`: a volume with all that another has."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    source, name = invocation.arguments
    made = invocation.client.post(f"/proa/volumes/{source}/clone", None, name=name)
    invocation.print(f"{made['Name']} ({made['Method']})")


COMMAND = Command(_run, "VOLUME NEW_NAME", least=2, most=2)
