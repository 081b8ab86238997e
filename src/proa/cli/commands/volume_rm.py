"""`proa volume rm`."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("force", "f", "", "Do not complain about volumes that do not exist"),)


def _run(invocation: Invocation) -> int:
    force = {"force": "1"} if invocation["force"] else {}
    return each(invocation, lambda name: invocation.client.delete(f"/volumes/{name}", **force))


COMMAND = Command(_run, "[OPTIONS] VOLUME [VOLUME...]", flags=_FLAGS, least=1, most=ANY)
