"""`proa network disconnect`."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("force", "f", "", "Take the container off even if it is not known any more"),)


def _run(invocation: Invocation) -> None:
    network, container = invocation.arguments
    body = {"Container": container, "Force": invocation["force"]}
    invocation.client.post(f"/networks/{network}/disconnect", body)


COMMAND = Command(_run, "[OPTIONS] NETWORK CONTAINER", flags=_FLAGS, least=2, most=2)
