"""`proa diff`."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_KINDS = "CAD"  # changed, added, deleted: the API's 0, 1, 2


def _run(invocation: Invocation) -> None:
    changes = invocation.client.get(f"/containers/{invocation.arguments[0]}/changes") or []
    invocation.print(*(f"{_KINDS[change['Kind']]} {change['Path']}" for change in changes))


COMMAND = Command(_run, "CONTAINER", least=1, most=1)
