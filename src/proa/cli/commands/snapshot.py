"""`proa container snapshot`: keep what a container has written."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    container, *names = invocation.arguments
    parameters = {"name": names[0]} if names else {}
    made = invocation.client.post(f"/proa/containers/{container}/snapshots", **parameters)
    invocation.print(made["Name"])


COMMAND = Command(_run, "CONTAINER [NAME]", least=1, most=2)
