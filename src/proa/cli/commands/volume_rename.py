"""`proa volume rename`."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    old, new = invocation.arguments
    invocation.client.post(f"/proa/volumes/{old}/rename", None, name=new)


COMMAND = Command(_run, "VOLUME NEW_NAME", least=2, most=2)
