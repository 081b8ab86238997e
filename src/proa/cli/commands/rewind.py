"""`proa container rewind`: let a stopped container have what it had at a snapshot."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    container, snapshot = invocation.arguments
    invocation.client.post(f"/proa/containers/{container}/rewind", snapshot=snapshot)
    invocation.print(container)


COMMAND = Command(_run, "CONTAINER SNAPSHOT", least=2, most=2)
