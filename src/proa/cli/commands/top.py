"""`proa top`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.formatting.tables import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_WIDTH = 20


def _run(invocation: Invocation) -> None:
    container, *arguments = invocation.arguments
    parameters = {"ps_args": " ".join(arguments)} if arguments else {}
    listed = invocation.client.get(f"/containers/{container}/top", **parameters)
    invocation.print(*align([listed["Titles"], *(listed["Processes"] or [])], minimum=_WIDTH))


COMMAND = Command(_run, "CONTAINER [ps OPTIONS]", least=1, most=ANY, interspersed=False)
