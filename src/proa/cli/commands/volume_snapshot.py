"""`proa volume snapshot`: what a volume has now, as a volume that stays as it is."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    source, *rest = invocation.arguments
    made = invocation.client.post(f"/proa/volumes/{source}/snapshot", None, name=rest[0] if rest else "")
    invocation.print(f"{made['Name']} ({made['Method']})")


COMMAND = Command(_run, "VOLUME [NEW_NAME]", least=1, most=2)
